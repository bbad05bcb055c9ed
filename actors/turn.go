package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
)

// phase is how far a turn has come.
type phase uint8

const (
	phaseJournal phase = iota // its acceptance is being written
	phaseQueued               // it waits for the turns before it
	phaseAdmit                // it is the session's next and waits for a place in the gateway
	phaseRunning              // the agent is at work
	phaseSettle               // its end is being written
)

// turn is one accepted message on its way to its fate. All fields are the
// actor's, but for the pipe, which it shares with the agent's goroutine.
type turn struct {
	StartTurn
	phase    phase
	accepted time.Time
	place    uint64 // in the journal, of its acceptance; 0 when a revival need not read it
	logSeq   uint64 // the log's last number then, of a turn that was read from the journal
	started  time.Time
	system   []agent.Message // the leading system messages of Input
	said     []agent.Message // the rest of Input

	sender  *actor.PID // of the StartTurn, until it is replied to
	reply   Accepted
	writing bool      // the journal will tell of what this phase writes
	keys    []turnKey // of its messages
	members []string  // the turns merged into it
	into    uint64    // place of the turn it was merged into
	queued  bool      // EventQueued was logged
	watched int
	absence int // counts the times without a watcher

	ticket   *ticket
	heldAt   uint64      // number of its last event, while that waits for the journal
	begin    uint64      // number of its EventStarted, 0 before it
	saved    uint64      // number of the last delta that was written down
	unsaved  int         // bytes of the deltas since then
	saver    *time.Timer // until the next ones are
	expiry   *time.Timer // until its deadline
	grace    *time.Timer // while nobody watches
	overdue  *time.Timer // after a cancel
	cancel   context.CancelFunc
	pipe     *pipe
	answer   agent.Assembler
	spoke    bool   // a delta has come
	torn     bool   // some of the deltas were not written down
	stopped  string // the reason of its cancellation, or ""
	rollback bool
	parked   bool // it is left to the next process

	fate   Fate
	result agent.Result
	ending TurnEvent
	end    EventKind
	closed bool // its last event was logged
}

// turnKey is the idempotency key of a message, with the turn it was accepted as.
type turnKey struct{ key, turn string }

func newTurn(m StartTurn, sender *actor.PID, now time.Time) *turn {
	t := &turn{StartTurn: m, sender: sender, accepted: now, said: m.Input}
	for !m.Items && len(t.said) > 0 && isSystem(t.said[0]) {
		t.said = t.said[1:]
	}
	t.system = m.Input[:len(m.Input)-len(t.said)]
	if m.IdempotencyKey != "" {
		t.keys = []turnKey{{m.IdempotencyKey, m.Turn}}
	}
	return t
}

func isSystem(m agent.Message) bool { return m.Role == "system" || m.Role == "developer" }

// stopTimers ends what waits for the turn.
func (t *turn) stopTimers() {
	for _, timer := range []*time.Timer{t.expiry, t.grace, t.overdue, t.saver} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// call runs the agent for a turn, in a goroutine of its own, and tells the actor
// what comes of it. It touches no state of the actor.
type call struct {
	system  *System
	self    *actor.PID
	mailbox *mailbox
	turn    *turn // only passed on
	pipe    *pipe
	pace    pace
	request agent.Request
}

func (c *call) run(ctx context.Context) {
	now, ready := &said{turn: c.turn}, &deltasReady{c.turn}
	emit := func(deltas []agent.Delta) {
		if len(deltas) == 0 {
			return
		}
		c.pace.pass(ctx, deltas)
		now.deltas = deltas
		if !c.mailbox.try(now) && c.pipe.put(deltas) {
			c.system.tell(c.self, ready)
		}
	}
	ended := &turnEnded{turn: c.turn}
	ended.result, ended.err = c.answer(ctx, emit)
	if cause := context.Cause(ctx); ended.err != nil && cause != nil && !errors.Is(ended.err, cause) {
		ended.err = fmt.Errorf("%w: %w", cause, ended.err)
	}
	c.system.tell(c.self, ended)
}

// answer calls the agent; a panic in it is an error of this turn alone.
func (c *call) answer(ctx context.Context, emit func([]agent.Delta)) (result agent.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.system.options.Logger.Error("agent panicked", slog.String("turn_id", c.turn.Turn),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	return c.system.options.Agent.Run(ctx, &c.request, emit)
}

var (
	errPanic   = errors.New("the agent failed inside the gateway; the log has the details")
	errNoFit   = errors.New("the conversation is longer than the model is given (sessions.context_messages, sessions.context_tokens), and truncation is disabled; truncation auto leaves the oldest messages out")
	errOverdue = errors.New("the agent did not stop when it was told to")
	errExpired = errors.New("the turn's time limit passed before the answer was whole")
)

// failureOf puts an error of the agent in plain data.
func failureOf(err error) *Failure {
	var failed *agent.Error
	switch {
	case errors.Is(err, errExpired):
		return &Failure{Kind: agent.KindTimeout, Expired: true, Message: errExpired.Error()}
	case errors.Is(err, errNoFit):
		return &Failure{Kind: agent.KindInvalid, Message: errNoFit.Error(), Param: "truncation"}
	case errors.As(err, &failed):
		return &Failure{
			Kind: failed.Kind, Message: failed.Error(), Status: failed.Status,
			Type: failed.UpstreamType, Code: failed.UpstreamCode, RetryAfter: failed.RetryAfter,
		}
	default:
		return &Failure{Kind: KindInternal, Message: err.Error()}
	}
}
