package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestTheLockTellsWhoRunsAndWhoHasCrashed(t *testing.T) {
	dir := t.TempDir()
	look := func() Status {
		t.Helper()
		s, err := Look(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(); s.Running || s.Crashed() {
		t.Errorf("an empty directory: %+v", s)
	}
	if s, err := Look(filepath.Join(dir, "none")); err != nil || s.Running {
		t.Errorf("no directory: %+v, %v", s, err)
	}
	lock, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s := look(); !s.Running || s.State.PID != os.Getpid() || s.State.Address != "" {
		t.Errorf("before anything was told: %+v", s)
	}
	if _, err := Acquire(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("a second lock: %v", err)
	}
	if err := lock.Tell(State{Address: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if s := look(); !s.Running || s.State.Address != "http://127.0.0.1:1" || s.State.PID != os.Getpid() {
		t.Errorf("told: %+v", s)
	}
	// As after a crash: the system has let go of the lock, the files are there.
	if err := lock.file.Unlock(); err != nil {
		t.Fatal(err)
	}
	if s := look(); s.Running || !s.Crashed() || s.State.Address == "" {
		t.Errorf("after a crash: %+v", s)
	}
	if lock, err = Acquire(dir); err != nil {
		t.Fatal(err)
	}
	if s := look(); s.State.Address != "" {
		t.Errorf("the crashed one's address is taken for the new one's: %+v", s)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if s := look(); s.Running || s.Crashed() {
		t.Errorf("after an orderly end: %+v", s)
	}
}

func TestANumberWithoutALockIsNobody(t *testing.T) {
	for name, text := range map[string]string{
		"of a process that lives": strconv.Itoa(os.Getpid()) + "\n",
		"of no process":           "999999999\n",
		"that is none":            "daemon\n",
		"that is negative":        "-1\n",
		"that is not there":       "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range []string{pidName, lockName} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := Look(dir); err != nil || s.Running {
				t.Errorf("%+v, %v", s, err)
			}
			if _, err := Stop(t.Context(), StopOptions{Dir: dir}); !errors.Is(err, ErrNotRunning) {
				t.Errorf("Stop: %v", err)
			}
		})
	}
}

func TestLookingDoesNotKeepAStartAway(t *testing.T) {
	dir := t.TempDir()
	stop, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := Look(dir); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for range 200 {
		lock, err := Acquire(dir)
		if err != nil {
			t.Error(err)
			break
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-looked
}
