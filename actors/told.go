package actors

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"agentzero/agent"
)

// ToldTurn is all that is known of one turn.
type ToldTurn struct {
	Start    StartTurn
	Accepted time.Time
	// Events are those from its beginning on that the journal has, and Rest reads
	// what follows them: to the turn's end, however long that takes. Where the turn
	// has ended, Rest reads all. The caller closes it.
	Events []Event
	Rest   *Subscription
	// Ended tells that the end is there to be read.
	Ended bool
}

// Turn tells a turn of a session from its beginning, wherever it is: in the
// journal, or in flight. place is that of its acceptance in the journal, as
// [Accepted] has it. With watch, the reader counts as one who watches the turn. It
// fails with a [*Refusal] where there is no such turn, or one that is hidden.
func (s *System) Turn(key Key, turn string, place uint64, watch bool) (*ToldTurn, error) {
	for last := false; ; last = true {
		r, err := s.readTurn(s.life, key, turn, place)
		if err != nil {
			return nil, err
		}
		told := &ToldTurn{Start: r.wanted.StartTurn, Accepted: r.wanted.accepted}
		if r.over {
			told.tell(r.retold())
			return told, nil
		}
		e := s.registry.lease(key)
		if e == nil {
			return nil, errDraining
		}
		flies, err := ask[flying](s, e.pid, &findTurn{turn})
		switch {
		case err != nil:
			s.registry.unlease(e)
			return nil, err
		case flies.here:
			told.Events = r.heard()
			s.follow(e, told, turn, max(r.wanted.logSeq, r.heardLast()), watch)
			s.registry.unlease(e)
			return told, nil
		}
		log := e.log.extract(turn)
		s.registry.unlease(e)
		if !last {
			continue // it has ended since the journal was read
		}
		if log == nil || !log.events[len(log.events)-1].Kind.Ends() {
			return nil, &Refusal{Code: RefusedUnavailable, Message: "the end of this answer is not stored yet", RetryAfter: time.Second}
		}
		told.tell(log)
		return told, nil
	}
}

// follow lets the reader go on in the session's log.
func (s *System) follow(e *entry, told *ToldTurn, turn string, after uint64, watched bool) {
	told.Rest = e.log.join(&Subscription{cursor: after, turn: turn})
	if watched {
		s.watching(e, told.Rest, turn)
		s.tell(e.pid, &watch{turn})
	}
}

func (t *ToldTurn) tell(log *Log) {
	t.Rest, t.Ended = log.subscribe(0, ""), true
}

func (s *System) readTurn(ctx context.Context, key Key, turn string, place uint64) (*revival, error) {
	unread := &Refusal{Code: RefusedUnavailable, Message: "the session's journal cannot be read", RetryAfter: time.Second}
	notFound := &Refusal{Code: RefusedNotFound, Message: "there is no such turn"}
	r, err := loadHead(ctx, s.options.Journal, key.id())
	switch {
	case err != nil:
		return nil, unread
	case !r.exists, place == 0, slices.Contains(r.hidden, place):
		return nil, notFound
	}
	r.window, r.only = math.MaxInt/4, turn
	if err := r.read(ctx, s.options.Journal, key.id(), place); err != nil {
		return nil, unread
	}
	if r.wanted == nil || r.wanted.place != place {
		return nil, notFound
	}
	if r.torn != nil {
		r.events = mend(r.events, turn, r.torn)
	}
	return r, nil
}

// heard are the events that were read.
func (r *revival) heard() []Event {
	if len(r.events) == 0 {
		return nil
	}
	return r.retold().events
}

func (r *revival) heardLast() uint64 {
	if len(r.events) == 0 {
		return 0
	}
	return r.events[len(r.events)-1].seq
}

// mend puts the whole answer in the place of deltas that could not all be written.
func mend(events []numbered, turn string, answer *agent.Message) []numbered {
	out := slices.DeleteFunc(events, func(n numbered) bool { return n.kind == EventDelta })
	if len(out) == 0 {
		return out
	}
	end := len(out) - 1
	at := out[end].seq
	out[end].seq++
	return slices.Insert(out, end, numbered{pending{kind: EventDelta, turn: turn, data: wholeDelta(answer)}, at})
}

// wholeDelta is a message as one chunk.
func wholeDelta(m *agent.Message) []byte {
	fields := map[string]json.RawMessage{}
	data, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(data, &fields)
	}
	var calls []map[string]json.RawMessage
	if err == nil && fields["tool_calls"] != nil && json.Unmarshal(fields["tool_calls"], &calls) == nil {
		for i := range calls {
			calls[i]["index"], _ = json.Marshal(i)
		}
		fields["tool_calls"], err = json.Marshal(calls)
	}
	if err != nil { // what the journal gave is valid
		return []byte(`"choices":[]`)
	}
	delta, _ := json.Marshal(fields)
	return append(append([]byte(`"choices":[{"index":0,"delta":`), delta...), `,"finish_reason":null}]`...)
}
