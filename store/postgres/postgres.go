// Package postgres keeps the journal in a PostgreSQL database, for fleets: many
// gateways write to one, each to its own sessions.
//
// One goroutine writes; what is appended while a transaction is on its way goes
// together into the next, in one round trip (group commit). A connection that
// breaks is made anew by the pool; what was being written then fails, and may
// have been kept all the same: its owner must read the session again, and the
// place that every batch names keeps it from being written twice.
package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"agentzero/store"
	"agentzero/store/internal/group"
)

// Options say how to reach the database.
type Options struct {
	// URL is a connection string, postgres://user:password@host/database or
	// key=value pairs, as libpq takes it. Required. It never stands in an error.
	URL string
	// Node is this gateway's name among those that write to the database; the
	// sessions it wrote last are its own to finish after a restart.
	Node string
	// MaxWaiting bounds the bytes that wait to be written; 0 is 64 MiB. Past it
	// appends fail with [store.ErrOverloaded].
	MaxWaiting int64
	// MaxConns bounds the connections; 0 is 8.
	MaxConns int32
}

// Journal is a [store.Journal] in a database.
type Journal struct {
	pool     *pgxpool.Pool
	node     string
	instance string // names this journal among those of the database
	queue    *group.Queue[*operation]
	closed   atomic.Bool
	wrote    atomic.Int64 // when the last transaction went well, in Unix nanoseconds; 0 after one that did not
	life     context.Context
	end      context.CancelFunc
}

var _ store.Journal = (*Journal)(nil)

const (
	defaultMaxWaiting = 64 << 20
	defaultMaxConns   = 8
	connectTimeout    = 10 * time.Second
	// commitTimeout bounds one transaction: a server that hangs must not hold
	// the callers for ever.
	commitTimeout = 30 * time.Second
	maxAttempts   = 3
)

// Open connects, brings the database to this program's schema, and starts to
// write.
func Open(ctx context.Context, o Options) (*Journal, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("store: the connection string of PostgreSQL cannot be read")
	}
	if config.MaxConns = o.MaxConns; o.MaxConns <= 0 {
		config.MaxConns = defaultMaxConns
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = defaultMaxWaiting
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, describe(err)
	}
	if err := migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, describe(err)
	}
	j := &Journal{pool: pool, node: o.Node, instance: rand.Text()}
	j.life, j.end = context.WithCancel(context.Background())
	j.queue = group.New(o.MaxWaiting, j.commit)
	return j, nil
}

// describe says what kind of failure it is. pgx leaves passwords out of its
// errors.
func describe(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return fmt.Errorf("store: PostgreSQL: %s (%s)", server.Message, server.Code)
	}
	return fmt.Errorf("store: PostgreSQL: %w", oneLine{err})
}

// oneLine tells an error in one line. pgx writes one for each address it has
// tried, some of them twice: with TLS and without.
type oneLine struct{ error }

func (e oneLine) Error() string {
	lines := strings.Split(e.error.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	tried := strings.Join(slices.Compact(lines[1:]), "; ")
	return strings.TrimSpace(lines[0] + " " + tried)
}

func (e oneLine) Unwrap() error { return e.error }

// Ping implements [store.Journal]. It writes, unless that went well a second ago.
func (j *Journal) Ping(ctx context.Context) error {
	switch {
	case j.closed.Load():
		return store.ErrClosed
	case time.Since(time.Unix(0, j.wrote.Load())) < time.Second:
		return nil
	}
	data := make([]byte, probeBytes)
	_, _ = rand.Read(data) // never fails, as its documentation says
	return j.wait(ctx, &operation{queue: func(b *pgx.Batch) {
		b.Queue("INSERT INTO agentzero_probes VALUES ($1, $2) ON CONFLICT (node) DO UPDATE SET data = excluded.data", j.node, data)
	}})
}

// probeBytes is as much as a turn writes.
const probeBytes = 16 << 10

// Close implements [store.Journal].
func (j *Journal) Close() error {
	if j.closed.Swap(true) {
		return nil
	}
	j.queue.Close()
	j.end()
	j.pool.Close()
	return nil
}

func (j *Journal) failure(err error) error {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	case j.closed.Load():
		return store.ErrClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return describe(err)
	}
}

// operation is one thing to be written: statements, the first of which tells by
// the number of its rows whether the operation is refused.
type operation struct {
	id      store.ID
	queue   func(*pgx.Batch)
	count   int   // of the statements queued
	fenced  bool  // no row of the first means that it is refused
	refusal error // then; nil is [store.ErrFenced]
	rows    int64 // of the first
	done    func(error)
	refused error
}

func (j *Journal) add(op *operation, size int64) {
	switch err := j.queue.Add(op, size); {
	case errors.Is(err, group.ErrFull):
		op.done(store.ErrOverloaded)
	case err != nil:
		op.done(store.ErrClosed)
	}
}

// commit writes operations in one transaction and tells their callers. Sessions
// are locked in one order everywhere, so that two gateways do not wait for each
// other; should they all the same, it tries again.
func (j *Journal) commit(ops []*operation) {
	sorted := slices.Clone(ops)
	slices.SortStableFunc(sorted, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(a.id.Owner, b.id.Owner), cmp.Compare(a.id.Name, b.id.Name))
	})
	var err error
	for range maxAttempts {
		if err = j.transact(sorted); !again(err) {
			break
		}
	}
	if badValue(err) && len(ops) > 1 { // one caller's value must not fail the others
		for i := range ops {
			j.commit(ops[i : i+1])
		}
		return
	}
	if err == nil {
		j.wrote.Store(time.Now().UnixNano())
	} else {
		j.wrote.Store(0)
	}
	for _, op := range ops {
		if err != nil {
			op.done(j.failure(err))
		} else {
			op.done(op.refused)
		}
	}
}

// badValue reports whether the server refused a transaction for a value in it:
// SQLSTATE's class 22, data exception, such as NUL in a text.
func badValue(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && strings.HasPrefix(server.Code, "22")
}

// again reports whether the server has undone a transaction that may go well the
// next time.
func again(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && (server.Code == "40P01" || server.Code == "40001")
}

func (j *Journal) transact(ops []*operation) error {
	ctx, cancel := context.WithTimeout(j.life, commitTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) (err error) {
		batch := &pgx.Batch{}
		for _, op := range ops {
			before := batch.Len()
			op.queue(batch)
			op.count = batch.Len() - before
		}
		results := tx.SendBatch(ctx, batch)
		defer func() { err = errors.Join(err, results.Close()) }()
		for _, op := range ops {
			op.refused = nil
			for i := range op.count {
				tag, err := results.Exec()
				if err != nil {
					return err
				}
				if i > 0 {
					continue
				}
				if op.rows = tag.RowsAffected(); op.fenced && op.rows == 0 {
					op.refused = cmp.Or(op.refusal, store.ErrFenced)
				}
			}
		}
		return nil
	})
}
