package transport

import (
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// wait is a handler's wait for its turn. It watches the connection, so that the
// turn hears of a client that hangs up before anything was written.
type wait struct {
	server  *Server
	ctx     *fasthttp.RequestCtx
	request *request
	started *actors.Started
	events  *actors.Subscription
	line    *lifeline
	conn    *conn // nil where the connection cannot be watched
	unwatch func()
	preface string // what a stream begins with
}

func (s *Server) newWait(ctx *fasthttp.RequestCtx, r *request, started *actors.Started) *wait {
	return s.watchEvents(ctx, r, started, started.Events)
}

func (s *Server) watchEvents(ctx *fasthttp.RequestCtx, r *request, started *actors.Started, events *actors.Subscription) *wait {
	w := &wait{server: s, ctx: ctx, request: r, started: started, events: events}
	w.line = s.newLifeline(events, r.identity.TokenID)
	w.conn, _ = ctx.Conn().(*conn)
	w.resume()
	return w
}

// resume watches the connection, pause lets others read from it.
func (w *wait) resume() {
	w.unwatch = func() {}
	if w.conn != nil {
		w.unwatch = w.conn.watch(func() { w.line.cut(hungUp) })
	}
}

func (w *wait) pause() { w.unwatch() }

// done ends the wait; the turn hears that its watcher is gone.
func (w *wait) done() {
	w.pause()
	w.events.Close()
	w.server.release(w.line)
}

// errHungUp ends the handling of a request whose client is gone. The status is
// for the log alone.
var errHungUp = &Error{Code: CodeInterrupted, Status: 499, Message: "the client has hung up"}

// next waits for events and returns them, or none when the lifeline is due.
func (w *wait) next(events []actors.Event) ([]actors.Event, error) {
	for {
		<-w.events.Wake()
		events, err := w.take(events)
		if err != nil || len(events) > 0 || w.line.isDue() {
			return events, err
		}
	}
}

// take returns what there is after a wake: events, or why the wait is over.
func (w *wait) take(events []actors.Event) ([]actors.Event, error) {
	reason := w.line.reason.Load()
	switch reason {
	case hungUp:
		return events, errHungUp
	case revoked:
		return events, errorOfReason(reason)
	}
	events, err := w.read(events)
	if reason == shutDown { // the turns have ended; what they said is told before the end
		if err != nil || len(events) == 0 {
			return events, errorOfReason(reason)
		}
		w.events.Notify()
		return events, nil
	}
	return events, err
}

// maxRead is how many events are taken at once.
const maxRead = 256

// read takes the events that are there, following a turn that was merged.
func (w *wait) read(events []actors.Event) ([]actors.Event, error) {
	events, err := w.events.Read(events, maxRead)
	if err != nil {
		return events, readError(err)
	}
	for i := range events {
		if into := mergedInto(&events[i]); into != "" && w.started != nil {
			w.events.Follow(into)
		}
	}
	return events, nil
}

func mergedInto(e *actors.Event) string {
	if e.Kind != actors.EventMerged {
		return ""
	}
	var t actors.TurnEvent
	_ = json.Unmarshal(e.Data, &t) // the gateway's own; "" would only end the wait
	return t.Into
}

func readError(err error) *Error {
	if err == actors.ErrGap {
		return fail(CodeGap, "the reader is too far behind: "+err.Error())
	}
	return fail(CodeInterrupted, err.Error())
}

// stream waits for the turn to speak, or for a while, and then hands the
// connection over to a stream. A turn that ends without a word before that keeps
// its status.
func (w *wait) stream(f frames) error {
	w.line.every(w.server.options.StatusWait)
	var first []actors.Event
	for {
		events, err := w.next(nil)
		if err != nil {
			w.done()
			return err
		}
		first = append(first, events...)
		if len(events) == 0 || spoke(events) {
			break
		}
		if e := lastError(events); e != nil {
			w.done()
			return e
		}
		if w.line.isDue() { // together with the events
			break
		}
	}
	w.line.stopTimer()
	w.handOver(f, first)
	return nil
}

func spoke(events []actors.Event) bool {
	for i := range events {
		if k := events[i].Kind; k == actors.EventDelta || k == actors.EventCompleted {
			return true
		}
	}
	return false
}

func lastError(events []actors.Event) *Error {
	for i := range events {
		if e := endError(&events[i]); e != nil {
			return e
		}
	}
	return nil
}

// answer is a whole answer.
type answer struct {
	text       string
	message    agent.Message
	end        actors.TurnEvent
	completion []byte // where the provider gave it whole
}

// whole waits for the end of the turn.
func (w *wait) whole() (*answer, error) {
	defer w.done()
	var (
		a         answer
		assembler agent.Assembler
		events    []actors.Event
	)
	for {
		var err error
		if events, err = w.next(events[:0]); err != nil {
			return nil, err
		}
		for i := range events {
			e := &events[i]
			switch e.Kind {
			case actors.EventDelta:
				assembler.Add(agent.Delta{Chunk: e.Data, Content: e.Content()})
			case actors.EventCompletion:
				a.completion = e.Data
			case actors.EventFailed, actors.EventInterrupted:
				return nil, endError(e)
			case actors.EventCompleted:
				if err := json.Unmarshal(e.Data, &a.end); err != nil {
					return nil, err
				}
				a.text, a.message = assembler.Text(), assembler.Message()
				return &a, nil
			}
		}
	}
}

// chatCompletion is the answer as OpenAI's chat.completion.
func (a *answer) chatCompletion(started *actors.Started) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if a.completion != nil {
		if err := json.Unmarshal(a.completion, &fields); err != nil {
			return nil, err
		}
	} else {
		choice := map[string]any{"index": 0, "message": a.message, "logprobs": nil, "finish_reason": a.end.FinishReason}
		choices, err := json.Marshal([]any{choice})
		if err != nil {
			return nil, err
		}
		fields["choices"] = choices
	}
	set := func(name string, value any, always bool) {
		if _, there := fields[name]; !there || always {
			fields[name], _ = json.Marshal(value) // strings and numbers marshal
		}
	}
	set("id", completionID(started), true)
	set("object", "chat.completion", true)
	set("created", time.Now().Unix(), true)
	set("model", a.end.Model, false)
	if a.end.Usage != nil {
		set("usage", a.end.Usage, false)
	}
	return json.Marshal(fields)
}
