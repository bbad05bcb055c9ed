package actors

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
)

// failing is deferred around the handling of a message. A panic is passed on to
// the supervisor, which restarts the actor; the message is not tried again, and
// who sent it is told, unless its turn was accepted and goes on.
func (s *session) failing(message any, sender *actor.PID) {
	p := recover()
	if p == nil {
		return
	}
	s.system.options.Logger.Error("session's actor panicked", slog.String("session", s.entry.key.Name),
		slog.String("message", fmt.Sprintf("%T", message)), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if sender != nil && !slices.ContainsFunc(s.flight, func(t *turn) bool { return t.sender == sender }) {
		s.refuse(sender, RefusedUnavailable, restarted, time.Second)
	}
	panic(p)
}

const restarted = "the session's actor failed and was restarted"

// crash leaves what can be saved to the next incarnation: the turns that wait
// go on, and those whose record is being written end as it says. The turn that
// ran is lost with the state it worked on, and fails.
func (s *session) crash() {
	if s.idle != nil {
		s.idle.Stop()
	}
	s.entry.crashed = true
	s.entry.stash = append(s.entry.stash, s.stash...)
	s.refuse(s.deleter, RefusedUnavailable, restarted, time.Second)
	if s.loading {
		return // what was left by the incarnation before is there still
	}
	for _, t := range slices.Clone(s.flight) {
		waits := t.phase == phaseQueued && slices.Contains(s.queue, t) && !s.entry.ephemeral
		switch {
		case t.writing, waits:
		case t.phase == phaseJournal:
			s.unaccept(t)
		default:
			s.fail(t, restarted)
		}
	}
	s.entry.flight, s.entry.queue, s.entry.watched, s.entry.owed = s.flight, s.queue, s.watched, s.owed
}

// resume takes over what an incarnation before this one left.
func (s *session) resume() {
	s.flight, s.entry.flight = s.entry.flight, nil
	s.queue, s.entry.queue = s.entry.queue, nil
	s.watched, s.entry.watched = s.entry.watched, 0
	for _, t := range s.queue {
		if t.phase == phaseQueued {
			s.welcome(t)
		}
	}
}

// inherit takes up what the incarnation before could not write: it has happened, and
// is written before anything else.
func (s *session) inherit(r *revival) error {
	s.owed, s.entry.owed = s.entry.owed, nil
	for i := range s.owed {
		e := s.owed[i].event
		e.Seq = r.last + uint64(i) + 1
		if err := r.apply(&e); err != nil {
			return err
		}
		s.debts = max(s.debts, s.owed[i].n)
	}
	return nil
}

// failWaiting fails the turns that wait.
func (s *session) failWaiting(message string) {
	for _, t := range slices.Clone(s.queue) {
		if t.phase == phaseQueued {
			s.fail(t, message)
		}
	}
}

// fail ends a turn at once because of a fault of the gateway itself. It trusts
// nothing of what the turn holds.
func (s *session) fail(t *turn, message string) {
	s.unqueue(t)
	t.fate, t.end = FateFailed, EventFailed
	t.ending = TurnEvent{Failure: &Failure{Kind: KindInternal, Message: message}}
	s.halt(t)
	t.phase = phaseSettle
	s.welcome(t)
	s.close(t)
	if s.entry.ephemeral {
		return
	}
	record := endRecord{Seq: s.log.newest(), Fate: t.fate.String(), Failure: t.ending.Failure, Ran: !t.started.IsZero()}
	record.Answered = t.salvage() != nil
	record.Interrupted = record.Answered
	switch {
	case t.torn || slices.ContainsFunc(s.owed, func(o owed) bool { return o.event.Turn == t.Turn }):
		record.Answer = t.salvage()
	case record.Answered:
		record.Said = s.unsaid(t)
	}
	s.appendEnd(t, &record, time.Now(), false)
}

// salvage is what there is of the answer, if it can be had.
func (t *turn) salvage() (partial *agent.Message) {
	defer func() {
		if recover() != nil {
			partial = nil
		}
	}()
	if !t.spoke {
		return nil
	}
	m := t.answer.Message()
	if m.Text == "" && m.Raw == nil {
		return nil
	}
	return &m
}
