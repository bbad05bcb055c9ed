package transport

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// turnRequest is a client's wish for a turn, from whatever door.
type turnRequest struct {
	key  actors.Key
	turn actors.StartTurn
	idem *actors.Idempotency
}

// newTurnRequest reads what all doors have in common from the headers. session
// and busy are those of the body, or "", where a door has them.
func (s *Server) newTurnRequest(ctx *fasthttp.RequestCtx, r *request, session, busy string) (*turnRequest, error) {
	if s.draining.Load() {
		return nil, interrupted(actors.ReasonShutdown)
	}
	t := &turnRequest{key: actors.Key{Owner: r.identity.Owner}}
	if header := string(ctx.Request.Header.Peek("X-Session-Id")); header != "" {
		if session != "" && session != header {
			return nil, badRequest("session_id", "session_id and the X-Session-Id header name different sessions")
		}
		session = header
	}
	if session != "" {
		name, err := actors.ParseName(session)
		if err != nil {
			return nil, badRequest("session_id", err.Error())
		}
		t.key.Name = name
	}
	if busy == "" {
		busy = string(ctx.Request.Header.Peek("X-Busy-Policy"))
	}
	var err error
	if t.turn.Busy, err = busyPolicy(busy); err != nil {
		return nil, err
	}
	if t.turn.Deadline, err = deadline(ctx); err != nil {
		return nil, err
	}
	key := ctx.Request.Header.Peek("Idempotency-Key")
	if t.turn.Disconnect, err = s.onDisconnect(ctx, t.key.Name != "" || len(key) > 0); err != nil {
		return nil, err
	}
	if len(key) > 0 {
		if t.idem, err = idempotency(r, string(key), t.key.Name, ctx.PostBody()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func busyPolicy(name string) (actors.BusyPolicy, error) {
	if name == "" {
		return "", nil
	}
	for _, p := range actors.BusyPolicies() {
		if string(p) == name {
			return p, nil
		}
	}
	return "", badRequest("on_busy", fmt.Sprintf("the busy policy is one of %v", actors.BusyPolicies()))
}

// deadline reads X-Request-Timeout: seconds, or a duration such as 1m30s.
func deadline(ctx *fasthttp.RequestCtx) (time.Time, error) {
	value := string(ctx.Request.Header.Peek("X-Request-Timeout"))
	if value == "" {
		return time.Time{}, nil
	}
	timeout, err := time.ParseDuration(value)
	if seconds, ferr := strconv.ParseFloat(value, 64); ferr == nil {
		timeout, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || timeout <= 0 || timeout > 24*time.Hour {
		return time.Time{}, badRequest("X-Request-Timeout", "X-Request-Timeout is a time of up to 24h, in seconds or such as 1m30s")
	}
	return time.Now().Add(timeout), nil
}

// maxGrace is the longest grace a client may ask for.
const maxGrace = time.Hour

// onDisconnect reads X-On-Disconnect. Without it a stateless request is
// cancelled at once and what can be found again is kept for a while.
func (s *Server) onDisconnect(ctx *fasthttp.RequestCtx, durable bool) (actors.Disconnect, error) {
	value := string(ctx.Request.Header.Peek("X-On-Disconnect"))
	grace, hasGrace := strings.CutPrefix(value, "grace=")
	switch {
	case value == "" && durable:
		return actors.Disconnect{Grace: s.options.DisconnectGrace}, nil
	case value == "", value == "cancel":
		return actors.Disconnect{}, nil
	case value == "continue":
		return actors.Disconnect{Continue: true}, nil
	case hasGrace:
		if seconds, err := strconv.ParseFloat(grace, 64); err == nil && seconds >= 0 && seconds <= maxGrace.Seconds() {
			return actors.Disconnect{Grace: time.Duration(seconds * float64(time.Second))}, nil
		}
	}
	return actors.Disconnect{}, badRequest("X-On-Disconnect", "X-On-Disconnect is cancel, continue, or grace=SECONDS (up to 3600)")
}

const maxIdempotencyKey = 255

// idempotency scopes a client's key by owner and route; the session named is
// part of what the key must be repeated with.
func idempotency(r *request, key, session string, body []byte) (*actors.Idempotency, error) {
	if len(key) > maxIdempotencyKey || !utf8.ValidString(key) {
		return nil, badRequest("Idempotency-Key", "an idempotency key is text of at most 255 bytes")
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%q\n", session)
	digest.Write(body)
	idem := &actors.Idempotency{Key: r.identity.Owner + "\x00" + r.method + " " + r.route.pattern + "\x00" + key}
	digest.Sum(idem.Fingerprint[:0])
	return idem, nil
}

// start puts the turn to its session and tells the client about it in headers.
func (s *Server) start(ctx *fasthttp.RequestCtx, t *turnRequest) (*actors.Started, error) {
	started, err := s.options.Sessions.Start(t.key, t.turn, t.idem)
	if err != nil {
		return nil, err
	}
	h := &ctx.Response.Header
	h.Set("X-Session-Id", sessionName(started))
	h.Set("X-Turn-Id", started.Turn)
	h.Set("X-Queue-Position", strconv.Itoa(started.Position))
	if started.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	return started, nil
}

// sessionName is the session's name, or for a stateless request one that leads
// nowhere.
func sessionName(started *actors.Started) string {
	if started.Session != "" {
		return started.Session
	}
	return "stateless_" + strings.TrimPrefix(started.Turn, "turn_")
}

// body is a request's JSON object, with the members taken out that a door knows.
type body map[string]json.RawMessage

// parseBody reads a JSON object. An empty body is an empty object where the door
// allows it.
func parseBody(ctx *fasthttp.RequestCtx, optional bool) (body, error) {
	raw := ctx.PostBody()
	if optional && len(bytes.TrimSpace(raw)) == 0 {
		return body{}, nil
	}
	if err := checkMediaType(ctx); err != nil {
		return nil, err
	}
	return parseObject(raw)
}

func parseObject(raw []byte) (body, error) {
	if !utf8.Valid(raw) {
		return nil, badRequest("", "the body is not valid UTF-8")
	}
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, badRequest("", "the body is not a JSON object: "+jsonError(err))
	}
	if b == nil {
		return nil, badRequest("", "the body is not a JSON object: it is null")
	}
	return b, nil
}

func jsonError(err error) string {
	return strings.TrimPrefix(err.Error(), "json: ")
}

// checkMediaType refuses bodies that say they are something else than JSON: what
// an HTML form can send without a preflight is not taken.
func checkMediaType(ctx *fasthttp.RequestCtx) error {
	kind, _, _ := strings.Cut(strings.ToLower(string(ctx.Request.Header.ContentType())), ";")
	kind = strings.TrimSpace(kind)
	if kind == "" || kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json") {
		return nil
	}
	return fail(CodeMediaType, "the body must be JSON: send Content-Type: application/json")
}

// take removes a member and decodes it into v; null and absent leave v as it is.
func (b body) take(name string, v any, what string) error {
	raw, ok := b[name]
	delete(b, name)
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return badRequest(name, name+" must be "+what)
	}
	return nil
}

// textMessage is a user's message of plain text.
func textMessage(text string) agent.Message { return agent.Message{Role: "user", Text: text} }
