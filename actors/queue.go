package actors

import (
	"bytes"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/store"
)

// startTurn accepts a message or refuses it, by the session's state and the
// message's busy policy.
func (s *session) startTurn(m *StartTurn, sender *actor.PID) {
	live := s.system.live.Load()
	now := time.Now()
	if m.Busy == "" {
		m.Busy = live.BusyPolicy
	}
	if m.Deadline.IsZero() && live.TurnTimeout > 0 {
		m.Deadline = now.Add(live.TurnTimeout)
	}
	t := newTurn(*m, sender, now)
	switch {
	case s.refusal != nil:
		s.respond(sender, s.refusal)
		return
	case s.system.draining.Load():
		s.refuse(sender, RefusedDraining, "the gateway is shutting down", time.Second)
		return
	case !m.Deadline.IsZero() && !now.Before(m.Deadline):
		s.refuse(sender, RefusedExpired, "the request's time limit had passed when it arrived", 0)
		return
	case m.Existing && !s.exists:
		s.refuse(sender, RefusedNotFound, "there is no such session", 0)
		return
	case m.Behind != "" && m.Behind != s.latest():
		s.refuse(sender, RefusedPassed, "another turn is the last of the session", 0)
		return
	case s.answering() && m.Busy == BusyReject:
		s.refuse(sender, RefusedBusy, "the session is answering another message", s.retryAfter())
		return
	case s.waiting() >= live.QueueLimit:
		s.refuse(sender, RefusedQueueFull, "too many messages wait in this session", s.retryAfter())
		return
	case !s.answering() && s.system.admission.full():
		s.refuse(sender, RefusedQueueFull, "too many messages wait in this gateway", s.retryAfter())
		return
	}
	s.accept(t)
}

// answering reports whether a message would have to wait.
func (s *session) answering() bool { return s.current != nil || len(s.queue) > 0 }

// latest is the turn that was accepted last, as far as it has left anything.
func (s *session) latest() string {
	switch {
	case len(s.flight) > 0:
		return s.flight[len(s.flight)-1].Turn
	case len(s.items) > 0:
		return s.items[len(s.items)-1].Turn
	}
	return ""
}

// waiting counts the messages that wait behind the one that runs or is about
// to, those that were merged among them.
func (s *session) waiting() int {
	n := len(s.queue)
	for _, t := range s.queue {
		n += len(t.members)
	}
	if s.current == nil && n > 0 {
		n--
	}
	return n
}

// accept takes a turn in at its place and begins to write it down.
func (s *session) accept(t *turn) {
	if !s.exists {
		s.exists = true
		s.created = t.accepted
	}
	s.flight = append(s.flight, t)
	s.system.ledger.accepted.Add(1)
	s.system.ledger.queued.Add(1)
	if t.Watch {
		t.watched = 1
	}
	t.reply = Accepted{Turn: t.Turn, Follow: t.Turn, Position: s.place(t), After: s.log.position(), At: t.accepted}
	if !t.Deadline.IsZero() && t.reply.Position > 0 {
		s.expireAt(t)
	}
	if s.entry.ephemeral {
		s.journaled(&journaled{turn: t})
		return
	}
	// What is written down is the message, so an interruption asked for by it
	// happens only when it is certain to run.
	s.repay()
	b := store.Batch{Open: true}
	if s.last == 0 {
		b.Events = append(b.Events, store.Event{Kind: journalCreated, At: t.accepted})
		b.Head = s.head(1)
	}
	data, err := encode(&acceptRecord{StartTurn: t.StartTurn, LogSeq: t.reply.After})
	if err != nil {
		s.system.tell(s.self, &journaled{t, err})
		return
	}
	b.Events = append(b.Events, store.Event{Kind: journalAccepted, Turn: t.Turn, At: t.accepted, Data: data})
	t.place = s.last + uint64(len(b.Events))
	t.reply.Place = t.place
	if s.since == 0 {
		s.since = t.place
	}
	if t.IdempotencyKey != "" {
		b.Claims = []store.Claim{{
			Key: t.IdempotencyKey, Fingerprint: t.Fingerprint, Session: s.entry.key.id(), Turn: t.Turn, Place: t.place, At: t.accepted,
		}}
	}
	s.append(b, nil, func(err error) any { return &journaled{t, err} })
	t.writing = true
}

// interrupts reports whether the turn takes the place of the present one.
func (t *turn) interrupts() bool { return t.Busy == BusyInterrupt || t.Busy == BusyRollback }

// place puts a turn in the queue and returns how many are before it. One that
// interrupts goes before those that are content to wait.
func (s *session) place(t *turn) int {
	at := len(s.queue)
	if t.interrupts() {
		at = 0
		for at < len(s.queue) && s.queue[at].interrupts() {
			at++
		}
	}
	s.queue = slices.Insert(s.queue, at, t)
	if s.current != nil {
		at++
	}
	return at
}

// journaled: the turn is kept. Now its sender hears of it, and it takes part.
func (s *session) journaled(m *journaled) {
	t := m.turn
	if t.phase != phaseJournal || !slices.Contains(s.flight, t) {
		return // an incarnation before this one failed before it knew of this
	}
	t.writing = false
	if m.err != nil {
		s.failedWrite(m.err)
		s.unaccept(t)
		s.advance()
		s.forget()
		return
	}
	s.kept = true
	if t.parked {
		s.handOver(t)
		return
	}
	if t.end != 0 { // cancelled meanwhile
		s.welcome(t)
		s.finish(t)
		return
	}
	t.phase = phaseQueued
	switch t.Busy {
	case BusyCollect:
		if s.collect(t) {
			return
		}
	case BusyInterrupt, BusyRollback:
		s.interrupt(t)
	}
	s.advance()
	if t.phase < phaseRunning && !t.queued {
		s.announce(t)
	}
	s.welcome(t)
}

// welcome tells a turn's sender that it is accepted.
func (s *session) welcome(t *turn) {
	s.respond(t.sender, &t.reply)
	t.sender = nil
}

// unaccept refuses a turn that could not be written down.
func (s *session) unaccept(t *turn) {
	s.unqueue(t)
	s.land(t)
	t.phase = phaseSettle
	s.system.ledger.accepted.Add(-1)
	s.system.ledger.queued.Add(-1)
	t.stopTimers()
	s.unmake()
	s.leave()
	if s.refusal != nil {
		s.respond(t.sender, s.refusal)
	} else {
		s.refuse(t.sender, RefusedUnavailable, "the message could not be stored", time.Second)
	}
	t.sender = nil
}

// land ends the flight of a turn.
func (s *session) land(t *turn) {
	if i := slices.Index(s.flight, t); i >= 0 {
		s.flight = slices.Delete(s.flight, i, i+1)
	}
}

// announce logs that a turn waits.
func (s *session) announce(t *turn) {
	t.queued = true
	s.event(t, EventQueued, TurnEvent{Position: max(1, t.reply.Position)})
}

// collect merges a turn with the one that waits already and collects, if any.
func (s *session) collect(t *turn) bool {
	i := slices.Index(s.queue, t)
	if i <= 0 {
		return false
	}
	into := s.queue[i-1]
	if into.phase != phaseQueued || !into.takes(t) {
		return false
	}
	into.takeIn(t)
	into.watched += t.watched
	t.reply.Follow = into.Turn
	t.reply.Position = into.reply.Position
	s.welcome(t)
	if t.watched > 0 {
		into.stay()
	}
	t.fate, t.end, t.ending = FateMerged, EventMerged, TurnEvent{Into: into.Turn}
	t.into = into.place
	s.finish(t)
	return true
}

// takeIn adds another turn's message to this one.
func (t *turn) takeIn(other *turn) {
	t.Input = append(slices.Clone(t.Input), other.said...)
	t.said = append(slices.Clone(t.said), other.said...)
	t.Disconnect.Continue = t.Disconnect.Continue || other.Disconnect.Continue
	t.Disconnect.Grace = max(t.Disconnect.Grace, other.Disconnect.Grace)
	t.members = append(t.members, other.Turn)
	t.keys, other.keys = append(t.keys, other.keys...), nil
}

// takes reports whether a turn may take another's message in: both collect, and
// are to be answered in the same way.
func (t *turn) takes(other *turn) bool {
	return t.Busy == BusyCollect && other.Busy == BusyCollect && !t.Own && !other.Own && !t.Items && !other.Items &&
		t.Whole == other.Whole && t.Model == other.Model && t.Class == other.Class && bytes.Equal(t.Params, other.Params)
}

// interrupt cancels the present turn for the sake of the next, and the turns
// that wanted to interrupt it before: only the last of them is answered,
// however long the present one takes to let go. They end behind it, so that
// their messages stand in order.
func (s *session) interrupt(next *turn) {
	reason, rollback := ReasonInterrupted, next.Busy == BusyRollback
	if rollback {
		reason = ReasonRolledBack
	}
	for _, t := range s.queue {
		if t == next {
			break
		}
		if t.interrupts() && t.phase == phaseQueued && t.end == 0 {
			t.rollback = rollback
			t.stop(reason)
		}
	}
	if t := s.current; t != nil && t.phase < phaseSettle && t.stopped == "" {
		t.rollback = rollback
		s.cancel(t, reason)
	}
}

// advance lets the next turn run if none does.
func (s *session) advance() {
	if s.current != nil {
		return
	}
	for len(s.queue) > 0 && s.queue[0].phase == phaseQueued && s.queue[0].end != 0 {
		s.finish(s.queue[0])
	}
	if len(s.queue) == 0 || s.queue[0].phase != phaseQueued {
		return
	}
	t := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	s.current = t
	t.phase = phaseAdmit
	self := s.self
	t.ticket = &ticket{owner: s.entry.key.Owner, class: t.Class, grant: func() { s.system.tell(self, &admitted{t}) }}
	if s.system.admission.acquire(t.ticket) {
		s.run(t)
	} else {
		s.expireAt(t)
	}
}

func (s *session) expireAt(t *turn) {
	if t.Deadline.IsZero() || t.expiry != nil {
		return
	}
	self := s.self
	t.expiry = time.AfterFunc(time.Until(t.Deadline), func() { s.system.tell(self, &expired{t}) })
}

// expired: the deadline of a turn has passed. One that runs is over when the
// agent has let go.
func (s *session) expired(t *turn) {
	switch {
	case t.end != 0, t.stopped != "", !slices.Contains(s.flight, t):
		return
	case t.phase == phaseRunning:
		s.giveUpLater(t)
		return
	}
	t.fate, t.end = FateExpired, EventFailed
	t.ending = TurnEvent{Failure: &Failure{Kind: "timeout", Expired: true, Message: "the turn's time limit passed while it waited"}}
	s.drop(t)
}

// cancelTurn cancels one turn or all.
func (s *session) cancelTurn(m *CancelTurn, sender *actor.PID) {
	if !s.known(sender) {
		return
	}
	s.respond(sender, &Cancelled{Turns: s.cancelAll(m.Turn, m.Reason)})
}

// cancelAll cancels the turn of this id, or with "" all, and returns their ids.
func (s *session) cancelAll(id, reason string) []string {
	ids := []string{}
	for _, t := range append(slices.Clone(s.queue), s.current) {
		if t != nil && (id == "" || id == t.Turn) && t.phase < phaseSettle && t.stopped == "" && t.end == 0 && !t.parked {
			ids = append(ids, t.Turn)
			s.cancel(t, reason)
		}
	}
	return ids
}

// cutOff cancels everything. At a shutdown, what waits is left to the process
// that comes next, where there is a journal to leave it in.
func (s *session) cutOff(reason string) {
	if reason == ReasonShutdown && s.system.options.Resumes && !s.entry.ephemeral {
		for _, t := range slices.Clone(s.flight) {
			s.park(t)
		}
	}
	s.cancelAll("", reason)
}

// park takes a turn that waits out of this process. The journal has it as one
// that was accepted and has not ended.
func (s *session) park(t *turn) {
	if t.end != 0 || t.phase > phaseAdmit {
		return
	}
	s.unqueue(t)
	if t == s.current {
		s.system.admission.release(t.ticket)
		s.current = nil
	}
	if t.phase == phaseJournal {
		t.parked = true // once that is written
		return
	}
	s.handOver(t)
}

// handOver ends a turn's flight here; it is accepted again where it goes on.
func (s *session) handOver(t *turn) {
	s.welcome(t)
	s.land(t)
	t.stopTimers()
	t.phase = phaseSettle
	s.left = append(s.left, t.place)
	s.system.ledger.accepted.Add(-1)
	s.system.ledger.queued.Add(-1)
	s.system.rested()
}

// cancel ends a turn early. One that runs is over when the agent has let go.
func (s *session) cancel(t *turn, reason string) {
	if t.phase == phaseRunning {
		t.stopped = reason
		t.cancel()
		s.giveUpLater(t)
		return
	}
	t.stop(reason)
	s.drop(t)
}

// stop decides that a turn is cut short.
func (t *turn) stop(reason string) {
	t.stopped = reason
	t.fate, t.end, t.ending = FateCancelled, EventInterrupted, TurnEvent{Reason: reason}
	if t.rollback {
		t.fate = FateRolledBack
	}
}

// giveUpLater bounds the time that the agent may take to let go of a turn.
func (s *session) giveUpLater(t *turn) {
	if t.overdue != nil {
		return
	}
	self := s.self
	t.overdue = time.AfterFunc(s.system.options.CancelTimeout, func() { s.system.tell(self, &overdue{t}) })
}

// drop takes a turn that never ran out of the order and ends it.
func (s *session) drop(t *turn) {
	if t.phase == phaseJournal {
		s.unqueue(t) // it ends when its acceptance is written
		return
	}
	if t == s.current {
		s.system.admission.release(t.ticket)
	}
	s.finish(t)
}

func (s *session) unqueue(t *turn) {
	if i := slices.Index(s.queue, t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}

// retryAfter reckons from the session's own turns how long the queue will take.
func (s *session) retryAfter() time.Duration {
	wait := s.mean * time.Duration(len(s.queue))
	if s.current != nil && !s.current.started.IsZero() {
		wait += max(0, s.mean-time.Since(s.current.started))
	}
	return max(time.Second, wait)
}
