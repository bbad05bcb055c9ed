package actors

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
)

// The messages between the front end and a session's actor are plain data: they
// could cross a wire. What only the actor says to itself stands at the end.

// BusyPolicy says what becomes of a message that finds its session busy.
type BusyPolicy string

// The busy policies.
const (
	BusyQueue     BusyPolicy = "queue"     // run after the turns before it
	BusyReject    BusyPolicy = "reject"    // refuse it
	BusyInterrupt BusyPolicy = "interrupt" // cancel the present turn, keep its partial answer, then run
	BusyRollback  BusyPolicy = "rollback"  // as interrupt, but the cancelled turn leaves the conversation
	BusyCollect   BusyPolicy = "collect"   // merge with the message that waits already
)

// BusyPolicies lists the policies by their names.
func BusyPolicies() []BusyPolicy {
	return []BusyPolicy{BusyQueue, BusyReject, BusyInterrupt, BusyRollback, BusyCollect}
}

// Disconnect says what becomes of a turn that nobody watches any more.
type Disconnect struct {
	// Continue lets it run on.
	Continue bool
	// Grace is how long it runs on before it is cancelled; 0 is at once.
	Grace time.Duration
}

// StartTurn asks a session to answer. It is replied to with [Accepted] or
// [Refusal].
type StartTurn struct {
	// Turn is the turn's id; the System chooses it.
	Turn string `json:"turn"`
	// Input is what the client says: one or more messages, system messages first.
	Input []agent.Message `json:"input"`
	// Own tells that Input is a whole conversation of the client's own, which
	// takes the place of the session's. Otherwise Input is what comes next.
	Own bool `json:"own,omitempty"`
	// Items tells that each message of Input is an item of its own, system
	// messages among them, so that the model is given some of them joined.
	Items bool `json:"items,omitempty"`
	// System leads what the model is given in this turn and no other, in the place
	// of all system messages that lead otherwise.
	System []agent.Message `json:"system,omitempty"`
	// Existing refuses the message where there is no session, and a Behind that is
	// not "" where that turn is not the session's last.
	Existing bool   `json:"existing,omitempty"`
	Behind   string `json:"behind,omitempty"`
	// Fit fails the turn where messages would have to be left out for the model.
	Fit bool `json:"fit,omitempty"`
	// Extra is what the sender wants kept with the turn, a JSON value or nil.
	Extra json.RawMessage `json:"extra,omitempty"`
	// Model, Params and Whole are agent.Request's.
	Model  string          `json:"model,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Whole  bool            `json:"whole,omitempty"`
	// Busy is the busy policy; "" is the System's default.
	Busy  BusyPolicy `json:"busy,omitempty"`
	Class Class      `json:"class,omitempty"`
	// Deadline ends the turn, waiting or running; zero is the System's default.
	Deadline time.Time `json:"deadline,omitzero"`
	// Disconnect holds for the time when the turn has no watcher left.
	Disconnect Disconnect `json:"disconnect,omitzero"`
	// Watch tells that the sender watches the turn from its acceptance on.
	Watch bool `json:"watch,omitempty"`
	// IdempotencyKey is set by the System; it is unique over owners and routes.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	// Fingerprint is that of the body which came with the key.
	Fingerprint [32]byte `json:"-"`
}

// Accepted says that a message is kept and will have exactly one fate.
type Accepted struct {
	// Turn is the id of the turn, Follow that of the turn which answers it:
	// another one where the message was merged.
	Turn, Follow string
	// Position is how many turns run or wait before this one in its session.
	Position int
	// After is the log's position before the turn's first event.
	After uint64
	// Place is that of the acceptance in the session's journal, 0 without one.
	Place uint64
	// At is the time of the acceptance.
	At time.Time
}

// RefusalCode names why a message was not accepted.
type RefusalCode string

// The codes of refusals.
const (
	RefusedBusy        RefusalCode = "session_busy"
	RefusedQueueFull   RefusalCode = "queue_full"
	RefusedDraining    RefusalCode = "draining"
	RefusedExpired     RefusalCode = "timeout"
	RefusedNotFound    RefusalCode = "not_found"
	RefusedConflict    RefusalCode = "idempotency_key_conflict"
	RefusedExists      RefusalCode = "exists"
	RefusedGap         RefusalCode = "gap"
	RefusedPassed      RefusalCode = "passed" // another turn is the session's last
	RefusedUnavailable RefusalCode = "unavailable"
)

// Refusal says that a message was not accepted; nothing of it is kept.
type Refusal struct {
	Code    RefusalCode
	Message string
	// RetryAfter is when to try again; 0 where that would not help.
	RetryAfter time.Duration

	moved bool // another actor can be asked at once
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }

// CancelTurn asks to cancel one turn, or with "" the present one and all that
// wait. It is replied to with [Cancelled].
type CancelTurn struct {
	Turn   string
	Reason string
}

// Cancelled lists the turns that were cancelled.
type Cancelled struct{ Turns []string }

// Subscribe asks to watch a session. It is replied to with [Subscribed] or
// [Refusal].
type Subscribe struct {
	// Create makes the session where there is none. Until its first message it is
	// in memory only, as long as it is watched.
	Create bool
	// Live starts at the present end of the log; otherwise the watcher starts
	// past After, which must be of the epoch named ("" is the present one).
	Live bool
	// FromTurn starts, with Live, at the beginning of the turn that runs, where the
	// log still has it.
	FromTurn bool
	Epoch    string
	After    uint64

	counted bool // the actor's: the watcher was let in
	looked  bool // the actor's: the journal was asked for what the log has not
}

// Subscribed says where the watcher starts.
type Subscribed struct{ After uint64 }

// CreateSession makes a session. It is replied to with a [Description], or a
// [Refusal] where it exists.
type CreateSession struct {
	Metadata json.RawMessage
	// Items begin the conversation, under the name Turn (see [AddItems]).
	Turn  string
	Items []agent.Message
}

// Describe asks for a [Description].
type Describe struct {
	// Glance does not count as a use of the session.
	Glance bool
}

// Description tells of a session.
type Description struct {
	Name             string
	Created, Updated time.Time
	Metadata         json.RawMessage
	// Running is the turn that runs or is next to run, or "".
	Running string
	// Queue holds the turns that wait behind it, in order.
	Queue []string
	// Turns counts those answered; Messages those in the conversation.
	Turns, Messages                int
	PromptTokens, CompletionTokens int64
	Watchers                       int
	// Model is that of the present turn, or of the last since the session woke.
	Model string
	Epoch string
	Seq   uint64
}

// Listed is a session in a list.
type Listed struct {
	Name             string
	Created, Updated time.Time
}

// ReadMessages asks for the [Conversation].
type ReadMessages struct{}

// Conversation is what was said in a session. Behind it stand, marked as open, the
// messages that are not answered yet and the running answer so far.
type Conversation struct {
	Items []Item
	// Epoch and Seq are the position in the log up to which it tells.
	Epoch string
	Seq   uint64
}

// DeleteSession ends a session and forgets it. It is replied to with [Deleted].
type DeleteSession struct {
	// Unused leaves a session alone that has turns in flight or watchers.
	Unused bool
}

// Deleted says that the session is gone.
type Deleted struct{}

// watch and unwatch tell that a watcher of one turn, or with "" of the whole
// session, came or left.
type (
	watch   struct{ turn string }
	unwatch struct{ turn string }
)

// IgnoreDeadLetterLogging tells protoactor that watchers often leave after their
// session's actor.
func (*unwatch) IgnoreDeadLetterLogging() {}

// findTurn asks whether a turn is in flight; it is replied to with flying.
type (
	findTurn struct{ turn string }
	flying   struct{ here bool }
)

// lostTurn and lostWatch tell that nobody has waited for the answer to a
// StartTurn or a Subscribe.
type (
	lostTurn struct {
		turn    string
		watched bool
	}
	lostWatch struct{ subscribe *Subscribe }
)

// What the actor's helpers tell it.
type (
	loaded struct { // the journal was read
		revived *revival // it may not exist
		err     error
	}
	checkpoint struct{ turn *turn } // time to write down what was said
	made       struct {             // the session's creation is durable
		sender *actor.PID // to be answered; nil for nobody
		answer *Description
		err    error
	}
	journaled struct { // the turn's acceptance is durable
		turn *turn
		err  error
	}
	admitted struct{ turn *turn } // there is a place to run
	said     struct {             // the agent has said something, and waits until it is logged
		turn   *turn
		deltas []agent.Delta
	}
	deltasReady struct{ turn *turn } // the pipe holds deltas
	turnEnded   struct {             // the agent has returned
		turn   *turn
		result agent.Result
		err    error
	}
	settled struct { // the turn's end is durable
		turn *turn
		err  error
	}
	expired   struct{ turn *turn } // the turn's deadline passed
	graceOver struct {             // nobody came back
		turn    *turn
		absence int
	}
	overdue  struct{ turn *turn } // a cancelled call did not return
	deleted  struct{ err error }  // the journal forgot the session
	departed struct {             // the snapshot of a session that leaves the memory is durable
		now bool // of the idleCheck
		err error
	}
	lookedBack struct { // what a watcher asks for was read from the journal
		subscribe *Subscribe
		sender    *actor.PID
		seam      uint64     // the log's oldest number then
		lost      uint64     // the number before the events
		events    []numbered // up to the seam, for the log
	}
	idleCheck struct{ now bool } // time to passivate; now: whatever the time
	cutOff    struct{ reason string }
)

// TurnEvent is the data of all events but deltas and completions.
type TurnEvent struct {
	Turn string `json:"turn_id"`
	// Position is that of [EventQueued].
	Position int `json:"position,omitempty"`
	// LeftOut is how many of the session's messages, the oldest, were too many for
	// the model, of [EventStarted].
	LeftOut int `json:"messages_left_out,omitempty"`
	// FinishReason, Model and Usage are of [EventCompleted].
	FinishReason string          `json:"finish_reason,omitempty"`
	Model        string          `json:"model,omitempty"`
	Usage        json.RawMessage `json:"usage,omitempty"`
	// Reason is that of [EventInterrupted].
	Reason string `json:"reason,omitempty"`
	// Into is the turn that [EventMerged] names.
	Into string `json:"into,omitempty"`
	// Failure is that of [EventFailed].
	Failure *Failure `json:"failure,omitempty"`
}

// Reasons of an interruption.
const (
	ReasonCancelled    = "cancelled"
	ReasonInterrupted  = "interrupted"
	ReasonRolledBack   = "rolled_back"
	ReasonDisconnected = "client_disconnected"
	ReasonShutdown     = "shutdown"
	ReasonDeleted      = "session_deleted"
	ReasonRevoked      = "token_revoked"
	ReasonMoved        = "session_moved"
	ReasonCrashed      = "gateway_restarted"
	ReasonRestored     = "sessions_restored"
)

// Failure tells why a turn failed.
type Failure struct {
	// Kind is that of agent.Error, "timeout" for the turn's own deadline, or
	// "internal".
	Kind agent.Kind `json:"kind"`
	// Expired tells that the deadline passed before the model was called, or
	// while it was.
	Expired bool   `json:"expired,omitempty"`
	Message string `json:"message"`
	// Param is the part of the request at fault, or "".
	Param string `json:"param,omitempty"`
	// Status, Type and Code are the upstream's.
	Status int    `json:"status,omitempty"`
	Type   string `json:"type,omitempty"`
	Code   string `json:"code,omitempty"`
	// RetryAfter is in nanoseconds.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// KindInternal marks a failure of the gateway itself.
const KindInternal agent.Kind = "internal"
