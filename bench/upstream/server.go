package upstream

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Server. The zero value behaves like [Default].
type Options struct {
	Behaviour Behaviour
	// Tick is how exactly the deltas keep their times; what falls into one tick
	// is sent in one go. 0 means 250 us. A finer one costs more CPU.
	Tick time.Duration
	// Seed of the chances (jitter, errors, cuts). The same seed and the same
	// order of requests give the same answers.
	Seed uint64
}

// Server serves the mock. Its methods may be called concurrently.
type Server struct {
	behaviour Behaviour
	wheel     *wheel
	counts    counts

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	running   sync.WaitGroup
}

// Stats counts what a Server has done. Each answer that was begun is, once it is
// over, in exactly one of Whole, HungUp and Cut.
type Stats struct {
	Requests int64 `json:"requests"`
	Refused  int64 `json:"refused"` // by error rate, or as bad requests
	Begun    int64 `json:"begun"`
	Whole    int64 `json:"whole"`
	HungUp   int64 `json:"hung_up"` // by the client
	Cut      int64 `json:"cut"`     // by cut rate
	Deltas   int64 `json:"deltas"`
	Late     int64 `json:"late"` // deltas that were due more than an interval before
}

type counts struct {
	requests, refused, begun, whole, hungUp, cut, deltas, late atomic.Int64
}

// ErrClosed is Serve's after Close.
var ErrClosed = errors.New("upstream: the server is closed")

// New returns a Server. It fails when the behaviour is out of its range.
func New(o Options) (*Server, error) {
	if o.Behaviour == (Behaviour{}) {
		o.Behaviour = Default
	}
	if err := o.Behaviour.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		behaviour: o.Behaviour,
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
	}
	s.wheel = newWheel(&s.counts, o.Tick, o.Seed)
	s.running.Go(s.wheel.run)
	return s, nil
}

// Serve accepts connections until the listener fails or the Server is closed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	for {
		c, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			delete(s.listeners, l)
			closed := s.closed
			s.mu.Unlock()
			if closed {
				return ErrClosed
			}
			return err
		}
		s.adopt(c)
	}
}

func (s *Server) adopt(nc net.Conn) {
	c := &conn{Conn: nc, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Go(func() {
		c.serve()
		_ = nc.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// Close ends all connections at once and returns when nothing runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wheel.stop()
	s.running.Wait()
	return nil
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{
		Requests: c.requests.Load(), Refused: c.refused.Load(), Begun: c.begun.Load(),
		Whole: c.whole.Load(), HungUp: c.hungUp.Load(), Cut: c.cut.Load(),
		Deltas: c.deltas.Load(), Late: c.late.Load(),
	}
}
