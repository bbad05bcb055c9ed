package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"agentzero/store"
)

var _ store.Inbox = (*Journal)(nil)

// errKnown is the refusal of a delivery that the channel has already.
var errKnown = errors.New("store: the delivery is known")

// place is where a channel's writes stand among those of sessions. No owner has
// an empty name, and one channel's writes keep their order.
func place(channel string) store.ID { return store.ID{Name: channel} }

// deliveryBytes is what a delivery takes of what may wait.
func deliveryBytes(d *store.Delivery) int64 {
	return int64(len(d.Data)+len(d.ID)+len(d.Conversation)) + 128
}

// Accept implements [store.Inbox].
func (j *Journal) Accept(d store.Delivery, done func(bool, error)) {
	j.add(&operation{id: place(d.Channel), fenced: true, refusal: errKnown, done: func(err error) {
		if errors.Is(err, errKnown) {
			done(false, nil)
			return
		}
		done(err == nil, err)
	}, queue: func(b *pgx.Batch) {
		b.Queue(`INSERT INTO agentzero_deliveries (channel, id, conversation, state, open, node, accepted, updated, data)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (channel, id) DO NOTHING`,
			d.Channel, d.ID, d.Conversation, d.State, d.Open, j.node, d.Accepted.UnixNano(), d.Updated.UnixNano(), []byte(d.Data))
	}}, deliveryBytes(&d))
}

// Update implements [store.Inbox].
func (j *Journal) Update(d store.Delivery, done func(error)) {
	j.add(&operation{id: place(d.Channel), fenced: true, refusal: store.ErrNotFound, done: done, queue: func(b *pgx.Batch) {
		b.Queue("UPDATE agentzero_deliveries SET state = $1, open = $2, updated = $3, data = $4, node = $5 WHERE channel = $6 AND id = $7",
			d.State, d.Open, d.Updated.UnixNano(), []byte(d.Data), j.node, d.Channel, d.ID)
	}}, deliveryBytes(&d))
}

const deliveryColumns = "channel, id, place, conversation, state, open, accepted, updated, data"

func scanDelivery(row pgx.CollectableRow) (d store.Delivery, err error) {
	var place, accepted, updated int64
	var data []byte
	err = row.Scan(&d.Channel, &d.ID, &place, &d.Conversation, &d.State, &d.Open, &accepted, &updated, &data)
	d.Place, d.Accepted, d.Updated, d.Data = uint64(place), time.Unix(0, accepted), time.Unix(0, updated), data
	return d, err
}

// Delivery implements [store.Inbox].
func (j *Journal) Delivery(ctx context.Context, channel, id string) (store.Delivery, error) {
	if err := j.settle(ctx); err != nil {
		return store.Delivery{}, err
	}
	rows, err := j.pool.Query(ctx, "SELECT "+deliveryColumns+" FROM agentzero_deliveries WHERE channel = $1 AND id = $2", channel, id)
	if err != nil {
		return store.Delivery{}, j.failure(err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
	if err != nil {
		return store.Delivery{}, j.failure(err)
	}
	return d, nil
}

// Deliveries implements [store.Inbox].
func (j *Journal) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	past := int64(math.MaxInt64)
	where := "place < $2 AND $5 = $5 ORDER BY place DESC"
	if q.Unfinished {
		past, where = 0, "place > $2 AND open AND node = $5 ORDER BY place"
	}
	if q.After != "" {
		if err := j.pool.QueryRow(ctx, "SELECT place FROM agentzero_deliveries WHERE channel = $1 AND id = $2", q.Channel, q.After).Scan(&past); err != nil {
			return nil, j.failure(err)
		}
	}
	states := q.States
	if states == nil {
		states = []string{}
	}
	rows, err := j.pool.Query(ctx, "SELECT "+deliveryColumns+` FROM agentzero_deliveries
		WHERE channel = $1 AND (cardinality($3::text[]) = 0 OR state = ANY ($3)) AND `+where+" LIMIT $4",
		q.Channel, past, states, max(q.Limit, 0), j.node)
	if err != nil {
		return nil, j.failure(err)
	}
	found, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, j.failure(err)
	}
	return found, nil
}

// CountDeliveries implements [store.Inbox].
func (j *Journal) CountDeliveries(ctx context.Context, channel string) (map[string]int, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.pool.Query(ctx, "SELECT state, count(*) FROM agentzero_deliveries WHERE channel = $1 GROUP BY state", channel)
	if err != nil {
		return nil, j.failure(err)
	}
	counts := make(map[string]int)
	var state string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counts[state] = n
		return nil
	}); err != nil {
		return nil, j.failure(err)
	}
	return counts, nil
}

// ForgetDeliveries implements [store.Inbox].
func (j *Journal) ForgetDeliveries(ctx context.Context, channel string, before time.Time, keep int) (int, error) {
	limit := keep
	if keep == 0 {
		limit = math.MaxInt32
	}
	op := &operation{id: place(channel), queue: func(b *pgx.Batch) {
		b.Queue(`DELETE FROM agentzero_deliveries WHERE place IN (
			SELECT place FROM agentzero_deliveries WHERE channel = $1 AND NOT open AND (updated < $2 OR place <= coalesce(
				(SELECT place FROM agentzero_deliveries WHERE channel = $1 AND NOT open ORDER BY place DESC LIMIT 1 OFFSET $3), -1))
			ORDER BY place LIMIT $4)`, channel, before.UnixNano(), limit, store.MaxForget)
	}}
	if err := j.wait(ctx, op); err != nil {
		return 0, err // op may still be at work
	}
	return int(op.rows), nil
}
