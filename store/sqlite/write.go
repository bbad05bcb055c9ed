package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"agentzero/store"
)

// operation is one thing to be written. Its own refusal (a fence) leaves the
// transaction of the others alone; an error of the database ends it for all.
type operation interface {
	apply(ctx context.Context, w *writer) (refused, broken error)
	ends(done func(error))
	end(error)
}

// caller is who waits for an operation.
type caller struct{ done func(error) }

func (c *caller) ends(done func(error)) { c.done = done }
func (c *caller) end(err error)         { c.done(err) }

// commit writes operations in one transaction and tells their callers.
func (j *Journal) commit(ops []operation) {
	refusals, err := j.writer.transact(ops)
	if err != nil {
		err = fileError(j.path, err)
		j.wrote.Store(0)
	} else if writes(ops) {
		j.wrote.Store(time.Now().UnixNano())
	}
	for i, op := range ops {
		if err != nil {
			op.end(err)
		} else {
			op.end(refusals[i])
		}
	}
	if err == nil {
		j.writer.shorten(j.path + "-wal")
	}
}

const (
	// walLimit is how large the write-ahead log grows before the writer waits for
	// its readers to let go of it. SQLite itself, which is told to move pages into
	// the file from 4 MiB on, never waits, and among many readers never ends.
	walLimit = 8 << 20
	// readerPatience is how long, in milliseconds, it waits for them: a backup
	// reads for longer, and then the log grows.
	readerPatience = 200
)

// shorten moves what the write-ahead log holds into the file where it has grown.
// What fails here is tried again when it has grown further.
func (w *writer) shorten(wal string) {
	info, err := os.Stat(wal)
	if err != nil || info.Size() < max(walLimit, w.shortenAt) {
		return
	}
	ctx := context.Background()
	var busy, pages, moved int
	_, _ = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", readerPatience))
	err = w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	_, _ = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeout))
	w.shortenAt = 0
	if err != nil || busy != 0 {
		w.shortenAt = info.Size() + walLimit
	}
}

// writes reports whether operations have anything to write.
func writes(ops []operation) bool {
	return slices.ContainsFunc(ops, func(op operation) bool {
		_, only := op.(*look)
		return !only
	})
}

// writer is the one connection that writes, and its statements.
type writer struct {
	conn                                                            *sql.Conn
	statements                                                      []*sql.Stmt
	addSession, addEvent, addTotal, claim, unclaim                  *sql.Stmt
	sizeOfSnapshot, putSnapshot, growSession, probe                 *sql.Stmt
	sizeOf, deleteEvents, deleteClaims, deleteSession, forgetClaims *sql.Stmt
	deleteSnapshot                                                  *sql.Stmt
	shortenAt                                                       int64 // size of the write-ahead log; 0 is walLimit
	addDelivery, updateDelivery, surplusDelivery, forgetDeliveries  *sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn}
	for _, s := range []struct {
		statement **sql.Stmt
		text      string
	}{
		// A session is made by a batch after 0; another batch must follow the
		// last one, and come from an owner that is no older.
		{&w.addSession, `INSERT INTO sessions (owner, name, created, updated, epoch, last, bytes, head, open)
			SELECT ?1, ?2, ?3, ?3, ?4, ?5 + ?6, ?7, ?8, ?9 WHERE ?5 = 0 OR EXISTS (SELECT 1 FROM sessions WHERE owner = ?1 AND name = ?2)
			ON CONFLICT (owner, name) DO UPDATE SET updated = CASE WHEN ?6 > 0 THEN excluded.updated ELSE updated END, epoch = excluded.epoch, last = excluded.last,
				bytes = bytes + excluded.bytes, head = coalesce(excluded.head, head), open = excluded.open
			WHERE epoch <= excluded.epoch AND last = ?5
			RETURNING id`},
		{&w.addEvent, `INSERT INTO events (session, seq, kind, turn, at, data) VALUES (?, ?, ?, ?, ?, ?)`},
		{&w.addTotal, `UPDATE totals SET bytes = bytes + ?`},
		{&w.sizeOfSnapshot, `SELECT coalesce(sum(length(data)), 0) FROM snapshots WHERE session = ?`},
		{&w.putSnapshot, `INSERT OR REPLACE INTO snapshots (session, data) VALUES (?, ?)`},
		{&w.growSession, `UPDATE sessions SET bytes = bytes + ? WHERE id = ?`},
		{&w.probe, `UPDATE journal SET probe = randomblob(?)`},
		{&w.claim, `INSERT OR REPLACE INTO claims (key, fingerprint, owner, name, turn, place, at) VALUES (?, ?, ?, ?, ?, ?, ?)`},
		{&w.unclaim, `DELETE FROM claims WHERE key = ?`},
		{&w.sizeOf, `SELECT id, bytes FROM sessions WHERE owner = ? AND name = ?`},
		{&w.deleteEvents, `DELETE FROM events WHERE session = ?`},
		{&w.deleteSnapshot, `DELETE FROM snapshots WHERE session = ?`},
		{&w.deleteClaims, `DELETE FROM claims WHERE owner = ? AND name = ?`},
		{&w.deleteSession, `DELETE FROM sessions WHERE id = ?`},
		{&w.forgetClaims, `DELETE FROM claims WHERE at < ?`},
		{&w.addDelivery, `INSERT INTO deliveries (channel, id, conversation, state, open, accepted, updated, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (channel, id) DO NOTHING`},
		{&w.updateDelivery, `UPDATE deliveries SET state = ?, open = ?, updated = ?, data = ? WHERE channel = ? AND id = ?`},
		{&w.surplusDelivery, `SELECT place FROM deliveries WHERE channel = ? AND NOT open ORDER BY place DESC LIMIT 1 OFFSET ?`},
		{&w.forgetDeliveries, `DELETE FROM deliveries WHERE place IN
			(SELECT place FROM deliveries WHERE channel = ? AND NOT open AND (updated < ? OR place <= ?) ORDER BY place LIMIT ?)`},
	} {
		if *s.statement, err = conn.PrepareContext(ctx, s.text); err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.statements = append(w.statements, *s.statement)
	}
	return w, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// transact applies operations together. Its error is the database's.
func (w *writer) transact(ops []operation) ([]error, error) {
	ctx := context.Background()
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	refusals := make([]error, len(ops))
	for i, op := range ops {
		refused, broken := op.apply(ctx, w)
		if broken != nil {
			return nil, errors.Join(broken, w.rollback(ctx))
		}
		refusals[i] = refused
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return nil, errors.Join(err, w.rollback(ctx))
	}
	return refusals, nil
}

// begin begins a transaction. One that could not be undone when it failed, as the
// disk was broken then, is undone first.
func (w *writer) begin(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if primary(err) != sqlite3.SQLITE_ERROR {
		return err
	}
	if _, undone := w.conn.ExecContext(ctx, "ROLLBACK"); undone != nil {
		return errors.Join(err, undone)
	}
	_, err = w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	return err
}

// rollback ends a transaction that failed, unless SQLite has done so itself.
func (w *writer) rollback(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, "ROLLBACK"); err != nil && primary(err) != sqlite3.SQLITE_ERROR {
		return err
	}
	return nil
}

// Append implements [store.Journal].
func (j *Journal) Append(id store.ID, epoch uint64, b store.Batch, done func(error)) {
	op := &appendOp{id: id, epoch: epoch, batch: b, now: time.Now()}
	for _, e := range b.Events {
		op.bytes += int64(len(e.Data) + len(e.Turn) + len(e.Kind))
	}
	j.add(op, done, op.bytes+int64(len(b.Head)+len(b.Snapshot)))
}

type appendOp struct {
	caller
	id    store.ID
	epoch uint64
	batch store.Batch
	bytes int64
	now   time.Time
}

func (op *appendOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	b := &op.batch
	at := op.now
	if n := len(b.Events); n > 0 {
		at = b.Events[n-1].At
	}
	var session int64
	err := w.addSession.QueryRowContext(ctx, op.id.Owner, op.id.Name, at.UnixNano(), int64(op.epoch),
		int64(b.After), len(b.Events), op.bytes, []byte(b.Head), b.Open).Scan(&session)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrFenced, nil
	}
	if err != nil {
		return nil, err
	}
	for i, e := range b.Events {
		if _, err := w.addEvent.ExecContext(ctx, session, int64(b.After)+int64(i)+1, e.Kind, e.Turn, e.At.UnixNano(), []byte(e.Data)); err != nil {
			return nil, fmt.Errorf("add event: %w", err)
		}
	}
	bytes := op.bytes
	if b.Snapshot != nil {
		grown, err := w.snapshot(ctx, session, b.Snapshot)
		if err != nil {
			return nil, err
		}
		bytes += grown
	}
	if bytes != 0 {
		if _, err := w.addTotal.ExecContext(ctx, bytes); err != nil {
			return nil, err
		}
	}
	for _, c := range b.Claims {
		if _, err := w.claim.ExecContext(ctx, c.Key, c.Fingerprint[:], c.Session.Owner, c.Session.Name, c.Turn, int64(c.Place), c.At.UnixNano()); err != nil {
			return nil, err
		}
	}
	for _, key := range b.Forgets {
		if _, err := w.unclaim.ExecContext(ctx, key); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// snapshot replaces a session's snapshot and returns by how much that has grown.
func (w *writer) snapshot(ctx context.Context, session int64, data []byte) (grown int64, err error) {
	if err := w.sizeOfSnapshot.QueryRowContext(ctx, session).Scan(&grown); err != nil {
		return 0, err
	}
	grown = int64(len(data)) - grown
	if _, err := w.putSnapshot.ExecContext(ctx, session, data); err != nil {
		return 0, err
	}
	_, err = w.growSession.ExecContext(ctx, grown, session)
	return grown, err
}

// Delete implements [store.Journal].
func (j *Journal) Delete(ctx context.Context, id store.ID) error {
	return j.wait(ctx, &deleteOp{id: id})
}

type deleteOp struct {
	caller
	id store.ID
}

func (op *deleteOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	var session, bytes int64
	err := w.sizeOf.QueryRowContext(ctx, op.id.Owner, op.id.Name).Scan(&session, &bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, step := range []struct {
		statement *sql.Stmt
		args      []any
	}{
		{w.deleteEvents, []any{session}},
		{w.deleteSnapshot, []any{session}},
		{w.deleteClaims, []any{op.id.Owner, op.id.Name}},
		{w.deleteSession, []any{session}},
		{w.addTotal, []any{-bytes}},
	} {
		if _, err := step.statement.ExecContext(ctx, step.args...); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// ForgetClaims implements [store.Journal].
func (j *Journal) ForgetClaims(ctx context.Context, before time.Time) error {
	return j.wait(ctx, &forgetOp{before: before})
}

type forgetOp struct {
	caller
	before time.Time
}

func (op *forgetOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	_, err := w.forgetClaims.ExecContext(ctx, op.before.UnixNano())
	return nil, err
}

// probe writes as much as a turn does, to see whether one could be kept.
type probe struct {
	caller
}

const probeBytes = 16 << 10

func (*probe) apply(ctx context.Context, w *writer) (refused, broken error) {
	_, err := w.probe.ExecContext(ctx, probeBytes)
	return nil, err
}
