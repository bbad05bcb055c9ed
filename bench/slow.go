package bench

import (
	"context"
	"net"
	"time"
)

// slowConn reads only so much in a second.
type slowConn struct {
	net.Conn
	ctx  context.Context
	each int // bytes a tenth of a second
}

func newSlowConn(ctx context.Context, c net.Conn, bytes int) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10) // else the kernel reads for a long time in its place
	}
	return &slowConn{Conn: c, ctx: ctx, each: max(1, bytes/10)}
}

func (c *slowConn) Read(b []byte) (int, error) {
	select {
	case <-time.After(time.Second / 10):
	case <-c.ctx.Done():
		return 0, c.ctx.Err()
	}
	return c.Conn.Read(b[:min(len(b), c.each)])
}
