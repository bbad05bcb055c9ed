package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Errors of a [Subscription].
var (
	// ErrGap means that the events after the cursor are no longer in the log's
	// window; what was said can be read from the session's messages.
	ErrGap = errors.New("the events after this position are no longer kept")
	// ErrLogClosed means that the session is gone; no event will follow.
	ErrLogClosed = errors.New("the session has ended")
)

// Subscription is a watcher's cursor on a session's log. One goroutine at a time
// uses it: it waits on Wake, or is called by what [Subscription.Push] sets, and
// then calls Read until it returns nothing. It must be closed.
type Subscription struct {
	log    *Log
	cursor uint64
	turn   string
	wake   chan struct{}
	push   atomic.Pointer[func()]
	whole  bool    // only the turn's end and its whole answer matter
	ending []Event // those, kept for a whole watcher until it has read them

	once    sync.Once
	onClose func()
}

// Epoch names the log the sequence numbers belong to.
func (s *Subscription) Epoch() string { return s.log.epoch }

// Position is the sequence number of the last event passed.
func (s *Subscription) Position() uint64 {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.cursor
}

// Wake receives a value when there may be something to read. Values do not
// count: one may stand for many events.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Push has ring called from now on where Wake would receive a value: by whoever
// appends to the log, which it must not keep waiting, perhaps by several at once,
// and within a Read that leaves something for the next. It may call Read. The
// caller reads once itself what was there before.
func (s *Subscription) Push(ring func()) { s.push.Store(&ring) }

// Notify wakes the watcher, for a reason of its own.
func (s *Subscription) Notify() {
	if ring := s.push.Load(); ring != nil {
		(*ring)()
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// appended is called by the log, locked, when batch was appended behind the
// sequence number before. A watcher that had read everything and waits for
// another turn passes over the batch, lest it fall out of the window without
// having missed anything.
func (s *Subscription) appended(before uint64, batch []Event) {
	mine := false
	for i := range batch {
		if e := &batch[i]; s.turn == "" || s.turn == e.Turn {
			mine = true
			s.end(e)
		}
	}
	if mine {
		s.log.ring(s)
		return
	}
	if s.cursor == before {
		s.cursor += uint64(len(batch))
	}
}

// end keeps the end of a turn for a watcher of the whole answer. The log is
// locked.
func (s *Subscription) end(e *Event) {
	if !s.whole || s.turn != e.Turn || e.Kind != EventCompletion && !e.Kind.Ends() || e.Seq > s.log.seen() {
		return
	}
	if n := len(s.ending); n == 0 || s.ending[n-1].Seq < e.Seq {
		s.ending = append(s.ending, *e)
	}
}

// Read appends the events past the cursor to dst, at most max of them, and
// moves the cursor. Without anything to read it returns dst as it was. It fails
// with [ErrGap] or [ErrLogClosed]. A watcher of a turn that is answered as one
// has no gap: it gets the answer, even if the log's window cannot hold it.
func (s *Subscription) Read(dst []Event, max int) ([]Event, error) {
	l := s.log
	l.mu.Lock()
	defer l.unlock()
	i, ok := l.after(s.cursor)
	if !ok {
		return s.readEnding(dst)
	}
	before, seen := len(dst), l.seen()
	for ; i < len(l.events) && len(dst)-before < max; i++ {
		e := &l.events[i]
		if e.Seq > seen {
			break
		}
		s.cursor = e.Seq
		if s.turn == "" || s.turn == e.Turn {
			dst = append(dst, *e)
		}
	}
	if len(dst) > before {
		l.hasRead()
		if i < len(l.events) && l.events[i].Seq <= seen {
			l.ring(s) // the rest is read at the next wake
		}
		if l.passing {
			l.forget()
		}
		return dst, nil
	}
	if l.closed {
		return dst, l.closing()
	}
	return dst, nil
}

// closing is the error of a log that was closed.
func (l *Log) closing() error {
	if l.why == "" {
		return ErrLogClosed
	}
	return fmt.Errorf("%w: %s", ErrLogClosed, l.why)
}

// readEnding is for a cursor behind which events are missing.
func (s *Subscription) readEnding(dst []Event) ([]Event, error) {
	switch {
	case !s.whole:
		return dst, ErrGap
	case len(s.ending) == 0 && s.log.closed:
		return dst, s.log.closing()
	case len(s.ending) == 0:
		return dst, nil // what is missing is told again in the whole answer
	case len(s.ending) == 1 && s.ending[0].Kind == EventCompleted:
		return dst, ErrGap // the agent gave no whole answer
	}
	dst = append(dst, s.ending...)
	s.cursor, s.ending = s.log.seen(), nil
	return dst, nil
}

// Follow narrows the subscription to another turn's events: the one that this
// turn's message was merged into.
func (s *Subscription) Follow(turn string) {
	s.log.mu.Lock()
	defer s.log.unlock()
	s.turn, s.ending = turn, nil
	s.log.ring(s)
}

// Close ends the subscription and tells the session's actor, which may cancel a
// turn that nobody watches any more. It may be called more than once, from any
// goroutine.
func (s *Subscription) Close() {
	s.once.Do(func() {
		s.log.unsubscribe(s)
		if s.onClose != nil {
			s.onClose()
		}
	})
}
