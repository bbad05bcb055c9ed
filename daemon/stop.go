package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// StopOptions say how to stop a process.
type StopOptions struct {
	// Dir is the data directory.
	Dir string
	// Patience is how long the process may take to end before it is killed.
	Patience time.Duration
	// Progress, where it is not nil, is called about each Interval while the
	// process ends.
	Progress func(pid int, since time.Duration)
	Interval time.Duration
}

// ErrNotRunning is returned where there is nothing to stop.
var ErrNotRunning = errors.New("nothing runs on this data directory")

// Stopped tells how a process was stopped.
type Stopped struct {
	PID    int
	Took   time.Duration
	Killed bool // it did not end by itself
}

// pollInterval is how often a lock is looked at that another process shall let
// go of; there is no signal for that.
const pollInterval = 20 * time.Millisecond

// killPatience bounds the wait for a killed process.
const killPatience = 10 * time.Second

// Stop ends the process that runs on a directory and returns when it is gone. It
// is told to (SIGTERM) and has Patience to end what it has begun; then it is
// killed. The process is the one that holds the lock: its handle is taken first,
// and the lock looked at again, so that no other process can be hit that has got
// its number meanwhile. (Windows has no such signal: there it is killed at once.)
func Stop(ctx context.Context, o StopOptions) (Stopped, error) {
	began := time.Now()
	process, pid, err := find(ctx, o.Dir)
	if err != nil {
		return Stopped{}, err
	}
	defer process.Release()
	if err := terminate(process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return Stopped{}, fmt.Errorf("cannot stop the process %d: %w", pid, err)
	}
	gone, err := waitFree(ctx, o, pid, began)
	if err != nil {
		return Stopped{}, err
	}
	s := Stopped{PID: pid, Killed: !gone}
	if !gone {
		if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return Stopped{}, fmt.Errorf("cannot kill the process %d: %w", pid, err)
		}
		gone, err := waitFree(ctx, StopOptions{Dir: o.Dir, Patience: killPatience}, pid, time.Now())
		if err != nil {
			return Stopped{}, err
		}
		if !gone {
			return Stopped{}, fmt.Errorf("the process %d is still there %v after it was killed", pid, killPatience)
		}
	}
	s.Took = time.Since(began)
	return s, nil
}

// find returns a handle of the process that holds the lock. One that has just
// begun has the lock a moment before it has written its number.
func find(ctx context.Context, dir string) (*os.Process, int, error) {
	for deadline := time.Now().Add(lockPatience); ; {
		before, err := Look(dir)
		if err != nil {
			return nil, 0, err
		}
		if !before.Running {
			return nil, 0, ErrNotRunning
		}
		if pid := before.State.PID; pid != 0 {
			process, err := os.FindProcess(pid)
			if err != nil {
				return nil, 0, err
			}
			if after, err := Look(dir); err == nil && after.Running && after.State.PID == pid {
				return process, pid, nil
			}
			process.Release()
		}
		if time.Now().After(deadline) {
			return nil, 0, errors.New("a process runs on the data directory, but has not told its number")
		}
		if err := pause(ctx, pollInterval); err != nil {
			return nil, 0, err
		}
	}
}

// waitFree waits until the process has let go of the lock.
func waitFree(ctx context.Context, o StopOptions, pid int, began time.Time) (gone bool, err error) {
	told := time.Now()
	for deadline := time.Now().Add(o.Patience); ; {
		s, err := Look(o.Dir)
		if err != nil {
			return false, err
		}
		if !s.Running || s.State.PID != pid {
			return true, nil
		}
		now := time.Now()
		if now.After(deadline) {
			return false, nil
		}
		if o.Progress != nil && now.Sub(told) >= o.Interval {
			told = now
			o.Progress(pid, now.Sub(began))
		}
		if err := pause(ctx, pollInterval); err != nil {
			return false, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
