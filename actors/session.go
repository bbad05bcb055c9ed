package actors

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// session is the actor of one conversation. Its mailbox is what puts the turns
// of all doors in one order; everything slow happens elsewhere and is told to it
// as a message, so that it always answers at once.
type session struct {
	system *System
	entry  *entry // its place in the registry
	log    *Log
	self   *actor.PID

	*state
	kept    bool // the journal has the session
	loading bool
	stash   []stashed // what came while the journal was read
	refusal *Refusal  // why nothing is accepted any more: deleted, moved, or not readable
	asking  bool      // the journal is asked why it took no more
	gone    bool      // its name is free for another actor, as its journal has another owner

	flight  []*turn // all turns that were accepted and have not ended
	current *turn   // the turn that runs or is the next to run
	queue   []*turn // the turns that wait behind it
	watched int     // watchers of the whole session
	mean    time.Duration
	idle    *time.Timer
	active  time.Time // of the last message that counts as activity
	model   string    // that answered last
	batch   []pending // scratch of deltas

	writing []*written // batches on their way to the journal, in their order
	owed    []owed     // what could not be written and is still to be
	debts   uint64     // numbers them
	left    []uint64   // places of turns that are left to the next process

	deleting bool // the journal is to be removed when nothing runs
	deleter  *actor.PID
}

// maxStash is how many requests may wait for the journal to be read.
const maxStash = 1000

type stashed struct {
	message any
	sender  *actor.PID
}

// Receive reads as the list of what a session can be told.
func (s *session) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.wakeUp(ctx)
	case *actor.Restarting:
		s.crash()
	case *actor.Stopping:
		s.stop()
	case *loaded:
		s.loaded(ctx, m)
	case *written:
		if s.loading {
			s.hold(m, nil)
			return
		}
		s.receive(ctx, m, nil)
	default:
		if s.loading || s.asking && ctx.Sender() != nil {
			s.hold(m, ctx.Sender())
			return
		}
		s.receive(ctx, m, ctx.Sender())
	}
}

// hold keeps a message until the session has its state.
func (s *session) hold(message any, sender *actor.PID) {
	if sender != nil && len(s.stash) >= maxStash {
		s.refuse(sender, RefusedUnavailable, "too many messages wait for the session's journal", time.Second)
		return
	}
	s.stash = append(s.stash, stashed{message, sender})
}

// receive handles what needs the session's state. The sender is given apart
// because a stashed message has lost its context.
func (s *session) receive(ctx actor.Context, message any, sender *actor.PID) {
	defer s.failing(message, sender)
	switch m := message.(type) {
	case *said:
		s.hear(m.turn, m.deltas)
		return // no sign of a client's life
	case *deltasReady:
		s.hear(m.turn, m.turn.pipe.take())
		return
	case *checkpoint:
		s.checkpoint(m.turn)
		return
	case *idleCheck:
		s.passivate(ctx, m.now)
		return
	case *recheck:
		s.recheck(m)
		return
	case *keptState:
		s.compare(m)
		s.leave()
		s.unstash(ctx)
		s.rest(ctx)
		return
	case *displaced:
		s.displaced(m)
		s.rest(ctx)
		return

	case *StartTurn:
		s.startTurn(m, sender)
	case *CancelTurn:
		s.cancelTurn(m, sender)
	case *Subscribe:
		s.subscribe(m, sender)
	case *CreateSession:
		s.create(m, sender)
	case *Describe:
		s.describe(sender)
		if m.Glance {
			s.rest(ctx)
			return
		}
	case *ReadMessages:
		s.readMessages(sender)
	case *DeleteSession:
		s.delete(m, sender)
	case *AddItems:
		s.addItems(m, sender)
	case *RemoveItem:
		s.removeItem(m, sender)
	case *UpdateSession:
		s.update(m, sender)
	case *HideTurn:
		s.hide(m, sender)
	case *watch:
		s.watch(m.turn)
	case *unwatch:
		s.unwatch(m.turn)

	case *lookedBack:
		s.lookedBack(m)
	case *findTurn:
		s.respond(sender, &flying{s.inFlight(m.turn)})
	case *lostTurn:
		s.lostTurn(m)
	case *lostWatch:
		s.lostWatch(m.subscribe)

	case *written:
		s.receive(ctx, m.message(s.written(m)), nil)
		return
	case *departed:
		s.failedWrite(m.err)
		s.passivate(ctx, m.now)
		return
	case *noted:
		s.failedWrite(m.err)
		s.rest(ctx)
		return
	case *made:
		s.made(m)
	case *edited:
		s.edited(m)
	case *journaled:
		s.journaled(m)
	case *admitted:
		s.run(m.turn)
	case *turnEnded:
		s.ended(m)
	case *settled:
		s.settled(m)
	case *expired:
		s.expired(m.turn)
	case *graceOver:
		s.graceOver(m)
	case *overdue:
		s.overdue(m.turn)
	case *deleted:
		s.deleted(m)
	case *cutOff:
		s.cutOff(m.reason)
	}
	s.active = time.Now()
	s.rest(ctx)
}

// wakeUp begins an incarnation: the first, or the one after a crash.
func (s *session) wakeUp(ctx actor.Context) {
	s.self = ctx.Self()
	s.active = time.Now()
	if s.entry.ephemeral {
		s.state = &state{exists: true, created: s.active}
		if s.entry.crashed {
			s.rest(ctx)
		}
		return
	}
	s.loading = true
	s.stash, s.entry.stash = s.entry.stash, nil
	self := s.self
	if !s.system.background(func() { s.system.tell(self, s.load()) }) {
		s.system.tell(self, &loaded{err: context.Canceled})
	}
	s.idle = time.AfterFunc(s.system.options.IdleTimeout, func() { s.system.tell(self, &idleCheck{}) })
}

// load reads the journal, in a goroutine of its own.
func (s *session) load() (m *loaded) {
	m = &loaded{}
	defer func() {
		if p := recover(); p != nil {
			m = &loaded{err: fmt.Errorf("panic: %v", p)}
		}
	}()
	m.revived, m.err = revive(s.system.life, s.system.options.Journal, s.entry.key.id(), s.log.limit)
	return m
}

// loaded takes up what was remembered and then what came meanwhile.
func (s *session) loaded(ctx actor.Context, m *loaded) {
	s.loading = false
	s.state, s.kept = &state{}, false
	if m.err == nil {
		s.state, s.kept = m.revived.state, m.revived.exists
	}
	if s.kept {
		m.err = s.inherit(m.revived)
		s.takeUp(m.revived)
	}
	s.entry.revived = true
	s.epoch++
	s.resume()
	if s.kept {
		s.finishLost(m.revived)
	}
	if m.err != nil {
		s.system.options.Logger.Error("session cannot be read", slog.String("session", s.entry.key.Name), slog.Any("error", m.err))
		s.refusal = &Refusal{Code: RefusedUnavailable, Message: "the session's journal cannot be read", RetryAfter: time.Second}
		s.failWaiting("the session's journal cannot be read")
	}
	s.repay()
	s.advance()
	s.unstash(ctx)
	s.rest(ctx)
}

// unstash handles what was held.
func (s *session) unstash(ctx actor.Context) {
	for len(s.stash) > 0 {
		held := s.stash[0]
		s.stash = s.stash[1:]
		s.receive(ctx, held.message, held.sender)
	}
	s.stash = nil
}

// overdue: the agent was told to let go of a turn and did not. It is left alone
// to find its end.
func (s *session) overdue(t *turn) {
	err := errOverdue
	if t.stopped == "" {
		err = errExpired
	}
	s.ended(&turnEnded{turn: t, err: err})
}

// stop ends the incarnation for good.
func (s *session) stop() {
	if s.idle != nil {
		s.idle.Stop()
	}
	for _, t := range s.flight {
		t.stopTimers()
	}
	s.leaveSnapshot()
	for _, held := range s.stash {
		s.refuse(held.sender, RefusedDraining, "the gateway is shutting down", time.Second)
	}
	s.log.close()
	s.system.registry.stopped(s.entry)
}

// settleTime is how long a session that is not there, or no more, waits for
// those who ask it at the same time.
const settleTime = 100 * time.Millisecond

// rest stops an actor that has no reason to wait for more: at once after a
// stateless request, soon where no session is.
func (s *session) rest(ctx actor.Context) {
	s.leave()
	switch {
	case s.busy():
	case s.entry.ephemeral:
		ctx.Stop(ctx.Self())
	case !s.wanted():
		s.idle.Reset(settleTime)
	case len(s.owed) > 0:
		s.idle.Reset(repayEvery)
	}
}

// wanted reports whether there is a session to be kept in memory.
func (s *session) wanted() bool {
	return s.refusal == nil && (s.watched > 0 || s.exists && (s.kept || len(s.writing) > 0))
}

// passivate stops a session that nobody needs now. The next message revives it.
func (s *session) passivate(ctx actor.Context, now bool) {
	if s.entry.ephemeral {
		return
	}
	rest := s.system.options.IdleTimeout - time.Since(s.active)
	switch {
	case s.busy():
		rest = s.system.options.IdleTimeout
	case len(s.owed) > 0, len(s.writing) > 0: // lest it be forgotten
		s.repay()
		rest = repayEvery
	case s.watched > 0 && s.refusal == nil:
		rest = s.system.options.IdleTimeout
	case rest > 0 && !now && s.wanted():
	case s.depart(now):
		return // until that is written
	case s.system.registry.release(s.entry):
		ctx.Stop(ctx.Self())
		return
	default: // somebody is about to send it a message
		rest = settleTime
	}
	s.idle.Reset(rest)
}

// busy reports whether the actor must live on: some turn has not ended.
func (s *session) busy() bool { return len(s.flight) > 0 }

func (s *session) respond(to *actor.PID, m any) {
	if to != nil {
		s.system.tell(to, m)
	}
}

func (s *session) refuse(to *actor.PID, code RefusalCode, message string, retry time.Duration) {
	s.respond(to, &Refusal{Code: code, Message: message, RetryAfter: retry})
}

// turnContext is the life of a turn's call.
func (s *session) turnContext(t *turn) (context.Context, context.CancelFunc) {
	if t.Deadline.IsZero() {
		return context.WithCancel(s.system.life)
	}
	return context.WithDeadlineCause(s.system.life, t.Deadline, errExpired)
}
