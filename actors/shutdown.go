package actors

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Drain refuses new messages from now on.
func (s *System) Drain() {
	if !s.draining.Swap(true) {
		s.drainChannels()
	}
}

// Settle drains, waits for the turns in flight until ctx ends, and interrupts
// those that are left. It reports how many those were. Sessions can still be
// read and watched afterwards.
func (s *System) Settle(ctx context.Context) (interrupted int64) {
	s.Drain()
	s.wait(ctx)
	interrupted = s.Counts().InFlight()
	if interrupted > 0 {
		for _, pid := range s.registry.live() {
			s.tell(pid, &cutOff{ReasonShutdown})
		}
		limit, cancel := s.patience()
		s.wait(limit)
		cancel()
	}
	return interrupted
}

// Shutdown settles within ctx and stops all actors. It reports how many turns
// were interrupted. The journal stays open; it belongs to its maker. Calls after
// the first do nothing.
func (s *System) Shutdown(ctx context.Context) (interrupted int64) {
	if s.stopped.Swap(true) {
		return 0
	}
	interrupted = s.Settle(ctx)
	limit, cancel := s.patience()
	defer cancel()
	s.end()
	select {
	case <-s.registry.close():
	case <-limit.Done():
	}
	s.closeChannels()
	idle := s.helpers.close()
	for _, pid := range s.registry.live() {
		_ = s.root.StopFuture(pid).Wait() // a timeout leaves an actor that holds nothing
	}
	select {
	case <-idle:
	case <-limit.Done():
		s.options.Logger.Error("agents or journal reads were left behind: they do not end when they are told to",
			slog.Int("count", s.helpers.count()))
	}
	s.actors.Shutdown()
	return interrupted
}

// patience is how long the system waits for what has been told to end.
func (s *System) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.options.CancelTimeout+time.Second)
}

// wait returns when nothing is in flight nor on its way, or with ctx.
func (s *System) wait(ctx context.Context) {
	for s.arriving.Load() > 0 || s.Counts().InFlight() > 0 {
		select {
		case <-s.rest:
		case <-ctx.Done():
			return
		}
	}
}

// arrived tells that a message was accepted or refused.
func (s *System) arrived() {
	s.arriving.Add(-1)
	s.rested()
}

// rested wakes who waits for the system to come to rest.
func (s *System) rested() {
	if !s.draining.Load() {
		return
	}
	select {
	case s.rest <- struct{}{}:
	default:
	}
}

// helpers counts the goroutines that work for the actors: agents' calls, journal
// reads and deletes.
type helpers struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
}

// background runs f in a goroutine, unless the system is shut down.
func (s *System) background(f func()) bool {
	h := &s.helpers
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.n++
	go func() {
		defer h.done()
		f()
	}()
	return true
}

func (h *helpers) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	if h.closed && h.n == 0 {
		close(h.idle)
	}
}

// close lets no more begin. idle is closed when all have ended.
func (h *helpers) close() (idle <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.idle = make(chan struct{})
	if h.n == 0 {
		close(h.idle)
	}
	return h.idle
}

func (h *helpers) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}
