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
	t.pipe = newPipe()
	s.system.ledger.queued.Add(-1)
	s.system.ledger.running.Add(1)
	s.event(t, EventStarted, TurnEvent{})

	ctx, cancel := s.turnContext(t)
	t.cancel = cancel
	c := &call{system: s.system, self: s.self, turn: t, pipe: t.pipe, request: agent.Request{
		Model: t.Model, Messages: s.conversation(t, s.system.live.Load().SystemPrompt), Params: t.Params, Whole: t.Whole,
	}}
	if !s.system.background(func() { c.run(ctx) }) {
		s.system.tell(s.self, &turnEnded{turn: t, err: context.Canceled})
	}
}

// deltas moves what the agent has said since the last time into the log.
func (s *session) deltas(t *turn) {
	if t != s.current || t.phase != phaseRunning {
		return
	}
	said := t.pipe.take()
	if len(said.ends) == 0 {
		return
	}
	if !t.spoke {
		t.spoke = true
		s.system.options.Observer.FirstDelta(time.Since(t.accepted))
	}
	s.batch = s.batch[:0]
	start := 0
	for _, m := range said.ends {
		chunk := said.bytes[start:m.end]
		start = m.end
		delta := agent.Delta{Chunk: chunk}
		if m.contentLen > 0 {
			delta.Content = chunk[m.contentAt : m.contentAt+m.contentLen]
		}
		t.answer.Add(delta)
		s.batch = append(s.batch, pending{EventDelta, t.Turn, chunk, m.contentAt, m.contentLen})
	}
	s.log.append(s.batch...)
	s.system.options.Observer.Deltas(len(s.batch))
}

// ended: the agent has returned, or is given up.
func (s *session) ended(m *turnEnded) {
	t := m.turn
	if t != s.current || t.phase != phaseRunning {
		return // given up before
	}
	s.deltas(t)
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
		s.batch = nil // it refers to the pipe's buffers
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

// finish writes a turn's end down. The watchers hear of it when that is done,
// so that nobody is told of an answer that could still be lost.
func (s *session) finish(t *turn) {
	t.phase = phaseSettle
	t.stopTimers()
	s.unqueue(t)
	record := s.record(t)
	if s.entry.ephemeral {
		s.settled(&settled{turn: t})
		return
	}
	now := time.Now()
	if t.fate != FateMerged {
		s.add(t, record, now)
	}
	data := s.encode(t, &record)
	self := s.self
	s.append([]store.Event{{Kind: journalEnded, Turn: t.Turn, At: now, Data: data}}, func(err error) {
		s.system.tell(self, &settled{t, err})
	})
	t.writing = true
}

// encode is a record as the journal keeps it. What a provider answers may be no
// JSON; that must not stop the session.
func (s *session) encode(t *turn, record *endRecord) []byte {
	data, err := json.Marshal(record)
	if err != nil {
		s.system.options.Logger.Error("turn's end cannot be written", slog.String("turn_id", t.Turn), slog.Any("error", err))
		record.Answer, record.Usage = nil, nil
		data, _ = json.Marshal(record)
	}
	return data
}

// record is what the journal keeps of a turn's end.
func (s *session) record(t *turn) endRecord {
	r := endRecord{
		Fate: t.fate.String(), FinishReason: t.result.FinishReason, Model: t.result.Model, Usage: t.result.Usage,
		Failure: t.ending.Failure, Reason: t.ending.Reason, Into: t.ending.Into, Ran: !t.started.IsZero(),
	}
	if !t.spoke || t.fate == FateRolledBack {
		return r
	}
	answer := t.answer.Message()
	if answer.Text == "" && answer.Raw == nil && t.fate != FateAnswered {
		return r
	}
	r.Answer, r.Interrupted = &answer, t.fate != FateAnswered
	return r
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

// close logs a turn's last events and its fate.
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
	var last []pending
	if t.end == EventCompleted && t.result.Completion != nil {
		last = append(last, pending{kind: EventCompletion, turn: t.Turn, data: t.result.Completion})
	}
	s.log.append(append(last, telling(t, t.end, t.ending))...)
	s.system.ended(s.log, t)
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
