package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"agentzero/store"
)

// Load implements [store.Journal].
func (j *Journal) Load(ctx context.Context, id store.ID) (store.Session, error) {
	if err := j.settle(ctx); err != nil {
		return store.Session{}, err
	}
	s := store.Session{Info: store.Info{ID: id}}
	var created, updated, epoch, last int64
	var head []byte
	err := j.read.QueryRowContext(ctx, "SELECT created, updated, epoch, last, bytes, head, open, (SELECT generation FROM journal) FROM sessions WHERE owner = ? AND name = ?",
		id.Owner, id.Name).Scan(&created, &updated, &epoch, &last, &s.Bytes, &head, &s.Open, &s.Generation)
	if errors.Is(err, sql.ErrNoRows) {
		none := store.Session{}
		if err := j.read.QueryRowContext(ctx, "SELECT generation FROM journal").Scan(&none.Generation); err != nil {
			return none, j.readError(err)
		}
		return none, store.ErrNotFound
	}
	if err != nil {
		return store.Session{}, j.readError(err)
	}
	s.Created, s.Updated = time.Unix(0, created), time.Unix(0, updated)
	s.Epoch, s.Last, s.Head = uint64(epoch), uint64(last), json.RawMessage(head)
	return s, nil
}

// Snapshot implements [store.Journal].
func (j *Journal) Snapshot(ctx context.Context, id store.ID) ([]byte, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	var data []byte
	err := j.read.QueryRowContext(ctx, "SELECT p.data FROM sessions s JOIN snapshots p ON p.session = s.id WHERE s.owner = ? AND s.name = ?",
		id.Owner, id.Name).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, j.readError(err)
	}
	return data, nil
}

// settle waits for what was appended before, so that a reader sees it.
func (j *Journal) settle(ctx context.Context) error {
	switch {
	case j.closed.Load():
		return store.ErrClosed
	case j.queue == nil || j.queue.Idle():
		return nil
	}
	done := make(chan struct{})
	j.queue.Settled(func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) readError(err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case j.closed.Load():
		return store.ErrClosed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return fileError(j.path, err)
	}
}

// Read implements [store.Journal].
func (j *Journal) Read(ctx context.Context, id store.ID, after uint64, max int) ([]store.Event, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.read.QueryContext(ctx, `SELECT e.seq, e.kind, e.turn, e.at, e.data FROM sessions s JOIN events e ON e.session = s.id
		WHERE s.owner = ? AND s.name = ? AND e.seq > ? ORDER BY e.seq LIMIT ?`, id.Owner, id.Name, int64(after), max)
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	var events []store.Event
	for bytes := 0; bytes < store.MaxReadBytes && rows.Next(); {
		var e store.Event
		var seq, at int64
		var data []byte
		if err := rows.Scan(&seq, &e.Kind, &e.Turn, &at, &data); err != nil {
			return nil, j.readError(err)
		}
		e.Seq, e.At, e.Data = uint64(seq), time.Unix(0, at), json.RawMessage(data)
		bytes += len(data)
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return events, nil
}

// List implements [store.Journal].
func (j *Journal) List(ctx context.Context, owner string, after store.ID, limit int) ([]store.Info, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	before := int64(1)<<62 - 1
	if after.Name != "" {
		if after.Owner == "" {
			after.Owner = owner
		}
		if err := j.read.QueryRowContext(ctx, "SELECT id FROM sessions WHERE owner = ? AND name = ?", after.Owner, after.Name).Scan(&before); err != nil {
			return nil, j.readError(err)
		}
	}
	query, args := "SELECT owner, name, created, updated, last, bytes FROM sessions WHERE id < ? ORDER BY id DESC LIMIT ?", []any{before, max(limit, 0)}
	if owner != "" {
		query, args = "SELECT owner, name, created, updated, last, bytes FROM sessions WHERE owner = ? AND id < ? ORDER BY id DESC LIMIT ?", []any{owner, before, max(limit, 0)}
	}
	rows, err := j.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	infos := []store.Info{}
	for rows.Next() {
		var i store.Info
		var created, updated, last int64
		if err := rows.Scan(&i.ID.Owner, &i.ID.Name, &created, &updated, &last, &i.Bytes); err != nil {
			return nil, j.readError(err)
		}
		i.Created, i.Updated, i.Last = time.Unix(0, created), time.Unix(0, updated), uint64(last)
		infos = append(infos, i)
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return infos, nil
}

// Claimed implements [store.Journal].
func (j *Journal) Claimed(ctx context.Context, key string) (store.Claim, bool, error) {
	if err := j.settle(ctx); err != nil {
		return store.Claim{}, false, err
	}
	c := store.Claim{Key: key}
	var fingerprint []byte
	var at, place int64
	err := j.read.QueryRowContext(ctx, "SELECT fingerprint, owner, name, turn, place, at FROM claims WHERE key = ?", key).
		Scan(&fingerprint, &c.Session.Owner, &c.Session.Name, &c.Turn, &place, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Claim{}, false, nil
	}
	if err != nil {
		return store.Claim{}, false, j.readError(err)
	}
	copy(c.Fingerprint[:], fingerprint)
	c.Place, c.At = uint64(place), time.Unix(0, at)
	return c, true, nil
}

// Surplus implements [store.Journal].
func (j *Journal) Surplus(ctx context.Context, r store.Retention, now time.Time, limit int) ([]store.ID, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	var count, bytes int64
	if err := j.read.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM sessions), (SELECT bytes FROM totals)").Scan(&count, &bytes); err != nil {
		return nil, j.readError(err)
	}
	rows, err := j.read.QueryContext(ctx, "SELECT owner, name, updated, bytes FROM sessions ORDER BY updated LIMIT ?", max(limit, 0))
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	var surplus []store.ID
	for rows.Next() {
		var id store.ID
		var updated, size int64
		if err := rows.Scan(&id.Owner, &id.Name, &updated, &size); err != nil {
			return nil, j.readError(err)
		}
		if !r.Forbids(time.Unix(0, updated), now, count, bytes) {
			break
		}
		surplus = append(surplus, id)
		count--
		bytes -= size
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return surplus, nil
}

// Unfinished implements [store.Journal].
func (j *Journal) Unfinished(ctx context.Context, after store.ID, limit int) ([]store.ID, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.read.QueryContext(ctx, `SELECT owner, name FROM sessions WHERE open
		AND id > coalesce((SELECT id FROM sessions WHERE owner = ? AND name = ?), 0) ORDER BY id LIMIT ?`, after.Owner, after.Name, max(limit, 0))
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	var ids []store.ID
	for rows.Next() {
		var id store.ID
		if err := rows.Scan(&id.Owner, &id.Name); err != nil {
			return nil, j.readError(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return ids, nil
}
