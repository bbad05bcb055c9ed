// Package program runs programs that nobody here wrote: clients, tools, model
// servers. Each has a time limit and a process group of its own, which is gone
// when the test is over, and what it printed is told where the test fails.
package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Program is a command that is yet to be run.
type Program struct {
	// Path is the program's file, Args what follows it on the command line.
	Path string
	Args []string
	// Dir is the working folder; empty means the test's.
	Dir string
	// Env is added to the environment.
	Env []string
	// Stdin is what the program reads; nil means nothing.
	Stdin []byte
	// Limit is how long the program may run; 0 means a minute.
	Limit time.Duration
}

// Run runs the program to its end and returns what it printed, stdout and stderr
// together. It fails t where the program does not end with exit code 0 in time.
func (p Program) Run(t testing.TB) string {
	t.Helper()
	text, err := p.run(t)
	if err != nil {
		t.Fatalf("%s: %v; it printed:\n%s", p, err, text)
	}
	return text
}

// Try is Run for a program that may end with another exit code, which it returns.
func (p Program) Try(t testing.TB) (text string, code int) {
	t.Helper()
	text, err := p.run(t)
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() >= 0 {
		return text, exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v; it printed:\n%s", p, err, text)
	}
	return text, 0
}

func (p Program) run(t testing.TB) (string, error) {
	limit := p.Limit
	if limit == 0 {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd, printed := p.command(ctx)
	if p.Stdin != nil {
		cmd.Stdin = bytes.NewReader(p.Stdin)
	}
	err := cmd.Run()
	kill(cmd) // what it may have left behind
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("still running after %v", limit)
	}
	return printed.String(), err
}

// Process is a program that runs beside the test.
type Process struct {
	printed *output
	ended   chan struct{}
	err     error // after ended
}

// Start starts the program, which runs until the test is over or it ends by
// itself. Limit and Stdin mean nothing here: its standard input stays open as
// long as the test's process lives, so that a program which reads it to its end
// can never be left behind, even by a test that was killed.
func (p Program) Start(t testing.TB) *Process {
	t.Helper()
	cmd, printed := p.command(context.Background())
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	running := &Process{printed: printed, ended: make(chan struct{})}
	go func() {
		running.err = cmd.Wait()
		close(running.ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		kill(cmd)
		<-running.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", p, printed)
		}
	})
	return running
}

// Ended is closed when the program has ended; Err then tells how.
func (r *Process) Ended() <-chan struct{} { return r.ended }

// Err is the error of a program that has ended, nil where its exit code was 0.
func (r *Process) Err() error { return r.err }

// Output is what the program has printed so far, stdout and stderr together.
func (r *Process) Output() string { return r.printed.String() }

// Printed returns a channel that is closed when the program prints more.
func (r *Process) Printed() <-chan struct{} {
	r.printed.mu.Lock()
	defer r.printed.mu.Unlock()
	return r.printed.more
}

func (p Program) command(ctx context.Context) (*exec.Cmd, *output) {
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return kill(cmd) }
	cmd.WaitDelay = 5 * time.Second // for a child that left the group with the output
	printed := &output{more: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = printed, printed
	return cmd, printed
}

// kill ends the program and all it has started.
func kill(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

func (p Program) String() string {
	return strings.Join(append([]string{p.Path}, p.Args...), " ")
}

// output keeps what a program prints, up to a bound.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed and replaced with every write
}

const maxOutput = 4 << 20

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b[:min(len(b), maxOutput-o.text.Len())])
	close(o.more)
	o.more = make(chan struct{})
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
