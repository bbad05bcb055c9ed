//go:build !unix

package upstream

import (
	"errors"
	"os"
	"time"
)

// tryWrite writes what the connection takes in a millisecond.
func (c *conn) tryWrite(b []byte) (n int, err error) {
	if err := c.SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	n, err = c.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}
