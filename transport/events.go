package transport

import (
	"regexp"
	"strconv"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

// sessionEvents answers GET /v1/sessions/:id/events: what happens in a session,
// live, or from where the client lost it.
// See https://html.spec.whatwg.org/multipage/server-sent-events.html.
func (s *Server) sessionEvents(ctx *fasthttp.RequestCtx, r *request) error {
	key, err := sessionKey(ctx, r)
	if err != nil {
		return err
	}
	at, eventSource, err := resumePoint(ctx)
	if err != nil {
		return err
	}
	sub, err := s.options.Sessions.Subscribe(key, at)
	var refusal *actors.Refusal
	if eventSource && asRefusal(err, &refusal) && refusal.Code == actors.RefusedGap {
		// An EventSource reconnects for ever on an error status; the gap is told
		// as an event, and the running turn or the live stream follows.
		if sub, err = s.options.Sessions.Subscribe(key, actors.Subscribe{Live: true, FromTurn: true}); err == nil {
			return s.streamEvents(ctx, r, key, sub, gapEvent(key, refusal))
		}
	}
	if err != nil {
		return err
	}
	return s.streamEvents(ctx, r, key, sub, "")
}

func (s *Server) streamEvents(ctx *fasthttp.RequestCtx, r *request, key actors.Key, sub *actors.Subscription, gap string) error {
	ctx.Response.Header.Set("X-Session-Id", key.Name)
	w := s.watchEvents(ctx, r, nil, sub)
	// An id without data sets the position of a client that hears nothing for now.
	w.preface = "retry: 2000\nid: " + sub.Epoch() + "-" + strconv.FormatUint(sub.Position(), 10) + "\n\n" + gap
	w.handOver(&eventFrames{epoch: sub.Epoch()}, nil)
	return nil
}

// gapEvent names the stored messages to read instead of the lost events.
func gapEvent(key actors.Key, r *actors.Refusal) string {
	e := refused(r)
	body := e.appendJSON(nil)
	return "event: gap\ndata: {\"messages\":\"/v1/sessions/" + key.Name + "/messages\"," + string(body[1:]) + "\n\n"
}

// resumePoint reads Last-Event-ID or ?after=: `<epoch>-<seq>`, or a bare number of
// the present epoch. Without either the stream is live. An EventSource that comes
// back sends its Last-Event-ID to the address it began with, which may say after.
func resumePoint(ctx *fasthttp.RequestCtx) (at actors.Subscribe, eventSource bool, err error) {
	at = actors.Subscribe{Live: true}
	if value := string(ctx.QueryArgs().Peek("after")); value != "" {
		if at, err = parsePosition("after", value); err != nil {
			return at, false, err
		}
	}
	if value := string(ctx.Request.Header.Peek("Last-Event-ID")); value != "" {
		at, err = parsePosition("Last-Event-ID", value)
		return at, true, err
	}
	return at, false, nil
}

// positionForm is the id of an event, or its number alone. 19 digits always fit.
var positionForm = regexp.MustCompile(`^(?:([0-9a-z]+)-)?([0-9]{1,19})$`)

func parsePosition(param, value string) (actors.Subscribe, error) {
	parts := positionForm.FindStringSubmatch(value)
	if parts == nil {
		return actors.Subscribe{}, badRequest(param, "a position is <epoch>-<number>, as the id of an event, or a number")
	}
	seq, err := strconv.ParseUint(parts[2], 10, 64)
	return actors.Subscribe{Epoch: parts[1], After: seq}, err
}
