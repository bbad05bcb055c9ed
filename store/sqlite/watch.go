package sqlite

import (
	"context"
	"time"

	"agentzero/store"
)

// watchEvery is how often the journal looks for what other processes have written.
const watchEvery = time.Second

var _ store.Watcher = (*Journal)(nil)

// version names what a connection has seen of the file: data goes on with each
// commit of another connection, which is another process, as all that this one
// writes goes over the one connection that is asked.
type version struct{ data, generation int64 }

// Watch implements [store.Watcher].
func (j *Journal) Watch(ctx context.Context, changed func(store.Change)) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	seen := j.opened
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		op := &look{}
		if j.wait(ctx, op) != nil || op.version == seen {
			continue // a journal that cannot be read says so to those who write
		}
		replaced := op.version.generation != seen.generation
		seen = op.version
		changed(store.Change{Replaced: replaced, Generation: seen.generation})
	}
}

// look reads the version and writes nothing.
type look struct {
	caller
	version version
}

func (op *look) apply(ctx context.Context, w *writer) (refused, broken error) {
	op.version, broken = w.version(ctx)
	return nil, broken
}

func (w *writer) version(ctx context.Context) (v version, err error) {
	if err = w.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&v.data); err == nil {
		err = w.conn.QueryRowContext(ctx, "SELECT generation FROM journal").Scan(&v.generation)
	}
	return v, err
}
