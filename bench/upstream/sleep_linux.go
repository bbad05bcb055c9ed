package upstream

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil sleeps with the kernel's own timer: Go's knows no less than a
// millisecond when nothing else is to do.
func sleepUntil(t time.Time) {
	if d := time.Until(t); d > 0 {
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil) // cut short by a signal, a tick comes early
	}
}
