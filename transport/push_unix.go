//go:build unix

package transport

import (
	"net"
	"syscall"
)

// pusher writes to a socket what it takes at once. It belongs to one goroutine
// at a time, and nobody else may write meanwhile.
type pusher struct {
	raw  syscall.RawConn
	b    []byte
	n    int
	once func(fd uintptr) (done bool)
}

// newPusher returns nil where the connection is no socket.
func newPusher(c net.Conn) *pusher {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	p := &pusher{raw: raw}
	p.once = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), p.b) // sockets of Go do not block
		if err == nil {
			p.n = n
		}
		return true
	}
	return p
}

// write returns how much of b the socket took: perhaps nothing, if it is full,
// or has an error, which the next blocking write tells.
func (p *pusher) write(b []byte) int {
	p.b, p.n = b, 0
	err := p.raw.Write(p.once)
	p.b = nil
	if err != nil {
		return 0
	}
	return p.n
}
