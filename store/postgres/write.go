package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"agentzero/store"
)

// A session is made by a batch after 0; another batch must follow the last one,
// and come from an owner that is no older. The events go in only where the
// session took them.
const appendStatement = `
WITH session AS (
	INSERT INTO agentzero_sessions AS s (owner, name, created, updated, epoch, last, bytes, head, open, node)
	SELECT $1, $2, $3, $3, $4, $5::bigint + $6::bigint, $7::bigint + coalesce(octet_length($23::bytea), 0), $8, $20, $21
	WHERE $5::bigint = 0 OR EXISTS (SELECT 1 FROM agentzero_sessions WHERE owner = $1 AND name = $2)
	ON CONFLICT (owner, name) DO UPDATE SET updated = CASE WHEN $6::bigint > 0 THEN excluded.updated ELSE s.updated END, epoch = excluded.epoch, last = excluded.last,
		bytes = s.bytes + $7::bigint + coalesce(octet_length($23::bytea)
			- coalesce((SELECT octet_length(p.data) FROM agentzero_snapshots p WHERE p.session = s.id), 0), 0), head = coalesce(excluded.head, s.head),
		open = excluded.open, node = excluded.node
	WHERE s.epoch <= excluded.epoch AND s.last = $5::bigint
	RETURNING id
), events AS (
	INSERT INTO agentzero_events (session, seq, kind, turn, at, data)
	SELECT session.id, $5::bigint + e.n, e.kind, e.turn, e.at, e.data
	FROM session, unnest($9::text[], $10::text[], $11::bigint[], $12::bytea[]) WITH ORDINALITY AS e (kind, turn, at, data, n)
), snapshots AS (
	INSERT INTO agentzero_snapshots (session, data) SELECT session.id, $23 FROM session WHERE $23::bytea IS NOT NULL
	ON CONFLICT (session) DO UPDATE SET data = excluded.data
), unclaimed AS (
	DELETE FROM agentzero_claims USING session WHERE key = ANY ($13::bytea[])
), claimed AS (
	INSERT INTO agentzero_claims (key, fingerprint, owner, name, turn, at, place)
	SELECT c.* FROM session, unnest($14::bytea[], $15::bytea[], $16::text[], $17::text[], $18::text[], $19::bigint[], $22::bigint[]) AS c
	ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, owner = excluded.owner, name = excluded.name,
		turn = excluded.turn, at = excluded.at, place = excluded.place
)
SELECT id FROM session`

// Append implements [store.Journal].
func (j *Journal) Append(id store.ID, epoch uint64, b store.Batch, done func(error)) {
	at := time.Now()
	var size int64
	events := newColumns(len(b.Events))
	for _, e := range b.Events {
		events.add(e)
		size += int64(len(e.Data) + len(e.Turn) + len(e.Kind))
		at = e.At
	}
	var claims claimColumns
	for _, c := range b.Claims {
		claims.add(c)
	}
	forgets := make([][]byte, len(b.Forgets))
	for i, key := range b.Forgets {
		forgets[i] = []byte(key)
	}
	j.add(&operation{id: id, fenced: true, done: done, queue: func(batch *pgx.Batch) {
		batch.Queue(appendStatement, id.Owner, id.Name, at.UnixNano(), int64(epoch), int64(b.After), int64(len(b.Events)), size, []byte(b.Head),
			events.kinds, events.turns, events.ats, events.data, forgets,
			claims.keys, claims.fingerprints, claims.owners, claims.names, claims.turns, claims.ats, b.Open, j.node, claims.places, b.Snapshot)
	}}, size+int64(len(b.Head)+len(b.Snapshot)))
}

// columns are events as unnest takes them.
type columns struct {
	kinds, turns []string
	ats          []int64
	data         [][]byte
}

func newColumns(n int) *columns {
	return &columns{make([]string, 0, n), make([]string, 0, n), make([]int64, 0, n), make([][]byte, 0, n)}
}

func (c *columns) add(e store.Event) {
	c.kinds = append(c.kinds, e.Kind)
	c.turns = append(c.turns, e.Turn)
	c.ats = append(c.ats, e.At.UnixNano())
	c.data = append(c.data, e.Data)
}

type claimColumns struct {
	owners, names, turns []string
	keys, fingerprints   [][]byte
	ats, places          []int64
}

func (c *claimColumns) add(claim store.Claim) {
	c.keys = append(c.keys, []byte(claim.Key))
	c.owners = append(c.owners, claim.Session.Owner)
	c.names = append(c.names, claim.Session.Name)
	c.turns = append(c.turns, claim.Turn)
	c.fingerprints = append(c.fingerprints, claim.Fingerprint[:])
	c.ats = append(c.ats, claim.At.UnixNano())
	c.places = append(c.places, int64(claim.Place))
}

// Delete implements [store.Journal].
func (j *Journal) Delete(ctx context.Context, id store.ID) error {
	return j.wait(ctx, &operation{id: id, queue: func(b *pgx.Batch) {
		b.Queue("DELETE FROM agentzero_claims WHERE owner = $1 AND name = $2", id.Owner, id.Name)
		b.Queue("DELETE FROM agentzero_sessions WHERE owner = $1 AND name = $2", id.Owner, id.Name)
		b.Queue("SELECT pg_notify($1, $2)", deletions, j.told(id))
	}})
}

// ForgetClaims implements [store.Journal].
func (j *Journal) ForgetClaims(ctx context.Context, before time.Time) error {
	return j.wait(ctx, &operation{queue: func(b *pgx.Batch) {
		b.Queue("DELETE FROM agentzero_claims WHERE at < $1", before.UnixNano())
	}})
}

// wait does an operation in its turn and waits for its end.
func (j *Journal) wait(ctx context.Context, op *operation) error {
	done := make(chan error, 1)
	op.done = func(err error) { done <- err }
	j.add(op, 0)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
