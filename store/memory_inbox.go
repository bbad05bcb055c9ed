package store

import (
	"context"
	"slices"
	"time"
)

var _ Inbox = (*Memory)(nil)

// maxFinished bounds the deliveries of one channel that a [Memory] keeps, besides
// the open ones.
const maxFinished = 10_000

// inbox is one channel's deliveries. Its Memory's lock guards it.
type inbox struct {
	byID  map[string]*Delivery
	order []*Delivery // by Place
	open  int
}

// Accept implements [Inbox].
func (m *Memory) Accept(d Delivery, done func(bool, error)) {
	done(m.accept(d))
}

func (m *Memory) accept(d Delivery) (fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false, ErrClosed
	}
	box := m.inboxes[d.Channel]
	if box == nil {
		box = &inbox{byID: make(map[string]*Delivery)}
		m.inboxes[d.Channel] = box
	}
	if box.byID[d.ID] != nil {
		return false, nil
	}
	m.places++
	d.Place = m.places
	box.byID[d.ID] = &d
	box.order = append(box.order, &d)
	if d.Open {
		box.open++
	}
	box.bound()
	return true, nil
}

// bound forgets the oldest finished deliveries, a tenth at a time.
func (b *inbox) bound() {
	if len(b.order)-b.open <= maxFinished {
		return
	}
	surplus := maxFinished / 10
	b.remove(func(d *Delivery) bool {
		surplus--
		return surplus >= 0
	})
}

// remove deletes the finished deliveries that f, asked for the oldest first,
// wants gone.
func (b *inbox) remove(f func(*Delivery) bool) (n int) {
	b.order = slices.DeleteFunc(b.order, func(d *Delivery) bool {
		if d.Open || !f(d) {
			return false
		}
		delete(b.byID, d.ID)
		n++
		return true
	})
	return n
}

// Update implements [Inbox].
func (m *Memory) Update(d Delivery, done func(error)) { done(m.update(d)) }

func (m *Memory) update(d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, _, err := m.delivery(d.Channel, d.ID)
	if err != nil {
		return err
	}
	box := m.inboxes[d.Channel]
	if known.Open {
		box.open--
	}
	if d.Open {
		box.open++
	}
	known.State, known.Open, known.Updated, known.Data = d.State, d.Open, d.Updated, d.Data
	return nil
}

// delivery finds one; the caller holds mu.
func (m *Memory) delivery(channel, id string) (*Delivery, *inbox, error) {
	if m.closed {
		return nil, nil, ErrClosed
	}
	box := m.inboxes[channel]
	if box == nil || box.byID[id] == nil {
		return nil, nil, ErrNotFound
	}
	return box.byID[id], box, nil
}

// Delivery implements [Inbox].
func (m *Memory) Delivery(_ context.Context, channel, id string) (Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, _, err := m.delivery(channel, id)
	if err != nil {
		return Delivery{}, err
	}
	return *d, nil
}

// Deliveries implements [Inbox].
func (m *Memory) Deliveries(_ context.Context, q DeliveryQuery) ([]Delivery, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	past := uint64(0)
	if q.After != "" {
		d, _, err := m.delivery(q.Channel, q.After)
		if err != nil {
			return nil, err
		}
		past = d.Place
	}
	box := m.inboxes[q.Channel]
	if box == nil {
		return nil, nil
	}
	var found []Delivery
	visit := func(d *Delivery) bool {
		in := len(q.States) == 0 || slices.Contains(q.States, d.State)
		switch {
		case !in, q.Unfinished && (!d.Open || d.Place <= past), !q.Unfinished && past > 0 && d.Place >= past:
			return true
		case len(found) >= q.Limit:
			return false
		}
		found = append(found, *d)
		return true
	}
	if q.Unfinished {
		for _, d := range box.order {
			if !visit(d) {
				break
			}
		}
		return found, nil
	}
	for _, d := range slices.Backward(box.order) {
		if !visit(d) {
			break
		}
	}
	return found, nil
}

// CountDeliveries implements [Inbox].
func (m *Memory) CountDeliveries(_ context.Context, channel string) (map[string]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	counts := make(map[string]int)
	if box := m.inboxes[channel]; box != nil {
		for _, d := range box.order {
			counts[d.State]++
		}
	}
	return counts, nil
}

// ForgetDeliveries implements [Inbox].
func (m *Memory) ForgetDeliveries(_ context.Context, channel string, before time.Time, keep int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	box := m.inboxes[channel]
	if box == nil {
		return 0, nil
	}
	left := len(box.order) - box.open
	removed := 0
	return box.remove(func(d *Delivery) bool {
		if removed >= MaxForget || !d.Updated.Before(before) && (keep == 0 || left <= keep) {
			return false
		}
		left--
		removed++
		return true
	}), nil
}
