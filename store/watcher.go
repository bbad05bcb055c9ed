package store

import "context"

// Watcher is a [Journal] that other processes change as well.
type Watcher interface {
	// Watch calls changed, from one goroutine, about a second after another process
	// has deleted sessions or replaced them, until ctx ends. What this process does
	// itself it need not tell.
	Watch(ctx context.Context, changed func(Change))
}

// Change tells what another process has done.
type Change struct {
	// Session is the one that was deleted; where it is zero, any may have been.
	Session ID
	// Replaced tells that all contents were replaced from a backup; Generation is
	// theirs (see [Session]).
	Replaced   bool
	Generation int64
}
