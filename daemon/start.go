package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// errName is the file that takes what the process prints on standard error: not
// its log, but what the Go runtime says when it crashes.
const errName = "daemon.err"

// maxErrFile is the size past which that file is begun anew, in bytes.
const maxErrFile = 1 << 20

// StartOptions say what to run in the background.
type StartOptions struct {
	// Dir is the data directory, which exists.
	Dir string
	// Path is the program, Args its arguments, Env its environment; nil inherits
	// this process's.
	Path string
	Args []string
	Env  []string
	// Patience is how long the process may take until it answers.
	Patience time.Duration
}

// Started is a process that serves.
type Started struct {
	PID    int
	Report Report
}

// StartError tells why a process does not run, in its own words.
type StartError struct{ Message string }

func (e *StartError) Error() string { return e.Message }

// Start runs a program in the background, in a session of its own, and returns
// once its /health answers 200. One that says why it cannot run is a
// [*StartError]; one that ends without a word is too, with what it printed last.
// A process that does not get ready in time is killed. When ctx ends, so does the
// process, unless it is ready.
func Start(ctx context.Context, o StartOptions) (Started, error) {
	errFile, err := openErrFile(o.Dir)
	if err != nil {
		return Started{}, err
	}
	defer errFile.Close()
	said, tell, err := os.Pipe()
	if err != nil {
		return Started{}, err
	}
	defer said.Close()
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Env = o.Env
	cmd.Stdout, cmd.Stderr = tell, errFile
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		tell.Close()
		return Started{}, err
	}
	tell.Close() // the process has its own
	p := &process{cmd: cmd, ended: make(chan struct{}), printed: errFile.Name()}
	go func() {
		_ = cmd.Wait() // how it ended is in what it said
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	report, err := p.ready(ctx, said)
	if err != nil {
		p.kill()
		return Started{}, err
	}
	return Started{PID: cmd.Process.Pid, Report: report}, nil
}

// process is a child whose start is being watched.
type process struct {
	cmd     *exec.Cmd
	ended   chan struct{}
	printed string // the file with its standard error
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// ready waits for the report, then for the port.
func (p *process) ready(ctx context.Context, said io.Reader) (Report, error) {
	type answer struct {
		Report
		err error
	}
	heard := make(chan answer, 1)
	go func() {
		r, err := readReport(said)
		heard <- answer{r, err}
	}()
	var r answer
	select {
	case r = <-heard:
	case <-ctx.Done():
		return Report{}, p.late(ctx, "it has not said that it runs")
	}
	switch {
	case r.err != nil: // the pipe ended: so did the process
		<-p.ended
		return Report{}, &StartError{"the process ended before it was ready" + p.lastWords()}
	case r.Error != "":
		return Report{}, &StartError{r.Error}
	}
	return r.Report, p.answers(ctx, r.Address)
}

// answers waits until the port does.
func (p *process) answers(ctx context.Context, address string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		err := Healthy(ctx, client, address)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return &StartError{"the process ended when it had just begun" + p.lastWords()}
		case <-ctx.Done():
			return p.late(ctx, err.Error())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) late(ctx context.Context, why string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return &StartError{"the process was not ready in time and has been ended: " + why + p.lastWords()}
}

// lastWords are what the process printed last, as the rest of a sentence.
func (p *process) lastWords() string {
	lines, err := lastLines(p.printed, 20)
	if err != nil || len(lines) == 0 {
		return ""
	}
	return "; it printed:\n" + strings.Join(lines, "\n")
}

// Healthy asks a gateway for its health; nil means that it takes work.
func Healthy(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/health", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/health answers %s", address, resp.Status)
	}
	return nil
}

// openErrFile opens the file, anew where it has grown large.
func openErrFile(dir string) (*os.File, error) {
	path := filepath.Join(dir, errName)
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxErrFile {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}
