package actors

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// handler is an actor as its mailbox sees it.
type handler struct {
	handle   func(message any)
	failures chan any
}

func (h *handler) InvokeSystemMessage(m any)     { h.handle(m) }
func (h *handler) InvokeUserMessage(m any)       { h.handle(m) }
func (h *handler) EscalateFailure(reason, _ any) { h.failures <- reason }
func newMailbox(handle func(any)) *mailbox       { return newMailboxOf(&handler{handle: handle}) }
func newMailboxOf(h *handler) *mailbox           { return newMailboxOn(h, actor.NewDefaultDispatcher(300)) }
func newMailboxOn(h *handler, d actor.Dispatcher) *mailbox {
	m := new(mailbox)
	m.RegisterHandlers(h, d)
	m.Start()
	return m
}

// never is a dispatcher that keeps what it is to run until it is asked for.
type never struct{ run chan func() }

func (n never) Schedule(f func()) { n.run <- f }
func (never) Throughput() int     { return 1 }

func TestAnIdleActorIsHandedAMessageAtOnce(t *testing.T) {
	handled := 0
	m := newMailbox(func(any) { handled++ })
	for i := range 3 {
		if !m.try("x") || handled != i+1 {
			t.Fatalf("message %d: %d were handled", i, handled)
		}
	}
}

func TestABusyActorIsNotHandedAMessage(t *testing.T) {
	d := never{make(chan func(), 10)}
	var got []any
	var m *mailbox
	m = newMailboxOn(&handler{handle: func(message any) {
		got = append(got, message)
		if message == "first" && m.try("inner") {
			t.Error("an actor that handles a message was handed another")
		}
	}}, d)
	m.PostUserMessage("first")
	if m.try("second") {
		t.Error("a message has passed one that waits")
	}
	m.PostUserMessage("third")
	m.PostSystemMessage("system")
	(<-d.run)()
	if want := []any{"system", "first", "third"}; !slices.Equal(got, want) {
		t.Errorf("handled %v, want %v", got, want)
	}
	if len(d.run) > 0 || m.UserMessageCount() != 0 {
		t.Error("there is more to run")
	}
}

func TestWhatComesWhileAMessageIsHandedOverIsHandledByTheActorsOwnGoroutine(t *testing.T) {
	d := never{make(chan func(), 10)}
	var got []any
	var m *mailbox
	m = newMailboxOn(&handler{handle: func(message any) {
		got = append(got, message)
		if message == "now" {
			m.PostUserMessage("later")
		}
	}}, d)
	if !m.try("now") || len(got) != 1 {
		t.Fatalf("handled %v", got)
	}
	(<-d.run)()
	if want := []any{"now", "later"}; !slices.Equal(got, want) {
		t.Errorf("handled %v, want %v", got, want)
	}
}

func TestASuspendedActorIsHandedNothing(t *testing.T) {
	h := &handler{failures: make(chan any, 1)}
	handled := make(chan any, 10)
	h.handle = func(message any) {
		if message == "fail" {
			panic("it fails")
		}
		handled <- message
	}
	m := newMailboxOf(h)
	if !m.try("fail") {
		t.Fatal("it was not handled")
	}
	if reason := receive(t, h.failures, "the failure"); reason != "it fails" {
		t.Errorf("it failed with %v", reason)
	}
	m.PostSystemMessage(&actor.SuspendMailbox{})
	m.PostSystemMessage("restart")
	if got := receive(t, handled, "a system message"); got != "restart" {
		t.Errorf("while suspended it handled %v", got)
	}
	m.PostUserMessage("waits")
	if m.try("passes") {
		t.Error("a suspended actor was handed a message")
	}
	m.PostSystemMessage(&actor.ResumeMailbox{})
	if got := receive(t, handled, "the message that waited"); got != "waits" {
		t.Errorf("after that it handled %v", got)
	}
}

// Whoever sends and hands over, one message is handled at a time, none is lost,
// and those of one sender stay in order.
func TestAMailboxKeepsTheOrderOfEachSender(t *testing.T) {
	const senders, each = 8, 2000
	next := make([]int, senders)
	handled, all := 0, make(chan struct{})
	m := newMailbox(func(message any) {
		from, n := message.([2]int)[0], message.([2]int)[1]
		if next[from] != n {
			t.Errorf("sender %d: message %d came for %d", from, n, next[from])
		}
		next[from]++
		if handled++; handled == senders*each {
			close(all)
		}
	})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := range each {
				message := [2]int{s, n}
				if n%3 != 0 || !m.try(message) {
					m.PostUserMessage(message)
				}
			}
		})
	}
	wg.Wait()
	receive(t, all, fmt.Sprintf("%d messages", senders*each))
}

func TestAnEmptyMailboxHoldsLittle(t *testing.T) {
	var q fifo
	for i := range 1000 {
		q.push(i)
		if i%3 == 0 {
			q.pop()
		}
	}
	for want := 334; q.len() > 0; want++ {
		if got := q.pop(); got != want {
			t.Fatalf("got %v, want %d", got, want)
		}
	}
	if cap(q.items) > maxIdleFIFO {
		t.Errorf("it keeps %d places", cap(q.items))
	}
	for i := range 1000 { // one at a time it does not grow
		q.push(i)
		q.pop()
	}
	if cap(q.items) > maxIdleFIFO {
		t.Errorf("it has grown to %d places", cap(q.items))
	}
}
