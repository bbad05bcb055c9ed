// Package store keeps the journals of sessions: for each session an append-only
// list of events from which its actor is rebuilt.
//
// A [Journal] is written by one actor at a time for each session, and every
// append carries that owner's epoch, so that an owner which was replaced (a
// node believed dead, an actor that was restarted) can never write again. The
// journal does not read what it keeps: an event's data is the actor's own.
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
	// ErrFenced means that a newer owner has written; the caller must stop.
	ErrFenced = errors.New("store: an owner with a newer epoch has taken the session")
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
	// Kind says what happened, in the actor's words.
	Kind string
	// Turn is the id of the turn concerned, or "".
	Turn string
	// At is the time of the event.
	At time.Time
	// Data is the event's content. The journal keeps it and never reads it.
	Data json.RawMessage
}

// Info tells of a session without its events.
type Info struct {
	ID      ID
	Created time.Time
	Updated time.Time
}

// Snapshot is what a revival reads.
type Snapshot struct {
	Info   Info
	Epoch  uint64
	Events []Event
}

// Journal keeps events. All methods are safe for use by many goroutines.
type Journal interface {
	// Append adds events to a session's journal, making the session where there
	// is none, and calls done exactly once when they are as durable as this
	// journal can make them, or with the reason they are not. done may be
	// called before Append returns and must not block. Append itself does not
	// wait for the disk. Events given in one call are kept all or none. The
	// appends of one session take effect, and are answered, in the order of the
	// calls; Load and Delete come after all appends that were called before them.
	// It fails with [ErrFenced] when epoch is older than the newest seen.
	Append(id ID, epoch uint64, events []Event, done func(error))
	// Load reads a session, or fails with [ErrNotFound].
	Load(ctx context.Context, id ID) (Snapshot, error)
	// List reads the sessions of an owner, newest first by their creation, at
	// most limit (1 to 1000), after the session named by after ("" for the
	// start). It fails with [ErrNotFound] where after is no session.
	List(ctx context.Context, owner, after string, limit int) ([]Info, error)
	// Delete removes a session and all its events. Deleting what is not there
	// is no error.
	Delete(ctx context.Context, id ID) error
	// Ping tells whether the journal can take events now.
	Ping(ctx context.Context) error
	// Close ends the journal; later calls fail with [ErrClosed].
	Close() error
}
