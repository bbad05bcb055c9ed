package transport

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
	"agentzero/transport/responses"
)

// responseRequest is a request for a response, as a turn.
type responseRequest struct {
	*turnRequest
	*responses.Request
}

// createResponse answers POST /v1/responses.
// See https://platform.openai.com/docs/api-reference/responses.
func (s *Server) createResponse(ctx *fasthttp.RequestCtx, r *request) error {
	q, err := s.parseResponse(ctx, r)
	if err != nil {
		return err
	}
	started, err := s.startResponse(ctx, r, q)
	if err != nil {
		return err
	}
	builder := responses.NewBuilder(responses.New(responseID(started), started.At, q.Settings), started.Turn, -1)
	switch {
	case q.Background && q.Stream:
		s.newWait(ctx, r, started).responseStream(builder, nil)
		return nil
	case q.Background && started.Replayed: // it may have come far
		return s.tellResponse(ctx, r, actors.Key{Owner: r.identity.Owner, Name: started.Session}, responses.Ref{Turn: started.Turn, Session: started.Session, Place: started.Place})
	case q.Background:
		return writeJSON(ctx, builder.Response())
	}
	w := s.newWait(ctx, r, started)
	if q.Stream {
		f := &responseFrames{builder}
		w.preface = string(builder.Begin(nil))
		return w.stream(f)
	}
	failure, err := w.response(builder)
	if err != nil {
		return err
	}
	if failure != nil {
		return failure
	}
	return writeJSON(ctx, builder.Response())
}

func responseID(started *actors.Started) string {
	return responses.Ref{Turn: started.Turn, Session: started.Session, Place: started.Place}.ID()
}

func (s *Server) parseResponse(ctx *fasthttp.RequestCtx, r *request) (*responseRequest, error) {
	b, err := parseBody(ctx, false)
	if err != nil {
		return nil, err
	}
	busy, err := b.takeBusy()
	if err != nil {
		return nil, err
	}
	q := new(responseRequest)
	if q.Request, err = responses.Parse(b); err != nil {
		return nil, err
	}
	conversation := ""
	if q.Conversation != nil {
		if conversation, err = actors.ParseName(q.Conversation.ID); err != nil {
			return nil, &Error{Code: CodeNotFound, Param: "conversation", Message: "there is no such conversation"}
		}
	}
	if q.turnRequest, err = s.newTurnRequest(ctx, r, r.identity.Owner, conversation, busy); err != nil {
		return nil, err
	}
	t := &q.turnRequest.turn
	if t.Busy == actors.BusyCollect {
		return nil, badRequest("on_busy", "a response answers one request: the busy policy is queue, reject, interrupt or rollback here")
	}
	if q.Conversation == nil && q.key.Name != "" { // by the header
		if q.Previous != nil {
			return nil, badRequest("previous_response_id", "X-Session-Id and previous_response_id exclude each other")
		}
		q.Conversation = &responses.Named{ID: q.key.Name}
	}
	t.Existing = conversation != ""
	t.Items = true
	t.Input = q.Input
	t.Model, t.Params = q.Model, q.Params
	t.Fit = q.Truncation == "disabled"
	t.Watch = !q.Background || q.Stream
	if q.Instructions != nil && *q.Instructions != "" {
		t.System = []agent.Message{{Role: "system", Text: *q.Instructions}}
	}
	switch {
	case q.Background:
		t.Disconnect = actors.Disconnect{Continue: true}
	case q.Store && len(ctx.Request.Header.Peek("X-On-Disconnect")) == 0:
		t.Disconnect.Grace = s.options.DisconnectGrace
	}
	return q, nil
}

// startResponse puts the request to its session: the conversation that it names,
// that of the response which it follows, or one of its own.
func (s *Server) startResponse(ctx *fasthttp.RequestCtx, r *request, q *responseRequest) (*actors.Started, error) {
	if q.Previous != nil {
		return s.startBehind(ctx, r, q)
	}
	if q.key.Name == "" && q.Store {
		q.key.Name = actors.NewID("ses_")
	}
	return s.startKept(ctx, q, 0)
}

// startKept starts the turn with what is kept of the request. history is how many
// of its messages were said before it.
func (s *Server) startKept(ctx *fasthttp.RequestCtx, q *responseRequest, history int) (*actors.Started, error) {
	extra, err := json.Marshal(responses.Kept{Settings: q.Settings, History: history})
	if err != nil {
		return nil, err
	}
	q.turnRequest.turn.Extra = extra
	return s.start(ctx, q.turnRequest)
}

// startBehind continues the session of the response before, where that is its last,
// or else begins one with a copy of what was said up to there.
func (s *Server) startBehind(ctx *fasthttp.RequestCtx, r *request, q *responseRequest) (*actors.Started, error) {
	key, ref, told, kept, err := s.findResponse(*q.Previous, r.identity.Owner, false)
	if err != nil {
		var e *Error
		if e = errorOf(err); e.Code == CodeNotFound {
			e.Param = "previous_response_id"
		}
		return nil, e
	}
	told.Rest.Close()
	t := &q.turnRequest.turn
	if q.Store && kept.Settings.Conversation == nil {
		q.key.Name = key.Name
		t.Existing, t.Behind = true, ref.Turn
		started, err := s.startKept(ctx, q, 0)
		var refusal *actors.Refusal
		if !asRefusal(err, &refusal) || refusal.Code != actors.RefusedPassed {
			return started, err
		}
		t.Existing, t.Behind = false, ""
	}
	if !told.Ended {
		return nil, &Error{Code: CodeSessionBusy, Param: "previous_response_id", Message: "the response before is not over, and cannot be branched from yet"}
	}
	before, err := s.options.Sessions.Messages(key)
	if err != nil {
		return nil, err
	}
	history := before.UpTo(ref.Place)
	t.Own, t.Input = true, append(history, q.Input...)
	q.key.Name = ""
	if q.Store {
		q.key.Name = actors.NewID("ses_")
	}
	return s.startKept(ctx, q, len(history))
}

// findResponse finds a response of an owner by its id. The caller closes what it is
// told by.
func (s *Server) findResponse(id, owner string, watch bool) (key actors.Key, ref responses.Ref, told *actors.ToldTurn, kept responses.Kept, err error) {
	notFound := fail(CodeNotFound, "there is no such response; those with store false are not kept")
	ref, ok := responses.ParseRef(id)
	name, nameErr := actors.ParseName(ref.Session)
	if !ok || nameErr != nil {
		return key, ref, nil, kept, notFound
	}
	key = actors.Key{Owner: owner, Name: name}
	told, err = s.options.Sessions.Turn(key, ref.Turn, ref.Place, watch)
	var refusal *actors.Refusal
	if asRefusal(err, &refusal) && refusal.Code == actors.RefusedNotFound {
		return key, ref, nil, kept, notFound
	}
	if err != nil {
		return key, ref, nil, kept, err
	}
	if told.Start.Extra == nil || json.Unmarshal(told.Start.Extra, &kept) != nil || !kept.Settings.Store {
		told.Rest.Close()
		return key, ref, nil, kept, notFound
	}
	return key, ref, told, kept, nil
}

// responseFrames writes the events of a response.
type responseFrames struct{ builder *responses.Builder }

func (f *responseFrames) append(dst []byte, e *actors.Event) ([]byte, bool) {
	before := len(dst)
	dst, last := f.builder.Add(dst, e)
	if last && len(dst) == before { // the client has it all, and must still see an end
		dst = append(dst, keepAlive...)
	}
	return dst, last
}

func (f *responseFrames) fail(dst []byte, e *Error) []byte {
	return f.builder.Fail(dst, string(e.Code), e.Message, e.Param)
}

// responseStream hands the connection over at once: what is told of the response
// goes out, and then what follows.
func (w *wait) responseStream(b *responses.Builder, first []actors.Event) {
	w.preface = string(b.Begin(nil))
	w.handOver(&responseFrames{b}, first)
}

// response waits for the end of the turn. A turn that failed is an error; one that
// was cut short is a response that tells it.
func (w *wait) response(b *responses.Builder) (failure *Error, err error) {
	defer w.done()
	var events []actors.Event
	for {
		if events, err = w.next(events[:0]); err != nil {
			return nil, err
		}
		for i := range events {
			if _, last := b.Add(nil, &events[i]); !last {
				continue
			}
			if events[i].Kind == actors.EventFailed {
				failure = endError(&events[i])
			}
			return failure, nil
		}
	}
}
