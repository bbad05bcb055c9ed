package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockName  = "daemon.lock"
	pidName   = "daemon.pid"
	stateName = "daemon.json"

	// lockPatience is how long [Acquire] tries: somebody who only looks holds the
	// lock for a moment too.
	lockPatience = 500 * time.Millisecond
	lockRetry    = 10 * time.Millisecond
)

// ErrRunning is wrapped by [Acquire]'s error where another process has the lock.
var ErrRunning = errors.New("another process runs on this data directory")

// State is what the running process tells about itself.
type State struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Address is the base URL it serves, "" until it does.
	Address string `json:"address"`
	Version string `json:"version"`
	// Agent is who answers, in one line for people.
	Agent string `json:"agent"`
	// LogFile is the path of its log, "" where it logs on standard error only.
	LogFile string `json:"log_file,omitempty"`
	// Supervisor is "systemd" or "openrc" where one of them has started it, and
	// would start it again.
	Supervisor string `json:"supervisor,omitempty"`
	// Args are the arguments of its command line, to start it again as it was.
	// No flag holds a secret.
	Args []string `json:"args,omitempty"`
}

// Lock is the right to run on a data directory.
type Lock struct {
	dir  string
	file *flock.Flock
}

// Acquire takes the lock of a directory that exists. Where another process has
// it, the error wraps ErrRunning, and [Look] tells which. The lock lasts until
// [Lock.Release] or the end of the process; no child of it inherits it.
func Acquire(dir string) (*Lock, error) {
	file := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	held, err := file.TryLockContext(ctx, lockRetry)
	switch {
	case errors.Is(err, context.DeadlineExceeded), err == nil && !held:
		return nil, ErrRunning
	case err != nil:
		return nil, fmt.Errorf("cannot lock the data directory: %w", err)
	}
	l := &Lock{dir: dir, file: file}
	// What a crashed process left would be taken for this one's.
	if err := errors.Join(remove(l.path(stateName)), l.writePID()); err != nil {
		return nil, errors.Join(err, file.Unlock())
	}
	return l, nil
}

func (l *Lock) path(name string) string { return filepath.Join(l.dir, name) }

func (l *Lock) writePID() error {
	return replace(l.path(pidName), []byte(strconv.Itoa(os.Getpid())+"\n"))
}

// Tell writes what others shall know of this process. The PID is set here.
func (l *Lock) Tell(s State) error {
	s.PID = os.Getpid()
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replace(l.path(stateName), append(data, '\n'))
}

// Release ends the right, and takes away what was told of this process: a
// process that ends without it counts as crashed. It does nothing on a nil Lock.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	return errors.Join(remove(l.path(stateName)), remove(l.path(pidName)), l.file.Unlock())
}

// Status is what there is to know about a data directory.
type Status struct {
	// Running tells that a process holds the lock.
	Running bool
	// State is what that process told, or, where none runs, what one told that
	// has crashed; zero where there is nothing to tell.
	State State
}

// Crashed tells that the last process ended without saying so.
func (s Status) Crashed() bool { return !s.Running && s.State.PID != 0 }

// Look tells whether a process runs on a directory. A directory without a lock
// file, or no directory, has none.
func Look(dir string) (Status, error) {
	held, err := isHeld(filepath.Join(dir, lockName))
	if err != nil {
		return Status{}, fmt.Errorf("cannot look at the lock of the data directory: %w", err)
	}
	s := Status{Running: held}
	pid, err := readPID(filepath.Join(dir, pidName))
	if err != nil {
		return Status{}, err
	}
	data, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Status{}, err
	}
	// A process that starts has its number first and tells the rest later; until
	// then the rest is nobody's.
	if json.Unmarshal(data, &s.State) != nil || s.State.PID != pid {
		s.State = State{PID: pid}
	}
	return s, nil
}

// isHeld tries the lock. It makes no file: looking changes nothing.
func isHeld(path string) (bool, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	file := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := file.TryRLock()
	if err != nil {
		return false, err
	}
	if free {
		return false, file.Unlock()
	}
	return true, file.Close()
}

// readPID is the number in a PID file, 0 where there is none.
func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(string(trimNewline(data)))
	if err != nil || pid <= 0 {
		return 0, nil
	}
	return pid, nil
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}

// replace writes a file in one step, so that nobody reads half of it.
func replace(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
