package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"agentzero/store"
)

var _ store.Inbox = (*Journal)(nil)

// errKnown is the refusal of a delivery that the channel has already.
var errKnown = errors.New("store: the delivery is known")

// Accept implements [store.Inbox].
func (j *Journal) Accept(d store.Delivery, done func(bool, error)) {
	j.add(&acceptOp{delivery: d}, func(err error) {
		if errors.Is(err, errKnown) {
			done(false, nil)
			return
		}
		done(err == nil, err)
	}, deliveryBytes(&d))
}

// deliveryBytes is what a delivery takes of what may wait.
func deliveryBytes(d *store.Delivery) int64 {
	return int64(len(d.Data)+len(d.ID)+len(d.Conversation)) + 128
}

type acceptOp struct {
	caller
	delivery store.Delivery
}

func (op *acceptOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	d := &op.delivery
	result, err := w.addDelivery.ExecContext(ctx, d.Channel, d.ID, d.Conversation, d.State, d.Open,
		d.Accepted.UnixNano(), d.Updated.UnixNano(), []byte(d.Data))
	return refusal(result, err, errKnown)
}

// refusal is refused where a statement has changed nothing.
func refusal(result sql.Result, err, refused error) (error, error) {
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return nil, err
	}
	return refused, nil
}

// Update implements [store.Inbox].
func (j *Journal) Update(d store.Delivery, done func(error)) {
	j.add(&updateOp{delivery: d}, done, deliveryBytes(&d))
}

type updateOp struct {
	caller
	delivery store.Delivery
}

func (op *updateOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	d := &op.delivery
	result, err := w.updateDelivery.ExecContext(ctx, d.State, d.Open, d.Updated.UnixNano(), []byte(d.Data), d.Channel, d.ID)
	return refusal(result, err, store.ErrNotFound)
}

const deliveryColumns = "channel, id, place, conversation, state, open, accepted, updated, data"

// scanner is a row or rows.
type scanner interface{ Scan(...any) error }

func scanDelivery(row scanner) (d store.Delivery, err error) {
	var place, accepted, updated int64
	var data []byte
	err = row.Scan(&d.Channel, &d.ID, &place, &d.Conversation, &d.State, &d.Open, &accepted, &updated, &data)
	d.Place, d.Accepted, d.Updated, d.Data = uint64(place), time.Unix(0, accepted), time.Unix(0, updated), json.RawMessage(data)
	return d, err
}

// Delivery implements [store.Inbox].
func (j *Journal) Delivery(ctx context.Context, channel, id string) (store.Delivery, error) {
	if err := j.settle(ctx); err != nil {
		return store.Delivery{}, err
	}
	d, err := scanDelivery(j.read.QueryRowContext(ctx, "SELECT "+deliveryColumns+" FROM deliveries WHERE channel = ? AND id = ?", channel, id))
	if err != nil {
		return store.Delivery{}, j.readError(err)
	}
	return d, nil
}

// Deliveries implements [store.Inbox].
func (j *Journal) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	query, args := "SELECT "+deliveryColumns+" FROM deliveries WHERE channel = ?", []any{q.Channel}
	if q.After != "" {
		var place int64
		if err := j.read.QueryRowContext(ctx, "SELECT place FROM deliveries WHERE channel = ? AND id = ?", q.Channel, q.After).Scan(&place); err != nil {
			return nil, j.readError(err)
		}
		query += map[bool]string{true: " AND place > ?", false: " AND place < ?"}[q.Unfinished]
		args = append(args, place)
	}
	if n := len(q.States); n > 0 {
		query += " AND state IN (?" + strings.Repeat(", ?", n-1) + ")"
		for _, state := range q.States {
			args = append(args, state)
		}
	}
	query += map[bool]string{true: " AND open ORDER BY place LIMIT ?", false: " ORDER BY place DESC LIMIT ?"}[q.Unfinished]
	rows, err := j.read.QueryContext(ctx, query, append(args, max(q.Limit, 0))...)
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	var found []store.Delivery
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, j.readError(err)
		}
		found = append(found, d)
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return found, nil
}

// CountDeliveries implements [store.Inbox].
func (j *Journal) CountDeliveries(ctx context.Context, channel string) (map[string]int, error) {
	if err := j.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := j.read.QueryContext(ctx, "SELECT state, count(*) FROM deliveries WHERE channel = ? GROUP BY state", channel)
	if err != nil {
		return nil, j.readError(err)
	}
	defer rows.Close()
	counts := make(map[string]int)
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, j.readError(err)
		}
		counts[state] = n
	}
	if err := rows.Err(); err != nil {
		return nil, j.readError(err)
	}
	return counts, nil
}

// ForgetDeliveries implements [store.Inbox].
func (j *Journal) ForgetDeliveries(ctx context.Context, channel string, before time.Time, keep int) (int, error) {
	op := &forgetDeliveriesOp{channel: channel, before: before, keep: keep}
	err := j.wait(ctx, op)
	if err != nil {
		return 0, err // op may still be at work
	}
	return op.deleted, nil
}

type forgetDeliveriesOp struct {
	caller
	channel string
	before  time.Time
	keep    int
	deleted int
}

func (op *forgetDeliveriesOp) apply(ctx context.Context, w *writer) (refused, broken error) {
	// The newest to be deleted for their number; -1 is none.
	surplus := int64(-1)
	if op.keep > 0 {
		if err := w.surplusDelivery.QueryRowContext(ctx, op.channel, op.keep).Scan(&surplus); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	result, err := w.forgetDeliveries.ExecContext(ctx, op.channel, op.before.UnixNano(), surplus, store.MaxForget)
	if err != nil {
		return nil, err
	}
	n, err := result.RowsAffected()
	op.deleted = int(n)
	return nil, err
}
