package bench

import (
	"net"
	"sync"
)

// connections are those that a run has open, so that its end can end them.
type connections struct {
	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

func (cs *connections) add(c net.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.ended {
		_ = c.Close()
		return
	}
	if cs.open == nil {
		cs.open = make(map[net.Conn]struct{})
	}
	cs.open[c] = struct{}{}
}

// remove forgets a connection that its client has closed.
func (cs *connections) remove(c net.Conn) {
	if s, ok := c.(*slowConn); ok {
		c = s.Conn
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

func (cs *connections) end() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.ended = true
	for c := range cs.open {
		_ = c.Close()
	}
	clear(cs.open)
}
