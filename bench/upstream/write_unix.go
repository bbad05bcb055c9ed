//go:build unix

package upstream

import (
	"syscall"
)

// tryWrite writes what the connection takes now, and never waits.
func (c *conn) tryWrite(b []byte) (n int, err error) {
	if c.raw == nil {
		return c.Write(b)
	}
	werr := c.raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true
	})
	switch {
	case werr != nil:
		return 0, werr
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	}
	return max(n, 0), err
}
