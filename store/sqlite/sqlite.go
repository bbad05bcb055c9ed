// Package sqlite keeps the journal in one SQLite file: the default for one
// gateway. The file is in WAL mode, so that it is read while it is written, and
// every commit is synchronous: what [store.Journal.Append] calls done is on the
// disk.
//
// One goroutine writes; what is appended while a transaction is on its way goes
// together into the next (group commit). Close ends it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver, in pure Go

	"agentzero/store"
	"agentzero/store/internal/group"
)

// Options say how to open a journal.
type Options struct {
	// Path is the file. It is made, with mode 0600, where it is missing; its
	// directory must be there. Required.
	Path string
	// MaxWaiting bounds the bytes that wait to be written; 0 is 64 MiB. Past it
	// appends fail with [store.ErrOverloaded].
	MaxWaiting int64
	// ReadOnly opens a file that is there to look at it, while a gateway may be
	// writing to it. Every write fails then.
	ReadOnly bool
}

// Journal is a [store.Journal] in a file.
type Journal struct {
	path   string
	read   *sql.DB
	write  *sql.DB // of one connection, which the queue's goroutine uses
	writer *writer
	queue  *group.Queue[operation]
	opened version // of the file, when it was opened
	closed atomic.Bool
	wrote  atomic.Int64 // when the last transaction went well, in Unix nanoseconds; 0 after one that did not
}

var _ store.Journal = (*Journal)(nil)

const (
	defaultMaxWaiting = 64 << 20
	maxReaders        = 4
	// busyTimeout is how long, in milliseconds, one waits for another process.
	busyTimeout = 10_000
)

// Open opens the file, brings it to this program's schema, and starts to write.
// An error that a person can do something about is a [*FileError].
func Open(o Options) (*Journal, error) {
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = defaultMaxWaiting
	}
	if err := prepare(o); err != nil {
		return nil, fileError(o.Path, err)
	}
	j := &Journal{path: o.Path}
	if err := j.open(o); err != nil {
		j.closeFiles()
		return nil, fileError(o.Path, err)
	}
	return j, nil
}

// prepare makes the file for its owner alone: SQLite would make it as the umask
// says.
func prepare(o Options) error {
	if o.ReadOnly {
		_, err := os.Stat(o.Path)
		return err
	}
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (j *Journal) open(o Options) error {
	ctx := context.Background()
	var err error
	if o.ReadOnly {
		if j.read, err = openDB(o.Path, "mode=ro", maxReaders); err != nil {
			return err
		}
		return checkSchema(ctx, j.read)
	}
	if j.write, err = openDB(o.Path, "mode=rw&_txlock=immediate&_pragma=synchronous(full)&_pragma=secure_delete(on)&_pragma=wal_autocheckpoint(1000)&_pragma=cache_size(-8192)", 1); err != nil {
		return err
	}
	// Looked at before the mode is set: that already changes the file.
	if _, err := schemaVersion(ctx, j.write); err != nil {
		return err
	}
	if _, err := j.write.ExecContext(ctx, "PRAGMA journal_mode = wal"); err != nil {
		return err
	}
	if err := migrate(ctx, j.write); err != nil {
		return err
	}
	if j.read, err = openDB(o.Path, "mode=rw&_pragma=query_only(on)&_pragma=cache_size(-4096)", maxReaders); err != nil {
		return err
	}
	if j.writer, err = newWriter(ctx, j.write); err != nil {
		return err
	}
	if j.opened, err = j.writer.version(ctx); err != nil {
		return err
	}
	j.queue = group.New(o.MaxWaiting, j.commit)
	return nil
}

// openDB opens a pool. The path is escaped: it may hold what a URL must not.
func openDB(path, query string, conns int) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute)}).String() + "?" + query + fmt.Sprintf("&_pragma=busy_timeout(%d)", busyTimeout)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, warm(db, conns)
}

// warm opens all of a pool's connections, so that what a gateway holds open does
// not depend on what it was asked.
func warm(db *sql.DB, conns int) error {
	var opened []*sql.Conn
	var errs []error
	for range conns {
		conn, err := db.Conn(context.Background())
		if err != nil {
			errs = append(errs, err)
			break
		}
		opened = append(opened, conn)
	}
	for _, conn := range opened {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// Path is the journal's file.
func (j *Journal) Path() string { return j.path }

// Ping implements [store.Journal]. It writes, unless that went well a second ago.
func (j *Journal) Ping(ctx context.Context) error {
	switch {
	case j.closed.Load():
		return store.ErrClosed
	case j.queue == nil:
		return j.read.PingContext(ctx)
	case time.Since(time.Unix(0, j.wrote.Load())) < time.Second:
		return nil
	}
	return j.wait(ctx, &probe{})
}

// Close implements [store.Journal].
func (j *Journal) Close() error {
	if j.closed.Swap(true) {
		return nil
	}
	if j.queue != nil {
		j.queue.Close()
	}
	return j.closeFiles()
}

func (j *Journal) closeFiles() error {
	var errs []error
	if j.writer != nil {
		errs = append(errs, j.writer.close())
	}
	for _, db := range []*sql.DB{j.read, j.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// wait does an operation in its turn and waits for its end.
func (j *Journal) wait(ctx context.Context, op operation) error {
	done := make(chan error, 1)
	j.add(op, func(err error) { done <- err }, 0)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) add(op operation, done func(error), size int64) {
	if j.queue == nil {
		done(fmt.Errorf("store: %s is open for reading only", j.path))
		return
	}
	op.ends(done)
	switch err := j.queue.Add(op, size); {
	case errors.Is(err, group.ErrFull):
		done(store.ErrOverloaded)
	case err != nil:
		done(store.ErrClosed)
	}
}
