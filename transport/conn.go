package transport

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener hands out connections that can be watched, and refuses what is more
// than may be open.
type listener struct {
	net.Listener
	all    *connections
	most   int64
	refuse func() (answer []byte)
	once   sync.Once
}

// Close implements net.Listener. Both fasthttp and the server close it.
func (l *listener) Close() (err error) {
	l.once.Do(func() { err = l.Listener.Close() })
	return err
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.all.open.Add(1) > l.most {
			l.all.open.Add(-1)
			_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a fresh socket has room for the answer
			_, _ = c.Write(l.refuse())
			_ = c.Close()
			continue
		}
		watchable := &conn{Conn: c, all: l.all}
		watchable.await(0, 0)
		return watchable, nil
	}
}

// connections are those that are open.
type connections struct {
	open atomic.Int64

	mu        sync.Mutex
	listeners []*listener
	fresh     map[*conn]struct{} // those on which a first request has not begun
	ended     bool
}

// from takes a listener in, or reports that it is too late.
func (cs *connections) from(l *listener) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.listeners = append(cs.listeners, l)
	return !cs.ended
}

// end closes the listeners, and the connections whose first request has not
// begun. fasthttp knows those that wait for a further one, but lets a first one
// take its time; and it does not know a listener that it is about to serve.
func (cs *connections) end() {
	cs.mu.Lock()
	cs.ended = true
	fresh := cs.fresh
	cs.fresh = nil
	listeners := cs.listeners
	cs.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close() // nothing more can come of it in any case
	}
	for c := range fresh {
		_ = c.Close()
	}
}

// conn is a client's connection that can tell when its client hangs up while
// nobody reads from it: fasthttp does not look at a connection until it has
// answered. See https://github.com/valyala/fasthttp/issues/993.
//
// A client that shuts down its sending side only (shutdown(SHUT_WR)) counts as
// one that has hung up, as it does in net/http and nginx: the two look the same
// until something is written, and to wait for that would let a call to a model
// run on for nobody.
type conn struct {
	net.Conn
	all    *connections
	fresh  atomic.Bool // nothing was read since it was accepted, or came back from a stream
	closed atomic.Bool
	// idle, if not 0, is how long a connection that came back may stay fresh, and
	// arrival how long its next request may take to arrive.
	idle, arrival time.Duration
	// abandoned is called should the connection be closed before the one it
	// is handed over to has taken it.
	abandoned atomic.Pointer[func()]

	mu   sync.Mutex
	held []byte // what was read while watching, for the next Read
}

// maxHeld is how much of further requests is read ahead while one is answered.
// A client that sends more is no longer watched.
const maxHeld = 64 << 10

// await notes that the connection waits for its first request: a new connection,
// or with times one that comes back from a stream.
func (c *conn) await(idle, arrival time.Duration) {
	c.idle, c.arrival = idle, arrival
	c.fresh.Store(true)
	c.all.mu.Lock()
	ended := c.all.ended
	if !ended {
		if c.all.fresh == nil {
			c.all.fresh = make(map[*conn]struct{})
		}
		c.all.fresh[c] = struct{}{}
	}
	c.all.mu.Unlock()
	if ended {
		_ = c.Close()
	}
}

func (c *conn) begun() {
	if !c.fresh.Swap(false) {
		return
	}
	c.all.mu.Lock()
	delete(c.all.fresh, c)
	c.all.mu.Unlock()
	if c.idle > 0 {
		_ = c.SetReadDeadline(time.Now().Add(c.arrival)) // on a closed connection the read ends anyway
	}
}

// SetReadDeadline implements net.Conn. fasthttp takes a connection that comes
// back for a new one, which must ask soon; but its client keeps it for later.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.idle > 0 && c.fresh.Load() {
		t = time.Now().Add(c.idle)
	}
	return c.Conn.SetReadDeadline(t)
}

// Read implements net.Conn. A connection on which nothing came in time ends
// without a word.
func (c *conn) Read(p []byte) (int, error) {
	if n := c.takeHeld(p); n > 0 {
		c.begun()
		return n, nil
	}
	n, err := c.Conn.Read(p)
	switch {
	case !c.fresh.Load():
	case n > 0:
		c.begun()
	case isTimeout(err):
		err = io.EOF
	}
	return n, err
}

func (c *conn) takeHeld(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.held)
	if c.held = c.held[n:]; len(c.held) == 0 {
		c.held = nil
	}
	return n
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		c.begun()
		c.all.open.Add(-1)
		if f := c.abandoned.Swap(nil); f != nil {
			(*f)()
		}
	}
	return c.Conn.Close()
}

// handOver announces that another takes the connection from fasthttp, which it
// does not give away if it cannot write what it owes the client first. taken
// reports whether the other may go on; abandoned is called otherwise.
func (c *conn) handOver(abandoned func()) (taken func() bool) {
	c.abandoned.Store(&abandoned)
	return func() bool { return c.abandoned.Swap(nil) != nil }
}

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// watch calls gone, once, when the client hangs up. Until stop has returned
// nobody else may read from the connection. It may be called more than once.
func (c *conn) watch(gone func()) (stop func()) {
	// fasthttp's deadline is for the request's arrival, not for its answer's.
	_ = c.SetReadDeadline(time.Time{}) // on a closed connection the read ends anyway
	var stopping atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		var small [64]byte
		for {
			n, err := c.Conn.Read(small[:])
			if n > 0 && !c.hold(small[:n]) {
				return
			}
			if err != nil {
				if !stopping.Load() {
					gone()
				}
				return
			}
		}
	}()
	return func() {
		if stopping.Swap(true) {
			return
		}
		_ = c.SetReadDeadline(past)
		<-done
		_ = c.SetReadDeadline(time.Time{})
	}
}

func (c *conn) hold(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, b...)
	return len(c.held) < maxHeld
}

// takeBack puts bytes that a reader in between has buffered in front of what is
// read next. It must not be called while the connection is watched.
func (c *conn) takeBack(r net.Conn) {
	_ = c.SetReadDeadline(past)
	var early []byte
	var buffer [512]byte
	held := c.swapHeld(nil) // a buffer in between must not drink from it
	for {
		n, err := r.Read(buffer[:])
		early = append(early, buffer[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	c.swapHeld(append(early, held...))
	_ = c.SetReadDeadline(time.Time{})
}

func (c *conn) swapHeld(b []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.held
	c.held = b
	return old
}
