package gateway

import (
	"bytes"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// Result is how a command ended.
type Result struct {
	// Code is the exit code.
	Code           int
	Stdout, Stderr string
}

// Command runs the binary with args until it ends by itself, in an empty working
// folder and without any AGENTZERO_ variable but those of env.
func Command(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	path, err := Binary()
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = home
	cmd.Env = append(inherited(home), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	late := time.AfterFunc(Patience, func() { cmd.Process.Kill() })
	if err := cmd.Start(); err != nil {
		t.Fatalf("gateway: start %v: %v", args, err)
	}
	err = cmd.Wait()
	if !late.Stop() {
		t.Fatalf("gateway: %v still ran after %v; it printed:\n%s%s", args, Patience, &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("gateway: run %v: %v", args, err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}
