package store

import (
	"context"
	"encoding/json"
	"time"
)

// Delivery is a message that a channel took from outside. Channel and ID name it.
type Delivery struct {
	Channel string
	// ID is the sender's name for it, unique in its channel.
	ID string
	// Place counts deliveries in the order in which they were accepted, over all
	// channels and with holes. The store sets it.
	Place uint64
	// Conversation names what it belongs to, in the actor's words.
	Conversation string
	// State says how far it has come, in the actor's words; Open that work is left.
	State string
	Open  bool
	// Accepted is the time of its acceptance, Updated that of its last change.
	Accepted, Updated time.Time
	// Data is the rest. The store keeps it and never reads it.
	Data json.RawMessage
}

// DeliveryQuery chooses deliveries of one channel.
type DeliveryQuery struct {
	Channel string
	// States are those wanted; none is all.
	States []string
	// Unfinished chooses the open ones that this gateway accepted, the oldest
	// first. Otherwise the newest come first.
	Unfinished bool
	// After names the delivery past which to go on, "" for the start.
	After string
	// Limit is how many are wanted at most.
	Limit int
}

// Inbox keeps the deliveries of channels, beside the sessions of the same store
// and with the same transactions: what is accepted while one is on its way to the
// disk goes together into the next. All methods are safe for use by many
// goroutines.
type Inbox interface {
	// Accept keeps a delivery and calls done exactly once when it is as durable
	// as this store can make it. fresh is false where the channel has one of this
	// id already; then nothing is changed. done may be called before Accept
	// returns and must not block. Deliveries of one channel are kept, and
	// answered, in the order of the calls. It fails with [ErrOverloaded] when too
	// much waits.
	Accept(d Delivery, done func(fresh bool, err error))
	// Update replaces State, Open, Updated and Data of a delivery, as Accept
	// does; it fails with [ErrNotFound] where there is none.
	Update(d Delivery, done func(error))
	// Delivery reads one, or fails with [ErrNotFound].
	Delivery(ctx context.Context, channel, id string) (Delivery, error)
	// Deliveries lists some. It fails with [ErrNotFound] where After is none.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error)
	// CountDeliveries counts a channel's deliveries by their states.
	CountDeliveries(ctx context.Context, channel string) (map[string]int, error)
	// ForgetDeliveries deletes a channel's deliveries that are not open, those
	// last changed before a time, and of the rest all but the newest keep (0
	// keeps all), at most 10,000 at once. It returns how many it deleted.
	ForgetDeliveries(ctx context.Context, channel string, before time.Time, keep int) (int, error)
}

// MaxForget is how many deliveries one call of ForgetDeliveries deletes at most.
const MaxForget = 10_000
