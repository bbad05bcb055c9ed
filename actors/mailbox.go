package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is a session's. Beside what every mailbox does it can be handed a
// message (see try), which costs no goroutine; and it holds next to nothing
// while it is empty. That it is unbounded is the session's to answer for: what
// is sent to it is bounded where it is accepted.
type mailbox struct {
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher

	mu           sync.Mutex
	running      bool // some goroutine handles a message
	suspended    bool // after a failure, until the actor was restarted
	system, user fifo
}

// try has the actor handle a message at once, on the caller's goroutine, if it
// has nothing else to do. Otherwise it returns false, and the message is to be
// sent. It must not be called by an actor, nor with anything locked.
func (m *mailbox) try(message any) bool {
	m.mu.Lock()
	if m.running || m.suspended || m.system.len() > 0 || m.user.len() > 0 {
		m.mu.Unlock()
		return false
	}
	m.running = true
	m.mu.Unlock()
	m.invoke(message, false)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
	m.schedule() // what has come meanwhile
	return true
}

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.user.push(message)
	m.schedule()
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.system.push(message)
	m.schedule()
}

// schedule sees to it that what waits is handled; the caller holds mu.
func (m *mailbox) schedule() {
	if m.running || m.system.len() == 0 && (m.suspended || m.user.len() == 0) {
		return
	}
	m.running = true
	m.dispatcher.Schedule(m.run)
}

// run handles messages until none is left.
func (m *mailbox) run() {
	for {
		message, system := m.next()
		if message == nil {
			return
		}
		m.invoke(message, system)
	}
}

// next takes a message, those of the actor system first, or gives up running.
func (m *mailbox) next() (message any, system bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.system.len() > 0:
		return m.system.pop(), true
	case !m.suspended && m.user.len() > 0:
		return m.user.pop(), false
	}
	m.running = false
	return nil, false
}

// invoke lets the actor handle a message; if it fails, its supervisor is told.
func (m *mailbox) invoke(message any, system bool) {
	defer func() {
		if reason := recover(); reason != nil {
			m.invoker.EscalateFailure(reason, message)
		}
	}()
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspend(true)
	case *actor.ResumeMailbox:
		m.suspend(false)
	default:
		if system {
			m.invoker.InvokeSystemMessage(message)
		} else {
			m.invoker.InvokeUserMessage(message)
		}
	}
}

func (m *mailbox) suspend(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = yes
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.user.len()
}

// fifo is a queue of messages.
type fifo struct {
	items []any
	first int
}

// maxIdleFIFO is how many places an empty queue keeps.
const maxIdleFIFO = 4

func (q *fifo) len() int { return len(q.items) - q.first }

func (q *fifo) push(m any) {
	if q.first > len(q.items)/2 && len(q.items) == cap(q.items) { // rather than grow
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, m)
}

func (q *fifo) pop() any {
	m := q.items[q.first]
	q.items[q.first] = nil
	q.first++
	if q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
		if cap(q.items) > maxIdleFIFO {
			q.items = nil
		}
	}
	return m
}
