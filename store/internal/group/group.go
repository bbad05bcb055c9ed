// Package group is group commit: what many callers want to write while one
// transaction is on its way to the disk goes together into the next, so that
// all share one fsync and none waits longer than for the one before.
package group

import (
	"errors"
	"sync"
)

// Errors that an operation ends with without having been tried.
var (
	ErrClosed = errors.New("group: closed")
	ErrFull   = errors.New("group: too much waits")
)

// maxTogether bounds the operations of one transaction.
const maxTogether = 2048

// Queue collects operations and hands them, together and in order, to one
// goroutine. It must be closed.
type Queue[Op any] struct {
	commit  func([]Op)
	maxSize int64

	mu      sync.Mutex
	waiting []Op
	size    int64 // of what waits and of what is being committed
	closed  bool
	busy    bool
	settled []func() // called when all that waited before has ended
	wake    chan struct{}
	ended   chan struct{}
}

// New starts a queue. commit must see to it that every operation's caller hears
// of its end. maxSize bounds the sizes of what waits.
func New[Op any](maxSize int64, commit func([]Op)) *Queue[Op] {
	q := &Queue[Op]{commit: commit, maxSize: maxSize, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Add puts an operation in the queue, or fails with ErrClosed or ErrFull.
func (q *Queue[Op]) Add(op Op, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.size > 0 && q.size+size > q.maxSize:
		return ErrFull
	}
	q.waiting = append(q.waiting, op)
	q.size += size
	q.signal()
	return nil
}

func (q *Queue[Op]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close commits what waits and ends the goroutine.
func (q *Queue[Op]) Close() {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	<-q.ended
}

// Idle reports whether nothing waits and nothing is being committed.
func (q *Queue[Op]) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.busy && len(q.waiting) == 0
}

// Settled calls f, from any goroutine, when all that was added before has ended.
// f must not block.
func (q *Queue[Op]) Settled(f func()) {
	q.mu.Lock()
	if !q.busy && len(q.waiting) == 0 {
		q.mu.Unlock()
		f()
		return
	}
	q.settled = append(q.settled, f)
	q.mu.Unlock()
}

func (q *Queue[Op]) run() {
	defer close(q.ended)
	for range q.wake {
		for q.turn() {
		}
		if q.over() {
			return
		}
	}
}

// turn commits what waits and reports whether there was something.
func (q *Queue[Op]) turn() bool {
	q.mu.Lock()
	ops, settled, size := q.waiting, q.settled, q.size
	q.waiting, q.settled = nil, nil
	q.busy = len(ops) > 0
	q.mu.Unlock()
	for rest := ops; len(rest) > 0; {
		n := min(len(rest), maxTogether)
		q.commit(rest[:n])
		rest = rest[n:]
	}
	q.mu.Lock()
	q.size -= size
	q.busy = false
	q.mu.Unlock()
	for _, f := range settled {
		f()
	}
	return len(ops) > 0
}

func (q *Queue[Op]) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.waiting) == 0
}
