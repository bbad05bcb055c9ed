package transport

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
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

// newTurnRequest reads what all doors have in common from the headers. owner is
// whose session it is; session and busy are those of the body, or "", where a
// door has them.
func (s *Server) newTurnRequest(ctx *fasthttp.RequestCtx, r *request, owner, session string, busy actors.BusyPolicy) (*turnRequest, error) {
	if s.draining.Load() {
		return nil, interrupted(actors.ReasonShutdown)
	}
	var named, policy, onDisconnect, timeout, key string
	for _, err := range []error{
		readHeader(ctx, "X-Session-Id", &named),
		readHeader(ctx, "X-Busy-Policy", &policy),
		readHeader(ctx, "X-On-Disconnect", &onDisconnect),
		readHeader(ctx, "X-Request-Timeout", &timeout),
		readHeader(ctx, "Idempotency-Key", &key),
	} {
		if err != nil {
			return nil, err
		}
	}
	t := &turnRequest{key: actors.Key{Owner: owner}}
	var err error
	if t.key.Name, err = oneSession(session, named); err != nil {
		return nil, err
	}
	if t.turn.Busy, err = busyPolicy("X-Busy-Policy", policy); err != nil {
		return nil, err
	}
	if busy != "" {
		t.turn.Busy = busy
	}
	if t.turn.Deadline, err = deadline(timeout); err != nil {
		return nil, err
	}
	if t.turn.Disconnect, err = s.onDisconnect(onDisconnect, t.key.Name != "" || key != ""); err != nil {
		return nil, err
	}
	if key != "" {
		if t.idem, err = idempotency(r, key, t.key, ctx.PostBody()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// readHeader reads a header that, if it is sent, must say something: an empty
// one is a client's variable that was never set, and to go on as if it were
// absent would hide that.
func readHeader(ctx *fasthttp.RequestCtx, name string, value *string) error {
	switch all := ctx.Request.Header.PeekAll(name); {
	case len(all) == 0:
		return nil
	case len(all[0]) == 0:
		return badRequest(name, name+" is empty")
	default:
		*value = string(all[0])
		return nil
	}
}

// oneSession is the session that the body or the X-Session-Id header names, or "".
func oneSession(body, header string) (string, error) {
	param, session := "session_id", body
	if body == "" {
		param, session = "X-Session-Id", header
	}
	if session == "" {
		return "", nil
	}
	if header != "" && session != header {
		return "", badRequest("session_id", "session_id and the X-Session-Id header name different sessions")
	}
	name, err := actors.ParseName(session)
	if err != nil {
		return "", badRequest(param, err.Error())
	}
	return name, nil
}

// busyPolicy reads a policy's name; "" is none.
func busyPolicy(param, name string) (actors.BusyPolicy, error) {
	policy := actors.BusyPolicy(name)
	if name == "" || slices.Contains(actors.BusyPolicies(), policy) {
		return policy, nil
	}
	return "", badRequest(param, "the busy policy is queue, reject, interrupt, rollback or collect")
}

// timeoutForm is what X-Request-Timeout may be: seconds, or a time such as 1m30s.
var timeoutForm = regexp.MustCompile(`^([1-9][0-9]*(\.[0-9]+)?|([1-9][0-9]*(ms|s|m|h))+)$`)

const (
	maxTimeoutLength = 20
	maxTimeout       = 24 * time.Hour // more is as much
)

// deadline reads X-Request-Timeout; zero is none.
func deadline(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if len(value) > maxTimeoutLength || !timeoutForm.MatchString(value) {
		return time.Time{}, badRequest("X-Request-Timeout", "X-Request-Timeout is a time in seconds, or such as 1m30s or 500ms")
	}
	if last := value[len(value)-1]; '0' <= last && last <= '9' {
		value += "s"
	}
	timeout, err := time.ParseDuration(value)
	if err != nil { // the form is right, so it is too long for a Duration
		timeout = maxTimeout
	}
	return time.Now().Add(min(timeout, maxTimeout)), nil
}

// disconnectForm is what X-On-Disconnect may be. A grace is an hour at most.
var disconnectForm = regexp.MustCompile(`^(cancel|continue|grace=(([0-9]{1,3}|[12][0-9]{3}|3[0-5][0-9]{2})(\.[0-9]{1,3})?|3600))$`)

// onDisconnect reads X-On-Disconnect. Without it a stateless request is
// cancelled at once and what can be found again is kept for a while.
func (s *Server) onDisconnect(value string, durable bool) (actors.Disconnect, error) {
	switch {
	case value == "" && durable:
		return actors.Disconnect{Grace: s.options.DisconnectGrace}, nil
	case value == "":
		return actors.Disconnect{}, nil
	case !disconnectForm.MatchString(value):
		return actors.Disconnect{}, badRequest("X-On-Disconnect", "X-On-Disconnect is cancel, continue, or grace=SECONDS (up to 3600)")
	case value == "continue":
		return actors.Disconnect{Continue: true}, nil
	}
	grace, ok := strings.CutPrefix(value, "grace=")
	if !ok {
		return actors.Disconnect{}, nil
	}
	seconds, err := strconv.ParseFloat(grace, 64)
	return actors.Disconnect{Grace: time.Duration(seconds * float64(time.Second))}, err
}

const maxIdempotencyKey = 255

// idempotency scopes a client's key by who asks and by route; the session is
// part of what the key must be repeated with.
func idempotency(r *request, key string, session actors.Key, body []byte) (*actors.Idempotency, error) {
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if len(key) > maxIdempotencyKey || strings.ContainsFunc(key, unprintable) {
		return nil, badRequest("Idempotency-Key", "an idempotency key is 1 to 255 printable characters of ASCII")
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%q %q\n", session.Owner, session.Name)
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
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return "it is a JSON " + wrong.Value
	}
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

// takeBusy removes on_busy; null and absent are "".
func (b body) takeBusy() (actors.BusyPolicy, error) {
	var name *string
	if err := b.take("on_busy", &name, "a string"); err != nil || name == nil {
		return "", err
	}
	if *name == "" {
		return "", badRequest("on_busy", "on_busy is empty")
	}
	return busyPolicy("on_busy", *name)
}

// textMessage is a user's message of plain text.
func textMessage(text string) agent.Message { return agent.Message{Role: "user", Text: text} }
