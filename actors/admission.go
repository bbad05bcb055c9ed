package actors

import (
	"container/list"
	"sync"
)

// Class orders turns that wait for a place in the gateway.
type Class uint8

// Interactive turns go before webhooks.
const (
	ClassInteractive Class = iota
	ClassWebhook
	classes
)

// admission is the gateway-wide limit on running turns. Where turns wait, the
// owners take turns, and within an owner the sessions in the order they asked;
// a session runs one turn at a time and so never waits with more than one. All
// interactive turns go before those of webhooks.
type admission struct {
	mu      sync.Mutex
	free    int
	waiting int
	limit   int // of waiting turns
	classes [classes]rota
}

// rota is the owners that wait, in the order in which they are served next.
type rota struct {
	owners map[string]*ownerQueue
	order  list.List // of *ownerQueue
}

type ownerQueue struct {
	owner   string
	element *list.Element
	tickets list.List // of *ticket
}

// ticket is one turn's wish to run.
type ticket struct {
	owner   string
	class   Class
	grant   func() // called once, when a place is free; must not block
	element *list.Element
	held    bool
}

func newAdmission(running, waiting int) *admission {
	a := &admission{free: running, limit: waiting}
	for i := range a.classes {
		a.classes[i].owners = make(map[string]*ownerQueue)
	}
	return a
}

// full reports whether a turn that has to wait would be one too many.
func (a *admission) full() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.free == 0 && a.waiting >= a.limit
}

// acquire takes a place and returns true, or queues the ticket, whose grant is
// called when its place is free.
func (a *admission) acquire(t *ticket) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.free > 0 {
		a.free--
		t.held = true
		return true
	}
	r := &a.classes[t.class]
	q, ok := r.owners[t.owner]
	if !ok {
		q = &ownerQueue{owner: t.owner}
		q.element = r.order.PushBack(q)
		r.owners[t.owner] = q
	}
	t.element = q.tickets.PushBack(t)
	a.waiting++
	return false
}

// release gives a place back, or withdraws a ticket that waits.
func (a *admission) release(t *ticket) {
	a.mu.Lock()
	var next *ticket
	switch {
	case t.held:
		t.held = false
		a.free++
		next = a.next()
	case t.element != nil:
		a.withdraw(t)
	}
	a.mu.Unlock()
	if next != nil {
		next.grant()
	}
}

// next takes the ticket to be served from the rota and gives it the free place.
func (a *admission) next() *ticket {
	for i := range a.classes {
		r := &a.classes[i]
		front := r.order.Front()
		if front == nil {
			continue
		}
		q := front.Value.(*ownerQueue)
		t := q.tickets.Front().Value.(*ticket)
		r.order.MoveToBack(front)
		a.withdraw(t)
		t.held = true
		a.free--
		return t
	}
	return nil
}

func (a *admission) withdraw(t *ticket) {
	r := &a.classes[t.class]
	q := r.owners[t.owner]
	q.tickets.Remove(t.element)
	t.element = nil
	a.waiting--
	if q.tickets.Len() == 0 {
		r.order.Remove(q.element)
		delete(r.owners, t.owner)
	}
}
