package actors

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// run calls the agent for the session's next turn.
func (s *session) run(t *turn) {
	if t != s.current || t.phase != phaseAdmit {
		s.system.admission.release(t.ticket) // it was cancelled while the grant was on its way
		return
	}
	if !t.Deadline.IsZero() && !time.Now().Before(t.Deadline) {
		s.expired(t)
		return
	}
	s.expireAt(t)
	t.phase = phaseRunning
	t.started = time.Now()
	t.pipe = newPipe(s.log.limit)
	s.system.ledger.queued.Add(-1)
	s.system.ledger.running.Add(1)
	messages, left := s.conversation(t, s.system.live.Load())
	s.event(t, EventStarted, TurnEvent{LeftOut: left})
	t.begin = s.log.newest()
	s.noteStart(t)

	ctx, cancel := s.turnContext(t)
	t.cancel = cancel
	if t.Fit && left > 0 {
		s.ended(&turnEnded{turn: t, err: errNoFit})
		return
	}
	c := &call{system: s.system, self: s.self, mailbox: &s.entry.mailbox, turn: t, pipe: t.pipe,
		pace: pace{log: s.log, turn: t.Turn, pipe: t.pipe.max, patience: maxPatience}, request: agent.Request{
			Model: t.Model, Messages: messages, Params: t.Params, Whole: t.Whole,
		}}
	if !s.system.background(func() { c.run(ctx) }) {
		s.system.tell(s.self, &turnEnded{turn: t, err: context.Canceled})
	}
}

// hear puts what the agent has said into the log.
func (s *session) hear(t *turn, deltas []agent.Delta) {
	if t != s.current || t.phase != phaseRunning || len(deltas) == 0 {
		return
	}
	if !t.spoke {
		t.spoke = true
		s.system.options.Observer.FirstDelta(time.Since(t.accepted))
	}
	s.batch = s.batch[:0]
	for i := range deltas {
		d := &deltas[i]
		if !s.entry.ephemeral { // whose answers nobody asks for again
			t.answer.Add(*d)
		}
		if !s.room(t, len(d.Chunk)+eventOverhead) {
			s.log.append(s.batch...)
			s.batch = s.batch[:0]
			s.checkpoint(t)
		}
		t.unsaved += len(d.Chunk) + eventOverhead
		at, length := contentOf(d)
		s.batch = append(s.batch, pending{EventDelta, t.Turn, d.Chunk, at, length})
	}
	s.log.append(s.batch...)
	clear(s.batch) // the bytes are the agent's
	s.system.options.Observer.Deltas(len(deltas))
	s.saveLater(t)
}

// ended: the agent has returned, or is given up.
func (s *session) ended(m *turnEnded) {
	t := m.turn
	if t != s.current || t.phase != phaseRunning {
		return // given up before
	}
	s.hear(t, t.pipe.take())
	s.halt(t)
	s.observe(time.Since(t.started))
	t.result = m.result
	switch {
	case t.stopped != "":
		t.stop(t.stopped)
	case m.err != nil:
		t.fate, t.end, t.ending = FateFailed, EventFailed, TurnEvent{Failure: failureOf(m.err)}
		if t.ending.Failure.Expired {
			t.fate = FateExpired
		}
	default:
		t.fate, t.end = FateAnswered, EventCompleted
		s.model = m.result.Model
		t.ending = TurnEvent{FinishReason: m.result.FinishReason, Model: m.result.Model, Usage: m.result.Usage}
	}
	s.finish(t)
}

// halt lets go of the agent.
func (s *session) halt(t *turn) {
	switch t.phase {
	case phaseRunning:
		t.cancel()
		t.pipe.close()
		s.batch = nil
		s.system.admission.release(t.ticket)
		s.system.ledger.running.Add(-1)
		s.system.ledger.queued.Add(1) // it is in flight until it is settled
		t.phase = phaseSettle
	case phaseAdmit:
		s.system.admission.release(t.ticket)
	}
}

// observe keeps a moving mean of the turns' times, for Retry-After.
func (s *session) observe(took time.Duration) {
	if s.mean == 0 {
		s.mean = took
	}
	s.mean += (took - s.mean) / 4
}

// finish writes a turn's end down. The watchers see it when that is done, so
// that nobody is told of an answer that could still be lost; its number in the
// log is taken now, and written down with it.
func (s *session) finish(t *turn) {
	t.phase = phaseSettle
	t.stopTimers()
	s.unqueue(t)
	if s.entry.ephemeral {
		s.settled(&settled{turn: t})
		return
	}
	t.heldAt = s.log.hold(t.last()...)
	now := time.Now()
	record := s.record(t)
	if t.fate != FateMerged {
		s.count(t, &record, now)
		s.remember(t, &record, t.leaves(&record), now, s.flight)
	}
	s.appendEnd(t, &record, now, true)
}

// appendEnd writes the record of a turn's end. Until it is kept, the turn is in
// flight. counted tells that the session's sums hold it, so that they can be
// written with it.
func (s *session) appendEnd(t *turn, record *endRecord, now time.Time, counted bool) {
	data, err := encode(record)
	if err != nil { // what a provider answers may be no JSON; that must not stop the session
		s.system.options.Logger.Error("turn's end cannot be written whole", slog.String("turn_id", t.Turn), slog.Any("error", err))
		record.Said, record.Usage = nil, nil
		if record.Answered {
			record.Answer = t.salvage()
		}
		if data, err = encode(record); err != nil {
			record.Answer = nil
			data, _ = encode(record)
		}
	}
	s.repay()
	t.place = 0
	b := store.Batch{Events: []store.Event{{Kind: journalEnded, Turn: t.Turn, At: now, Data: data}}, Open: s.open(t)}
	if counted {
		if s.grown+len(data) >= max(minSnapshot, s.snapSize) {
			b.Snapshot = s.snapshot(s.last + 1)
		}
		b.Head = s.head(s.last + 1)
	}
	if t.fate != FateAnswered && t.fate != FateMerged {
		for _, k := range t.keys {
			b.Forgets = append(b.Forgets, k.key)
		}
	}
	s.append(b, []owed{s.debt(b.Events[0], b.Forgets)}, func(err error) any { return &settled{t, err} })
	t.writing = true
}

// record is what the journal keeps of a turn's end.
func (s *session) record(t *turn) endRecord {
	r := endRecord{
		Seq: t.heldAt, Fate: t.fate.String(), FinishReason: t.result.FinishReason, Model: t.result.Model, Usage: t.result.Usage,
		Failure: t.ending.Failure, Reason: t.ending.Reason, Into: t.ending.Into, IntoPlace: t.into, Ran: !t.started.IsZero(),
	}
	if !t.spoke {
		return r
	}
	answer := t.answer.Message()
	if r.Said = s.unsaid(t); t.torn {
		r.Said, r.Answer = nil, &answer
	}
	if t.fate == FateRolledBack {
		r.Answer = nil
		return r
	}
	r.Answered = answer.Text != "" || answer.Raw != nil || t.fate == FateAnswered
	r.Interrupted = r.Answered && t.fate != FateAnswered
	return r
}

// leaves is what a turn's answer leaves in the conversation, or nil.
func (t *turn) leaves(r *endRecord) *agent.Message {
	if !r.Answered {
		return nil
	}
	answer := t.answer.Message()
	return &answer
}

// settled: the turn's end is kept. Now it is over for everybody.
func (s *session) settled(m *settled) {
	t := m.turn
	t.writing = false
	if m.err != nil {
		s.system.options.Logger.Error("turn's end was not stored", slog.String("turn_id", t.Turn), slog.Any("error", m.err))
		s.failedWrite(m.err)
		if errors.Is(m.err, store.ErrFenced) && t.end == EventCompleted { // the new owner answers it again
			t.fate, t.end = FateFailed, EventFailed
			t.ending = TurnEvent{Failure: &Failure{Kind: KindInternal, Message: "the answer could not be stored: another owner has taken the session"}}
		}
	}
	s.close(t)
	if t == s.current {
		s.current = nil
	}
	s.advance()
	s.forget()
}

// close shows a turn's last events and counts its fate.
func (s *session) close(t *turn) {
	if t.closed {
		return // by the incarnation before this one
	}
	t.closed = true
	t.stopTimers()
	s.land(t)
	if t.fate != FateAnswered {
		s.system.idempotent.failed(t.keys) // before anybody can hear of it and try again
	}
	if f := t.ending.Failure; f != nil {
		s.system.options.Logger.Warn("turn failed", slog.String("session", s.entry.key.Name), slog.String("owner", s.entry.key.Owner),
			slog.String("turn_id", t.Turn), slog.String("model", t.Model), slog.String("kind", string(f.Kind)), slog.String("error", f.Message))
	}
	if t.heldAt > 0 {
		final := telling(t, t.end, t.ending)
		s.log.release(t.heldAt, &final)
	} else {
		s.log.append(t.last()...)
	}
	s.system.ended(s.log, t)
}

// last are the events that end a turn.
func (t *turn) last() []pending {
	var last []pending
	if t.end == EventCompleted && t.result.Completion != nil {
		last = append(last, pending{kind: EventCompletion, turn: t.Turn, data: t.result.Completion})
	}
	return append(last, telling(t, t.end, t.ending))
}

// event logs something that is not a delta.
func (s *session) event(t *turn, kind EventKind, e TurnEvent) {
	s.log.append(telling(t, kind, e))
}

func telling(t *turn, kind EventKind, e TurnEvent) pending {
	e.Turn = t.Turn
	data, err := json.Marshal(&e)
	if err != nil { // only a provider's usage can be at fault
		e.Usage = nil
		data, _ = json.Marshal(&e)
	}
	return pending{kind: kind, turn: t.Turn, data: data}
}

// find returns a turn that is in flight.
func (s *session) find(id string) *turn {
	if s.current != nil && s.current.Turn == id {
		return s.current
	}
	if i := slices.IndexFunc(s.queue, func(t *turn) bool { return t.Turn == id }); i >= 0 {
		return s.queue[i]
	}
	return nil
}
