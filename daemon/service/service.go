// Package service makes a program a service of the machine: it writes what the
// service manager reads, and runs the manager's own commands.
//
// A [Manager] only plans: each of its methods returns a [Plan], the files to
// write and remove and the commands to run, which [Apply] carries out and
// [Plan.String] shows to people. So what a dry run prints is what would be done.
package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Name is the service's.
const Name = "agentzero"

// Program is what the service runs.
type Program struct {
	// Path is the program's file, absolute; Args its arguments.
	Path string
	Args []string
	// DataDir is where it keeps its state, absolute.
	DataDir string
	// StopTimeout is how long it may take to end.
	StopTimeout time.Duration
	// User is who it runs as, where the manager is the machine's and not the
	// user's own.
	User string
}

// Manager plans for one service manager.
type Manager interface {
	// Install plans to make the service, or to make it anew; Uninstall to take it
	// away. What the program keeps is not touched.
	Install(Program) (Plan, error)
	Uninstall() Plan
	Start() Plan
	Stop() Plan
	Restart() Plan
	// Status plans a command that exits with 0 where the service runs and with 3
	// where it does not.
	Status() Plan
	// Path is the file of the service.
	Path() string
}

// Plan is what is to be done, in this order: the files written, the commands run,
// the files removed, and the commands after that.
type Plan struct {
	Write  []File
	Run    [][]string
	Remove []string
	After  [][]string
	// Root tells that only root may do it.
	Root bool
	// LetFail tells that a command of Run may fail: what it would end is not there.
	LetFail bool
}

// File is one to be written.
type File struct {
	Path    string
	Content string
	Mode    fs.FileMode
}

// String shows the plan as shell commands and files.
func (p Plan) String() string {
	var b strings.Builder
	if p.Root {
		b.WriteString("# as root:\n")
	}
	for _, f := range p.Write {
		fmt.Fprintf(&b, "# write %s (mode %04o):\n%s\n", f.Path, f.Mode, f.Content)
	}
	for _, c := range p.Run {
		fmt.Fprintln(&b, strings.Join(c, " "))
	}
	for _, path := range p.Remove {
		fmt.Fprintln(&b, "rm -f "+path)
	}
	for _, c := range p.After {
		fmt.Fprintln(&b, strings.Join(c, " "))
	}
	return b.String()
}

// ExitError is a command of the service manager's that has failed.
type ExitError struct {
	Command []string
	Code    int
	Said    string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit code %d", strings.Join(e.Command, " "), e.Code)
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// Apply carries out a plan. What the commands print goes to w. A failing one is an
// [*ExitError].
func Apply(ctx context.Context, p Plan, w io.Writer) error {
	if p.Root && os.Geteuid() != 0 {
		return errors.New("this needs root: run it with sudo or doas")
	}
	for _, f := range p.Write {
		if err := write(f); err != nil {
			return err
		}
	}
	for _, c := range p.Run {
		if err := run(ctx, w, c); err != nil && !p.LetFail {
			return err
		}
	}
	for _, path := range p.Remove {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, c := range p.After {
		if err := run(ctx, w, c); err != nil {
			return err
		}
	}
	return nil
}

// write replaces a file in one step.
func write(f File) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	tmp := f.Path + ".new"
	err := os.WriteFile(tmp, []byte(f.Content), f.Mode)
	if err == nil {
		err = errors.Join(os.Chmod(tmp, f.Mode), os.Rename(tmp, f.Path))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

func run(ctx context.Context, w io.Writer, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, io.MultiWriter(&said, w)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Command: command, Code: exit.ExitCode(), Said: strings.TrimSpace(said.String())}
	}
	return err
}
