package actors

import (
	"encoding/json"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/channels"
	"agentzero/store"
)

// DeliveryState says how far a delivery has come.
type DeliveryState string

// The states. The first three have work left.
const (
	DeliveryQueued   DeliveryState = "queued"   // it waits, for its turn or for another try
	DeliveryRunning  DeliveryState = "running"  // the agent is at work; kept as queued
	DeliveryReplying DeliveryState = "replying" // answered, and the answer is on its way
	DeliveryIgnored  DeliveryState = "ignored"  // there is nothing to answer
	DeliveryAnswered DeliveryState = "answered" // and the answer goes nowhere
	DeliveryReplied  DeliveryState = "replied"  // and the answer was sent
	DeliveryFailed   DeliveryState = "failed"   // given up without an answer
	DeliveryDead     DeliveryState = "dead"     // answered, but the answer could not be sent
)

// DeliveryStates lists the states in a fixed order.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{DeliveryQueued, DeliveryRunning, DeliveryReplying, DeliveryIgnored, DeliveryAnswered, DeliveryReplied, DeliveryFailed, DeliveryDead}
}

// Delivery is what is known of a delivery.
type Delivery struct {
	Channel, ID string
	State       DeliveryState
	// Session is the name of the session, of the owner of channels, in which it
	// is answered; Turn the turn that does.
	Session, Turn string
	Text          string
	Answer        string
	// Reason tells why it was ignored or given up, or why its last try failed.
	Reason string
	// Tries counts how often the agent was asked, ReplyTries how often the answer
	// was sent in vain, Replays how often it was begun anew.
	Tries, ReplyTries, Replays int
	Accepted, Updated          time.Time
	// Answered is the time of the answer, Next that of the next try, or zero.
	Answered, Next time.Time
}

// Open reports whether work is left.
func (s DeliveryState) Open() bool {
	return s == DeliveryQueued || s == DeliveryRunning || s == DeliveryReplying
}

// deliveryRecord is what the inbox keeps of a delivery beside its name and state.
type deliveryRecord struct {
	Text       string          `json:"text,omitempty"`
	Target     json.RawMessage `json:"target,omitempty"`
	Tries      int             `json:"tries,omitempty"`
	ReplyTries int             `json:"reply_tries,omitempty"`
	Replays    int             `json:"replays,omitempty"`
	Next       time.Time       `json:"next,omitzero"`
	Turn       string          `json:"turn,omitempty"`
	Answer     string          `json:"answer,omitempty"`
	Answered   time.Time       `json:"answered,omitzero"`
	Reason     string          `json:"reason,omitempty"`
	// Sent names the platform's messages in which the answer stands; Rewrite
	// tells that they hold what an earlier try has said.
	Sent    []string `json:"sent,omitempty"`
	Rewrite bool     `json:"rewrite,omitempty"`
}

// delivery is one in its channel's memory.
type delivery struct {
	id           string
	session      string
	state        DeliveryState
	accepted     time.Time
	updated      time.Time
	record       deliveryRecord
	waiters      []*actor.PID
	notBefore    time.Time // of its next call of the platform
	safe         bool      // the disk knows its answer
	conversation *thread
}

// deliveryOverhead is about what a delivery takes in memory beside its texts.
const deliveryOverhead = 512

func (d *delivery) bytes() int { return len(d.record.Text) + len(d.record.Target) + deliveryOverhead }

func (d *delivery) stored(channel string) store.Delivery {
	state := d.state
	if state == DeliveryRunning {
		state = DeliveryQueued
	}
	data, err := encode(&d.record)
	if err != nil {
		panic("actors: a delivery cannot be written: " + err.Error()) // its target was JSON when it came
	}
	return store.Delivery{
		Channel: channel, ID: d.id, Conversation: d.session, State: string(state), Open: state.Open(),
		Accepted: d.accepted, Updated: d.updated, Data: data,
	}
}

func restoreDelivery(s *store.Delivery) (*delivery, error) {
	record, err := decode[deliveryRecord](s.Data)
	return &delivery{
		id: s.ID, session: s.Conversation, state: DeliveryState(s.State), accepted: s.Accepted, updated: s.Updated, record: record, safe: true,
	}, err
}

func (d *delivery) told(channel string) Delivery {
	r := &d.record
	return Delivery{
		Channel: channel, ID: d.id, State: d.state, Session: d.session, Turn: r.Turn, Text: r.Text, Answer: r.Answer, Reason: r.Reason,
		Tries: r.Tries, ReplyTries: r.ReplyTries, Replays: r.Replays, Accepted: d.accepted, Updated: d.updated, Answered: r.Answered, Next: r.Next,
	}
}

// The messages between the front end and a channel's actor.
type (
	// deliver asks to keep a message. It is replied to with Delivered or Refusal.
	deliver struct {
		message *channels.Message
		session string
	}
	// awaitDelivery asks for the end of a delivery's run. It is replied to with
	// deliveryKnown: at once where the channel's memory has none of this id.
	awaitDelivery struct{ id string }
	deliveryKnown struct {
		delivery Delivery
		here     bool
	}
	// replayDelivery asks to begin one anew that is over. It is replied to with
	// Delivered or Refusal.
	replayDelivery struct{ delivery *delivery }
	// describeChannel asks for a ChannelDescription.
	describeChannel struct{}
)

// Delivered says that a delivery is kept.
type Delivered struct {
	ID string
	// Duplicate tells that it was known already, so that nothing is run.
	Duplicate bool
	// Ignored says why it will not be answered, or is "".
	Ignored string
}

// ChannelDescription tells of a channel's work.
type ChannelDescription struct {
	Name, Kind string
	// Queued wait for the agent, Running are with it, Replying wait for the
	// platform.
	Queued, Running, Replying int
	// RunningIDs names those with the agent.
	RunningIDs []string
}

// What a channel's helpers tell it.
type (
	inboxRead struct { // the deliveries that an earlier process left
		kept []store.Delivery
		err  error
	}
	readInbox    struct{}
	deliveryKept struct { // a delivery is on the disk, or known
		delivery *delivery
		sender   *actor.PID
		fresh    bool
		err      error
	}
	doubtful struct { // one whose acceptance was reported as failed, after all
		delivery *delivery
	}
	deliveryNoted struct { // a change of a delivery is on the disk
		delivery *delivery
		err      error
		renew    *actor.PID // who asked to begin it anew
	}
	ran struct { // the agent has answered, or not
		delivery *delivery
		outcome  runOutcome
	}
	posted struct { // the answer's first messages stand on the platform
		delivery *delivery
		sent     []string
	}
	replied struct { // the platform has taken the answer, or not
		delivery *delivery
		sent     []string
		err      error
	}
	due           struct{ conversation *thread } // time for its next try
	sendDue       struct{ conversation *thread } // time to send its next answer again
	noteAgain     struct{ delivery *delivery }
	configure     struct{ options *ChannelOptions } // nil: the channel is no more
	channelDrains struct{}
)

// IgnoreDeadLetterLogging tells protoactor that who waits for a delivery often
// leaves before its end.
func (*deliveryKnown) IgnoreDeadLetterLogging() {}
