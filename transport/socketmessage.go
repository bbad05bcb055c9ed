package transport

import (
	"bytes"
	"encoding/json"
	"slices"

	"agentzero/actors"
	"agentzero/agent"
)

// socketMessage is what a client says in a text frame.
type socketMessage struct {
	cancel         bool
	turn           string // of a cancel
	content, model string
	busy           actors.BusyPolicy
	key            string
}

// parseSocketMessage reads a text frame: a JSON object that is a message or a
// cancel, and anything else as the message itself.
func parseSocketMessage(data []byte) (*socketMessage, error) {
	plain := &socketMessage{content: string(data)}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		if len(trimmed) == 0 {
			return nil, badRequest("", "an empty message cannot be answered")
		}
		return plain, nil
	}
	b, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	m := &socketMessage{}
	kind := ""
	if err := b.take("type", &kind, "a string"); err != nil {
		return nil, err
	}
	switch {
	case kind == "cancel":
		m.cancel = true
		m.turn, err = b.takeTurn()
		return m, err
	case kind == "message":
		err = b.takeText("content", &m.content)
	case kind == "" && b["message"] != nil:
		err = b.takeText("message", &m.content)
	case kind == "":
		return plain, nil // JSON, but none of ours: a message like any other text
	default:
		return nil, badRequest("type", "the type of a frame is message or cancel")
	}
	for _, err := range []error{
		err,
		b.take("model", &m.model, "a string"),
		b.take("idempotency_key", &m.key, "a string"),
	} {
		if err != nil {
			return nil, err
		}
	}
	m.busy, err = b.takeBusy()
	return m, err
}

// take does what a client's frame asks. The answer comes as events.
func (w *socket) take(data []byte) error {
	m, err := parseSocketMessage(data)
	if err != nil {
		return err
	}
	s := w.server
	if m.cancel {
		_, err := s.cancel(w.key, m.turn)
		return err
	}
	if d := s.limiter.Allow(w.limitKey()); !d.OK {
		s.options.Metrics.limited()
		return &Error{Code: CodeRateLimited, Message: "too many messages; try again later", RetryAfter: d.RetryAfter}
	}
	if s.draining.Load() {
		return interrupted(actors.ReasonShutdown)
	}
	t := turnRequest{key: w.key}
	t.turn.Busy = m.busy
	t.turn.Input = []agent.Message{textMessage(m.content)}
	t.turn.Model = m.model
	t.turn.Disconnect = actors.Disconnect{Grace: s.options.DisconnectGrace}
	if m.key != "" {
		t.turn.Watch = true // should it be a retry, the answer is told from its beginning
		if t.idem, err = idempotency(w.request, m.key, w.key, data); err != nil {
			return err
		}
	}
	started, err := s.options.Sessions.Start(t.key, t.turn, t.idem)
	if err != nil {
		return err
	}
	switch {
	case started.Replayed:
		w.replay(started.Events)
	case started.Events != nil:
		started.Events.Close() // the session's own events tell of it
	}
	return nil
}

// maxReplays is how many retried messages may wait to be told again.
const maxReplays = 16

// retold is a turn that came before, and what the socket had told when its
// message came again.
type retold struct {
	events *actors.Subscription
	told   uint64
}

// replay lets the writer tell the events of a turn that came before.
func (w *socket) replay(events *actors.Subscription) {
	w.mu.Lock()
	full := len(w.replays) >= maxReplays
	if !full {
		w.replays = append(w.replays, retold{events, w.sub.Position()})
	}
	w.mu.Unlock()
	if full {
		events.Close()
		w.notice(&Error{Code: CodeQueueFull, Message: "too many retried messages wait", RetryAfter: closeWait})
		return
	}
	w.line.wake()
}

// writeReplays tells turns again up to where the socket's own reading stands;
// what follows comes with the session's events.
func (w *socket) writeReplays() error {
	w.mu.Lock()
	replays := w.replays
	w.replays = nil
	w.mu.Unlock()
	for i, r := range replays {
		err := w.writeReplay(r)
		r.events.Close()
		if err != nil {
			for _, rest := range replays[i+1:] {
				rest.events.Close()
			}
			return err
		}
	}
	return nil
}

func (w *socket) writeReplay(r retold) error {
	own, limit := r.events.Epoch() == w.sub.Epoch(), w.sub.Position()
	if !own {
		limit = ^uint64(0) // it ended in an earlier life of the session
	}
	var events []actors.Event
	for past := -1; past < 0; {
		before := len(events)
		var err error
		if events, err = r.events.Read(events, maxRead); err != nil || len(events) == before {
			break // the end, or what is kept no more
		}
		if past = slices.IndexFunc(events, func(e actors.Event) bool { return e.Seq > limit }); past >= 0 {
			events = events[:past]
		}
	}
	if own && w.tells(events, r.told) {
		return nil
	}
	_, err := w.writeEvents(nil, events)
	return err
}

// tells reports whether the socket's own reading tells all of a turn, and its end
// after the message came again: then nothing is left to tell.
func (w *socket) tells(turn []actors.Event, told uint64) bool {
	for i := range turn {
		if turn[i].Content() != nil {
			last := &turn[len(turn)-1]
			return turn[i].Seq > w.from && !(last.Kind.Ends() && last.Seq <= told)
		}
	}
	return false
}

// limitKey is the same as that of the client's requests.
func (w *socket) limitKey() string {
	if id := w.request.identity.TokenID; id != "" {
		return id
	}
	return addressKey(w.request.address)
}

func appendJSONString(dst []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("transport: strings do not marshal: " + err.Error())
	}
	return append(dst, quoted...)
}
