package durable

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
)

// cutter is a wire to a gateway that breaks after so many bytes of the answer.
// Its address stays when the gateway behind it is another.
type cutter struct {
	URL string

	listener net.Listener
	wires    sync.WaitGroup

	mu     sync.Mutex
	target string // host:port
	bytes  int64  // that the next connection carries; 0 is without end
	reset  bool   // it breaks as by a reset
	cuts   int
	open   map[net.Conn]bool
	closed bool
}

func newCutter(t testing.TB) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{URL: "http://" + listener.Addr().String(), listener: listener, open: map[net.Conn]bool{}}
	c.wires.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.wires.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(c.close)
	return c
}

// lead makes the wire end at a gateway.
func (c *cutter) lead(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = strings.TrimPrefix(url, "http://")
}

// cutNext lets the next connection carry a random number of bytes, at most max.
func (c *cutter) cutNext(r *rand.Rand, max int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes, c.reset = 1+r.Int64N(int64(max)), r.IntN(2) == 0
}

// made is how many connections were cut so far.
func (c *cutter) made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	c.mu.Lock()
	target, limit, reset := c.target, c.bytes, c.reset
	c.bytes = 0
	c.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	if !c.track(client, server) {
		return
	}
	defer c.untrack(client, server)
	var up sync.WaitGroup
	up.Go(func() { io.Copy(server, client) })
	if limit == 0 {
		io.Copy(client, server)
	} else if n, _ := io.CopyN(client, server, limit); n == limit {
		c.mu.Lock()
		c.cuts++
		c.mu.Unlock()
		if reset {
			client.(*net.TCPConn).SetLinger(0)
		}
	}
	client.Close()
	server.Close()
	up.Wait()
}

func (c *cutter) track(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.open[conn] = true
	}
	return !c.closed
}

func (c *cutter) untrack(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.open, conn)
	}
}

func (c *cutter) close() {
	c.listener.Close()
	c.mu.Lock()
	c.closed = true
	for conn := range c.open {
		conn.Close()
	}
	c.mu.Unlock()
	c.wires.Wait()
}
