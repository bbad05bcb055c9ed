package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener hands out connections that can be watched, and counts them.
type listener struct {
	net.Listener
	open *atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &conn{Conn: c, open: l.open}, nil
}

// conn is a client's connection that can tell when its client hangs up while
// nobody reads from it: fasthttp does not look at a connection until it has
// answered. See https://github.com/valyala/fasthttp/issues/993.
type conn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool

	mu   sync.Mutex
	held []byte // what was read while watching, for the next Read
}

// maxHeld is how much of further requests is read ahead while one is answered.
// A client that sends more is no longer watched.
const maxHeld = 64 << 10

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.held) > 0 {
		n := copy(p, c.held)
		c.held = c.held[n:]
		if len(c.held) == 0 {
			c.held = nil
		}
		c.mu.Unlock()
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// watch calls gone, once, when the client hangs up. Until stop has returned
// nobody else may read from the connection.
func (c *conn) watch(gone func()) (stop func()) {
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
		stopping.Store(true)
		_ = c.SetReadDeadline(past) // on a closed connection the read has ended anyway
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
