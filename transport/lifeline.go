package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"agentzero/actors"
)

// lifeline is what can end a wait or a stream from outside: the client hangs up,
// its token is revoked, the gateway shuts down. It wakes whoever waits for the
// turn's events, so that one channel is all there is to wait for.
type lifeline struct {
	reason atomic.Int32
	wake   func()
	due    atomic.Bool
	cancel func()                 // of the revocation's registration
	onCut  atomic.Pointer[func()] // called after the reason was set

	mu    sync.Mutex
	timer *time.Timer // nil when none is set
}

// The reasons; the first one counts.
const (
	alive int32 = iota
	hungUp
	revoked
	shutDown
)

// newLifeline ties a subscription to what may end it.
func (s *Server) newLifeline(sub *actors.Subscription, tokenID string) *lifeline {
	return s.newLifelineOf(sub.Notify, tokenID)
}

// newLifelineOf ties whoever wake wakes to what may end it.
func (s *Server) newLifelineOf(wake func(), tokenID string) *lifeline {
	l := &lifeline{wake: wake}
	l.cancel = s.options.Auth.OnRevoke(tokenID, func() { l.cut(revoked) })
	s.mu.Lock()
	s.streams[l] = struct{}{}
	ended := s.streamsEnded
	s.mu.Unlock()
	if ended {
		l.cut(shutDown)
	}
	return l
}

// release unties it.
func (s *Server) release(l *lifeline) {
	l.cancel()
	l.stopTimer()
	s.mu.Lock()
	delete(s.streams, l)
	s.mu.Unlock()
}

func (l *lifeline) cut(reason int32) {
	l.reason.CompareAndSwap(alive, reason)
	l.wake()
	if f := l.onCut.Load(); f != nil {
		(*f)()
	}
}

// setOnCut has f called when the line is cut, or at once where it was.
func (l *lifeline) setOnCut(f func()) {
	l.onCut.Store(&f)
	if l.reason.Load() != alive {
		f()
	}
}

// endStreams cuts all that are left and all that follow.
func (s *Server) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streamsEnded = true
	for l := range s.streams {
		l.cut(shutDown)
	}
}

// every wakes the waiter when the interval is over, with isDue true.
func (l *lifeline) every(interval time.Duration) {
	l.alarm(interval, func() time.Duration {
		l.ring()
		return 0
	})
}

// alarm calls ring when a time is over, and again after the times it returns
// until one is 0. There is one alarm; a new one takes the place of the former.
func (l *lifeline) alarm(after time.Duration, ring func() (again time.Duration)) {
	l.due.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.timer != t {
			return // it was stopped when it had gone off already
		}
		if again := ring(); again > 0 {
			t.Reset(again)
		}
	})
	l.timer = t
}

func (l *lifeline) ring() {
	l.due.Store(true)
	l.wake()
}

// isDue reports, once, whether the alarm has rung.
func (l *lifeline) isDue() bool { return l.due.Swap(false) }

func (l *lifeline) stopTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// errorOfReason is what a client is told whose wait was cut.
func errorOfReason(reason int32) *Error {
	switch reason {
	case revoked:
		return fail(CodeAuthFailed, "the token was revoked")
	default:
		return interrupted(actors.ReasonShutdown)
	}
}
