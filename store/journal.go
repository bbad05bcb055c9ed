// Package store keeps the journals of sessions: for each session an append-only
// list of events from which its actor is rebuilt.
//
// A [Journal] is written by one actor at a time for each session. Every append
// carries that owner's epoch and the place after which it writes, so that an
// owner which was replaced (a node believed dead, an actor that was restarted)
// can never write again. The journal does not read what it keeps: an event's
// data and a session's head are the actor's own.
//
// The implementations are [Memory] and, in folders of their own, sqlite and
// postgres; storetest is the suite that all of them pass.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Errors that callers decide on.
var (
	// ErrNotFound means that no such session is known.
	ErrNotFound = errors.New("store: session not found")
	// ErrFenced means that another owner has written; the caller must stop.
	ErrFenced = errors.New("store: another owner has taken the session")
	// ErrOverloaded means that more waits to be written than may.
	ErrOverloaded = errors.New("store: too much waits to be written")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("store: closed")
)

// ID names a session: its owner and the name the owner gave it.
type ID struct {
	Owner string
	Name  string
}

// Event is one entry of a session's journal.
type Event struct {
	// Seq is the event's place in its session, counted from 1 without gaps. The
	// journal sets it.
	Seq uint64
	// Kind says what happened, in the actor's words.
	Kind string
	// Turn is the id of the turn concerned, or "".
	Turn string
	// At is the time of the event.
	At time.Time
	// Data is the event's content. The journal keeps it and never reads it.
	Data json.RawMessage
}

// Batch is what is appended at once: kept all or none. One without events leaves
// the time when the session was written as it is.
type Batch struct {
	// After is the place of the last event the owner knows; 0 makes the session.
	After  uint64
	Events []Event
	// Head takes the place of the session's head; nil leaves it as it is.
	Head json.RawMessage
	// Snapshot takes the place of the session's snapshot; nil leaves it as it is.
	// It counts among the session's bytes.
	Snapshot []byte
	// Open tells that the session has work in flight, which its next owner must
	// see to.
	Open bool
	// Claims are idempotency keys that this batch takes, Forgets those it gives
	// back.
	Claims  []Claim
	Forgets []string
}

// Claim is an idempotency key and what was started under it.
type Claim struct {
	// Key is unique over owners and routes.
	Key         string
	Fingerprint [32]byte
	Session     ID
	Turn        string
	Place       uint64 // of the event that began it
	At          time.Time
}

// Info tells of a session without its events.
type Info struct {
	ID      ID
	Created time.Time
	Updated time.Time
	// Last is the place of the newest event, Bytes what all of them and the
	// snapshot take.
	Last  uint64
	Bytes int64
}

// Session is what a revival reads first.
type Session struct {
	Info
	Epoch uint64
	// Head is the latest head, or nil.
	Head json.RawMessage
	// Open is that of the latest batch.
	Open bool
	// Generation names the journal's contents: it is another one after they were
	// replaced as a whole, from a backup.
	Generation int64
}

// Retention says what may be kept; 0 is no limit.
type Retention struct {
	// MaxAge is how long a session is kept after it was last written.
	MaxAge      time.Duration
	MaxSessions int
	// MaxBytes bounds the events of all sessions.
	MaxBytes int64
}

// MaxReadBytes is about how much one Read returns at most.
const MaxReadBytes = 4 << 20

// Journal keeps events. All methods are safe for use by many goroutines.
type Journal interface {
	// Append adds a batch to a session's journal, making the session where After
	// is 0 and there is none, and calls done exactly once when it is as durable
	// as this journal can make it, or with the reason it is not. done may be
	// called before Append returns and must not block. Append itself does not
	// wait for the disk. Batches of one session are kept, and answered, in the
	// order of the calls; reads and Delete come after all appends that were
	// called before them. It fails with [ErrFenced] when epoch is older than the newest seen
	// or After is not the session's last place.
	Append(id ID, epoch uint64, b Batch, done func(error))
	// Load reads a session's head, or fails with [ErrNotFound] and tells the
	// journal's Generation alone.
	Load(ctx context.Context, id ID) (Session, error)
	// Snapshot reads the latest snapshot, nil where there is none.
	Snapshot(ctx context.Context, id ID) ([]byte, error)
	// Read returns events in their order, those past after: at most max of them
	// and about [MaxReadBytes], but one at least where there is one.
	Read(ctx context.Context, id ID, after uint64, max int) ([]Event, error)
	// List reads the sessions of an owner, or with "" of all, newest first by
	// their creation, at most limit (1 to 1000), after the session named ("" for
	// the start; its owner is owner where that is given). It fails with
	// [ErrNotFound] where after is no session.
	List(ctx context.Context, owner string, after ID, limit int) ([]Info, error)
	// Claimed looks an idempotency key up; false means that nobody has it.
	Claimed(ctx context.Context, key string) (Claim, bool, error)
	// ForgetClaims drops the claims made before a time.
	ForgetClaims(ctx context.Context, before time.Time) error
	// Surplus names at most limit sessions that the retention does not allow,
	// those written longest ago first.
	Surplus(ctx context.Context, r Retention, now time.Time, limit int) ([]ID, error)
	// Unfinished names at most limit open sessions that this gateway wrote last,
	// in the order of their creation, after the one named (none for the start).
	Unfinished(ctx context.Context, after ID, limit int) ([]ID, error)
	// Delete removes a session and all its events. Deleting what is not there
	// is no error.
	Delete(ctx context.Context, id ID) error
	// Ping tells whether the journal can take events now, of a few KiB. It has
	// written a second ago at most.
	Ping(ctx context.Context) error
	// Close writes what waits and ends the journal; later calls fail with
	// [ErrClosed].
	Close() error
}
