package actors

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/store"
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
	loading bool
	stash   []stashed // what came while the journal was read
	refusal *Refusal  // why nothing is accepted any more: deleted, or not readable

	current *turn   // the turn that runs or is the next to run
	queue   []*turn // the turns that wait behind it
	watched int     // watchers of the whole session
	mean    time.Duration
	idle    *time.Timer
	active  time.Time // of the last message that counts as activity
	batch   []pending // scratch of deltas

	deleting bool // the journal is to be removed when nothing runs
	deleter  *actor.PID
}

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
	default:
		if s.loading {
			s.stash = append(s.stash, stashed{m, ctx.Sender()})
			return
		}
		s.receive(ctx, m, ctx.Sender())
	}
}

// receive handles what needs the session's state. The sender is given apart
// because a stashed message has lost its context.
func (s *session) receive(ctx actor.Context, message any, sender *actor.PID) {
	switch m := message.(type) {
	case *deltasReady:
		s.deltas(m.turn)
		return // no sign of a client's life
	case *idleCheck:
		s.passivate(ctx, m.now)
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
	case *ReadMessages:
		s.readMessages(sender)
	case *DeleteSession:
		s.delete(sender)
	case *watch:
		s.watch(m.turn)
	case *unwatch:
		s.unwatch(m.turn)

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
		s.graceOver(m.turn)
	case *overdue:
		s.ended(&turnEnded{turn: m.turn, err: errOverdue})
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
		s.resume()
		if s.entry.crashed {
			s.rest(ctx)
		}
		return
	}
	s.loading = true
	self := s.self
	s.system.background(func() {
		snapshot, err := s.system.options.Journal.Load(s.system.life, s.entry.key.id())
		m := &loaded{state: &state{}}
		switch {
		case err == nil:
			m.state, m.err = replay(snapshot)
		case !errors.Is(err, store.ErrNotFound):
			m.err = err
		}
		s.system.tell(self, m)
	})
	s.idle = time.AfterFunc(s.system.options.IdleTimeout, func() { s.system.tell(self, &idleCheck{}) })
}

// loaded takes up what was remembered and then what came meanwhile.
func (s *session) loaded(ctx actor.Context, m *loaded) {
	s.loading = false
	s.state = m.state
	if m.err != nil {
		s.system.options.Logger.Error("session cannot be read", slog.String("session", s.entry.key.Name), slog.Any("error", m.err))
		s.state = &state{}
		s.refusal = &Refusal{Code: RefusedUnavailable, Message: "the session's journal cannot be read"}
	}
	s.epoch++
	s.resume()
	stash := s.stash
	s.stash = nil
	for _, held := range stash {
		s.receive(ctx, held.message, held.sender)
	}
	s.rest(ctx)
}

// resume takes over the turns that an incarnation before this one left waiting.
func (s *session) resume() {
	s.queue, s.entry.carry = s.entry.carry, nil
	s.watched, s.entry.watched = s.entry.watched, 0
	s.advance()
}

// crash leaves what can be saved to the next incarnation. The turn that ran is
// lost with the state it worked on, and fails; those that wait go on.
func (s *session) crash() {
	if s.idle != nil {
		s.idle.Stop()
	}
	if t := s.current; t != nil {
		t.fate, t.end = FateFailed, EventFailed
		t.ending = TurnEvent{Failure: &Failure{Kind: KindInternal, Message: "the session's actor was restarted"}}
		s.halt(t)
		s.finish(t)
		s.close(t)
	}
	s.entry.carry, s.queue, s.current = s.queue, nil, nil
	s.entry.watched, s.entry.crashed = s.watched, true
	for _, held := range s.stash {
		s.refuse(held.sender, RefusedUnavailable, "the session's actor was restarted", time.Second)
	}
}

// stop ends the incarnation for good.
func (s *session) stop() {
	if s.idle != nil {
		s.idle.Stop()
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
	switch {
	case s.busy():
	case s.entry.ephemeral:
		ctx.Stop(ctx.Self())
	case !s.wanted():
		s.idle.Reset(settleTime)
	}
}

// wanted reports whether there is a session to be kept in memory.
func (s *session) wanted() bool { return s.watched > 0 || s.exists && s.refusal == nil }

// passivate stops a session that nobody needs now. The next message revives it.
func (s *session) passivate(ctx actor.Context, now bool) {
	if s.entry.ephemeral || s.loading {
		return
	}
	rest := s.system.options.IdleTimeout - time.Since(s.active)
	switch {
	case s.busy(), s.watched > 0:
		rest = s.system.options.IdleTimeout
	case rest > 0 && !now && s.wanted():
	case s.system.registry.release(s.entry):
		ctx.Stop(ctx.Self())
		return
	default: // somebody is about to send it a message
		rest = settleTime
	}
	s.idle.Reset(rest)
}

func (s *session) busy() bool { return s.current != nil || len(s.queue) > 0 }

// append writes to the journal and tells the actor when it is done. A stateless
// request has no journal.
func (s *session) append(events []store.Event, done func(error)) {
	if s.entry.ephemeral {
		done(nil)
		return
	}
	s.system.options.Journal.Append(s.entry.key.id(), s.epoch, events, done)
}

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
	return context.WithDeadline(s.system.life, t.Deadline)
}
