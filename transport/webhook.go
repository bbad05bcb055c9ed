package transport

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/channels"
)

// Channels is what the front end needs of the channels. The errors are those of
// [Sessions].
type Channels interface {
	Channel(name string) (*channels.Channel, error)
	Channels() []actors.ChannelDescription
	ChannelCounts() []actors.ChannelCounts
	Deliver(name string, m *channels.Message) (*actors.Delivered, error)
	Await(ctx context.Context, name, id string, most time.Duration) (actors.Delivery, error)
	Delivery(ctx context.Context, name, id string) (actors.Delivery, error)
	Deliveries(ctx context.Context, name string, states []actors.DeliveryState, after string, limit int) ([]actors.Delivery, error)
	CountDeliveries(ctx context.Context, name string) (map[string]int, error)
	Replay(ctx context.Context, name, id string) error
}

// webhookPath is the beginning of a delivery's path.
const webhookPath = "/v1/webhook/"

// signedBody is what a delivery may hold that is signed and has no token: the
// signature can be checked only when all of it is there.
const signedBody = 1 << 20

// channelOf finds the channel of the path.
func (s *Server) channelOf(ctx *fasthttp.RequestCtx) (*channels.Channel, error) {
	name, _ := ctx.UserValue("channel").(string)
	if s.options.Channels == nil {
		return nil, fail(CodeNotFound, "there is no channel of this name")
	}
	return s.options.Channels.Channel(name)
}

// signs reports whether a request is on its way to a channel whose senders sign.
func (s *Server) signs(h *fasthttp.RequestHeader) bool {
	name, ok := bytes.CutPrefix(h.RequestURI(), []byte(webhookPath))
	if !ok || s.options.Channels == nil || !h.IsPost() {
		return false
	}
	name, _, _ = bytes.Cut(name, []byte("?"))
	c, err := s.options.Channels.Channel(string(name))
	return err == nil && c.Signed()
}

// webhook answers POST /v1/webhook/:channel: verify, read, keep, and only then
// say so.
func (s *Server) webhook(ctx *fasthttp.RequestCtx, r *request) error {
	c, err := s.channelOf(ctx)
	if err != nil {
		if limited := s.limit(ctx, r); limited != nil {
			return limited // names are not to be tried out
		}
		return err
	}
	delivery := &channels.Request{Header: headerOf(&ctx.Request.Header), Body: ctx.PostBody()}
	if err := s.admit(ctx, r, c, delivery); err != nil {
		return err
	}
	wait, err := waitOf(ctx)
	if err != nil {
		return err
	}
	m, err := c.Parse(delivery)
	var unread *channels.BodyError
	switch {
	case errors.As(err, &unread):
		s.options.Metrics.delivery(c.Name(), "unreadable")
		return badRequest("", unread.Reason)
	case err != nil:
		return err
	case m.Handshake:
		setJSON(ctx, m.Reply)
		return nil
	case s.draining.Load():
		return interrupted(actors.ReasonShutdown)
	}
	delivered, err := s.options.Channels.Deliver(c.Name(), m)
	if err != nil {
		s.options.Metrics.delivery(c.Name(), "refused")
		return err
	}
	return s.delivered(ctx, c, m, delivered, wait)
}

// headerOf copies a request's header.
func headerOf(h *fasthttp.RequestHeader) http.Header {
	header := make(http.Header, 16)
	for name, value := range h.All() {
		header.Add(string(name), string(value))
	}
	return header
}

// admit checks who sends: by the channel's signature, or by a token. Guesses are
// counted against the rate limit, deliveries that are signed are not.
func (s *Server) admit(ctx *fasthttp.RequestCtx, r *request, c *channels.Channel, delivery *channels.Request) error {
	var refused error
	if c.Signed() {
		if refused = c.Verify(delivery, time.Now()); refused == nil {
			return nil
		}
		if _, given := bearer(ctx); !given {
			s.options.Metrics.delivery(c.Name(), "unsigned")
			if err := s.limit(ctx, r); err != nil {
				return err
			}
			return fail(CodeBadSignature, refused.Error())
		}
	}
	asks := *r
	asks.route = &route{pattern: r.route.pattern, scope: scopeWebhook}
	err := s.authenticate(ctx, &asks)
	r.identity = asks.identity
	if limited := s.limit(ctx, r); limited != nil {
		return limited
	}
	return err
}

// maxWait is the longest wait for an answer.
const maxWait = 5 * time.Minute

// waitOf reads ?wait: seconds, or a time such as 30s; none is 0.
func waitOf(ctx *fasthttp.RequestCtx) (time.Duration, error) {
	args := ctx.QueryArgs()
	if !args.Has("wait") {
		return 0, nil
	}
	value := string(args.Peek("wait"))
	if len(value) > maxTimeoutLength || !timeoutForm.MatchString(value) {
		return 0, badRequest("wait", "wait is a time in seconds, or such as 1m30s or 500ms")
	}
	if last := value[len(value)-1]; '0' <= last && last <= '9' {
		value += "s"
	}
	wait, err := time.ParseDuration(value)
	if err != nil { // the form is right, so it is too long for a Duration
		wait = maxWait
	}
	return min(wait, maxWait), nil
}

// deliveredJSON is the answer to a delivery. What follows Delivery is told to who
// waits.
type deliveredJSON struct {
	Accepted bool   `json:"accepted"`
	Channel  string `json:"channel"`
	Detail   string `json:"detail"`
	Delivery string `json:"delivery_id"`
	State    string `json:"state,omitempty"`
	Session  string `json:"session_id,omitempty"`
	Answer   string `json:"answer,omitempty"`
}

// delivered tells the sender of what was kept, and if it waits, of the answer.
func (s *Server) delivered(ctx *fasthttp.RequestCtx, c *channels.Channel, m *channels.Message, d *actors.Delivered, wait time.Duration) error {
	body := deliveredJSON{Accepted: true, Channel: c.Name(), Detail: "queued", Delivery: d.ID}
	outcome := "accepted"
	switch {
	case d.Duplicate:
		body.Detail, outcome = "duplicate: it was delivered before and is not run again", "duplicate"
	case d.Ignored != "":
		body.Detail, outcome = "ignored: "+d.Ignored, "ignored"
	}
	s.options.Metrics.delivery(c.Name(), outcome)
	if m.Reply != nil {
		setJSON(ctx, m.Reply)
		return nil
	}
	if wait <= 0 || d.Ignored != "" {
		return writeJSON(ctx, &body)
	}
	known, err := s.options.Channels.Await(s.life, c.Name(), d.ID, wait)
	if err != nil {
		return err
	}
	body.State, body.Session, body.Answer = string(known.State), known.Session, known.Answer
	switch {
	case known.State == actors.DeliveryQueued || known.State == actors.DeliveryRunning:
		body.Detail = "it is still being worked on"
		ctx.SetStatusCode(fasthttp.StatusAccepted)
	case known.Reason != "":
		body.Detail = known.Reason
	case !d.Duplicate:
		body.Detail = "answered"
	}
	return writeJSON(ctx, &body)
}

// stateList reads ?state=: names with commas between.
func stateList(text string) ([]actors.DeliveryState, error) {
	if text == "" {
		return nil, nil
	}
	var states []actors.DeliveryState
	for name := range strings.SplitSeq(text, ",") {
		known := false
		for _, state := range actors.DeliveryStates() {
			known = known || string(state) == name
		}
		if !known {
			return nil, badRequest("state", "a delivery's state is queued, running, replying, ignored, answered, replied, failed or dead")
		}
		states = append(states, actors.DeliveryState(name))
	}
	return states, nil
}
