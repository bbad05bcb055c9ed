package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"agentzero/store"
)

// settle waits for what this gateway has appended before, so that a reader sees
// it.
func (j *Journal) settle(ctx context.Context) error {
	if j.closed.Load() {
		return store.ErrClosed
	}
	if j.queue.Idle() {
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

// Load implements [store.Journal].
func (j *Journal) Load(ctx context.Context, id store.ID) (store.Session, error) {
	if err := j.settle(ctx); err != nil {
		return store.Session{}, err
	}
	s := store.Session{Info: store.Info{ID: id}}
	var created, updated, epoch, last int64
	var head []byte
	err := j.pool.QueryRow(ctx, "SELECT created, updated, epoch, last, bytes, head, open FROM agentzero_sessions WHERE owner = $1 AND name = $2",
		id.Owner, id.Name).Scan(&created, &updated, &epoch, &last, &s.Bytes, &head, &s.Open)
	if err != nil {
		return store.Session{}, j.failure(err)
	}
	s.Created, s.Updated = time.Unix(0, created), time.Unix(0, updated)
	s.Epoch, s.Last, s.Head = uint64(epoch), uint64(last), head
	return s, nil
}

// Snapshot implements [store.Journal].
func (j *Journal) Snapshot(ctx context.Context, id store.ID) ([]byte, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	var data []byte
	err := j.pool.QueryRow(ctx, "SELECT p.data FROM agentzero_sessions s JOIN agentzero_snapshots p ON p.session = s.id WHERE s.owner = $1 AND s.name = $2",
		id.Owner, id.Name).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, j.failure(err)
	}
	return data, nil
}

// Read implements [store.Journal]. What is past [store.MaxReadBytes] is cut off
// by the server, so that it is not sent.
func (j *Journal) Read(ctx context.Context, id store.ID, after uint64, max int) ([]store.Event, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.pool.Query(ctx, `SELECT seq, kind, turn, at, data FROM (
			SELECT e.*, sum(coalesce(octet_length(data), 0)) OVER (ORDER BY seq) - coalesce(octet_length(data), 0) AS before
			FROM (SELECT e.* FROM agentzero_events e JOIN agentzero_sessions s ON s.id = e.session
				WHERE s.owner = $1 AND s.name = $2 AND e.seq > $3 ORDER BY e.seq LIMIT $4) e
		) e WHERE before < $5 ORDER BY seq`, id.Owner, id.Name, int64(after), max, store.MaxReadBytes)
	if err != nil {
		return nil, j.failure(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.Event, err error) {
		var seq, at int64
		var data []byte
		err = row.Scan(&seq, &e.Kind, &e.Turn, &at, &data)
		e.Seq, e.At, e.Data = uint64(seq), time.Unix(0, at), data
		return e, err
	})
	if err != nil {
		return nil, j.failure(err)
	}
	return events, nil
}

// List implements [store.Journal].
func (j *Journal) List(ctx context.Context, owner string, after store.ID, limit int) ([]store.Info, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if after.Name != "" {
		if after.Owner == "" {
			after.Owner = owner
		}
		if err := j.pool.QueryRow(ctx, "SELECT id FROM agentzero_sessions WHERE owner = $1 AND name = $2", after.Owner, after.Name).Scan(&before); err != nil {
			return nil, j.failure(err)
		}
	}
	where, args := "id < $1", []any{before, max(limit, 0)}
	if owner != "" {
		where, args = "id < $1 AND owner = $3", append(args, owner)
	}
	rows, err := j.pool.Query(ctx, "SELECT owner, name, created, updated, last, bytes FROM agentzero_sessions WHERE "+where+" ORDER BY id DESC LIMIT $2", args...)
	if err != nil {
		return nil, j.failure(err)
	}
	infos, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i store.Info, err error) {
		var created, updated, last int64
		err = row.Scan(&i.ID.Owner, &i.ID.Name, &created, &updated, &last, &i.Bytes)
		i.Created, i.Updated, i.Last = time.Unix(0, created), time.Unix(0, updated), uint64(last)
		return i, err
	})
	if err != nil {
		return nil, j.failure(err)
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
	err := j.pool.QueryRow(ctx, "SELECT fingerprint, owner, name, turn, place, at FROM agentzero_claims WHERE key = $1", []byte(key)).
		Scan(&fingerprint, &c.Session.Owner, &c.Session.Name, &c.Turn, &place, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Claim{}, false, nil
	}
	if err != nil {
		return store.Claim{}, false, j.failure(err)
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
	if err := j.pool.QueryRow(ctx, "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM agentzero_sessions").Scan(&count, &bytes); err != nil {
		return nil, j.failure(err)
	}
	rows, err := j.pool.Query(ctx, "SELECT owner, name, updated, bytes FROM agentzero_sessions ORDER BY updated LIMIT $1", max(limit, 0))
	if err != nil {
		return nil, j.failure(err)
	}
	defer rows.Close()
	var surplus []store.ID
	for rows.Next() {
		var id store.ID
		var updated, size int64
		if err := rows.Scan(&id.Owner, &id.Name, &updated, &size); err != nil {
			return nil, j.failure(err)
		}
		if !r.Forbids(time.Unix(0, updated), now, count, bytes) {
			break
		}
		surplus = append(surplus, id)
		count--
		bytes -= size
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, j.failure(err)
	}
	return surplus, nil
}

// Unfinished implements [store.Journal].
func (j *Journal) Unfinished(ctx context.Context, after store.ID, limit int) ([]store.ID, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.pool.Query(ctx, `SELECT owner, name FROM agentzero_sessions WHERE open AND node = $1
		AND id > coalesce((SELECT id FROM agentzero_sessions WHERE owner = $2 AND name = $3), 0) ORDER BY id LIMIT $4`,
		j.node, after.Owner, after.Name, max(limit, 0))
	if err != nil {
		return nil, j.failure(err)
	}
	ids, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (id store.ID, err error) {
		err = row.Scan(&id.Owner, &id.Name)
		return id, err
	})
	if err != nil {
		return nil, j.failure(err)
	}
	return ids, nil
}
