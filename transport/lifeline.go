package transport

import (
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
	timer  *time.Timer
	due    atomic.Bool
	cancel func()                 // of the revocation's registration
	onCut  atomic.Pointer[func()] // called after the reason was set
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
	l := &lifeline{wake: sub.Notify}
	l.cancel = s.options.Auth.OnRevoke(tokenID, func() { l.cut(revoked) })
	s.mu.Lock()
	s.streams[l] = struct{}{}
	s.mu.Unlock()
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

func (l *lifeline) setOnCut(f func()) { l.onCut.Store(&f) }

// endStreams cuts all that are left.
func (s *Server) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.streams {
		l.cut(shutDown)
	}
}

// every wakes the waiter at least once an interval, with isDue true.
func (l *lifeline) every(interval time.Duration) {
	l.stopTimer()
	l.due.Store(false)
	l.timer = time.AfterFunc(interval, func() {
		l.due.Store(true)
		l.wake()
	})
}

// isDue reports, once, whether the interval has passed.
func (l *lifeline) isDue() bool { return l.due.Swap(false) }

func (l *lifeline) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
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
