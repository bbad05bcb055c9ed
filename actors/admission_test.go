package actors

import (
	"fmt"
	"testing"

	"agentzero/agent"
)

// queueUp makes tickets wait and returns the order in which they are served.
func queueUp(a *admission, tickets ...*ticket) *[]*ticket {
	served := new([]*ticket)
	for _, t := range tickets {
		t.grant = func() { *served = append(*served, t) }
		a.acquire(t)
	}
	return served
}

func TestOwnersTakeTurnsAndInteractiveGoesFirst(t *testing.T) {
	a := newAdmission(1, 100)
	running := &ticket{owner: "ann"}
	a.acquire(running)
	ann1, ann2, ann3 := &ticket{owner: "ann"}, &ticket{owner: "ann"}, &ticket{owner: "ann"}
	bob1, bob2 := &ticket{owner: "bob"}, &ticket{owner: "bob"}
	hook := &ticket{owner: "eve", class: ClassWebhook}
	served := queueUp(a, hook, ann1, ann2, ann3, bob1, bob2)
	for next := running; next != nil; {
		before := len(*served)
		a.release(next)
		if next = nil; len(*served) > before {
			next = (*served)[before]
		}
	}
	equal(t, "order", *served, []*ticket{ann1, bob1, ann2, bob2, ann3, hook})
	if a.free != 1 || a.waiting != 0 || len(a.classes[0].owners) != 0 {
		t.Errorf("in the end %d are free, %d wait", a.free, a.waiting)
	}
}

func TestATicketCanBeWithdrawnWhileItWaitsAndReleasedTwice(t *testing.T) {
	a := newAdmission(1, 2)
	first, second, third := &ticket{owner: "ann"}, &ticket{owner: "ann"}, &ticket{owner: "ann"}
	a.acquire(first)
	served := queueUp(a, second, third)
	if !a.full() {
		t.Error("there is room for no more")
	}
	a.release(second)
	a.release(second)
	if a.full() {
		t.Error("there is room for one more")
	}
	a.release(first)
	a.release(first)
	equal(t, "served", *served, []*ticket{third})
	a.release(third)
	a.release(third)
	if a.free != 1 {
		t.Errorf("%d are free", a.free)
	}
}

func TestTheGatewayRefusesWhenTooManyWait(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 2, MaxWaiting: 1})
	session := func(i int) Key { return Key{"ann", fmt.Sprint("s", i)} }
	for i := range 3 {
		start(t, s, session(i), message("hi"))
	}
	_, err := s.Start(session(3), message("hi"), nil)
	refused(t, err, RefusedQueueFull)
	_, err = s.Start(Key{Owner: "ann"}, message("hi"), nil)
	refused(t, err, RefusedQueueFull)
	start(t, s, session(0), message("a session's own queue is another matter"))
	for range 4 {
		a.next(t).finish()
	}
}

func TestABusyOwnerDoesNotStarveAnother(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 1, MaxWaiting: 100})
	for i := range 10 {
		start(t, s, Key{"ann", fmt.Sprint("s", i)}, message("ann"))
	}
	first := a.next(t)
	bob := start(t, s, Key{"bob", "chat"}, watched("bob"))
	first.finish()
	second := a.next(t)
	second.finish()
	third := a.next(t)
	if last(second.request) != "bob" && last(third.request) != "bob" {
		t.Error("the other owner waits behind the busy one")
	}
	third.finish()
	rest(t, bob)
	for range 8 {
		a.next(t).end(agent.Result{}, nil)
	}
}
