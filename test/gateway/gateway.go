// Package gateway runs the real binary for tests: built once, started on a free
// port with a data folder and a configuration of its own, paired, and stopped
// as an operator would stop it.
//
// A [Gateway] belongs to the test that started it. Where the test does not end
// it, the test's cleanup does, and fails the test if the exit was not clean; the
// output of a failed test's gateway is logged.
package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a step of the gateway's life (starting, stopping,
// saying something) may take before the test fails. It is a safety net, not a
// measure; it exceeds the longest drain that a test configures.
const Patience = 45 * time.Second

// Options say how to start a gateway. The zero value runs the demo agent.
type Options struct {
	// Upstream is the base URL of an OpenAI-compatible server, made the default
	// provider under the name "mock"; empty means the demo agent (--demo).
	Upstream string
	// Model is the default provider's default model; empty means none.
	Model string
	// Config is the text of the configuration file. The harness itself settles
	// things only by the environment, so the file may hold any section.
	Config string
	// Env is added to the environment, last, and so has the last word.
	Env []string
	// Args follow `agentzero gateway` on the command line.
	Args []string
	// DataDir is the folder of the gateway's state, to be given where a test
	// starts it a second time on the same; empty means a fresh one.
	DataDir string
}

// Gateway is one running process.
type Gateway struct {
	// URL is the base URL, without a slash at its end.
	URL string
	// DataDir is where its state is.
	DataDir string

	cmd    *exec.Cmd
	config string  // the path of its configuration file
	output *output // all it prints
	log    *output // what of that goes to standard error
	client *http.Client

	exited chan struct{} // closed once the process is gone
	err    error         // of the exit; read after exited

	pairing sync.Mutex
	token   string
}

// Start runs a gateway and returns when it answers /health.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	g, err := start(t, o)
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	return g
}

func start(t testing.TB, o Options) (*Gateway, error) {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	dir := o.DataDir
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "data")
	}
	home := t.TempDir() // also the working folder: no agentzero.toml of anyone else's
	config := filepath.Join(home, "test.toml")
	if err := os.WriteFile(config, []byte(o.Config), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{"gateway", "--config", config, "--data-dir", dir}, o.Args...)
	if o.Upstream == "" {
		args = append(args, "--demo")
	}
	g := &Gateway{
		DataDir: dir,
		cmd:     exec.Command(binary, args...),
		config:  config,
		output:  newOutput(),
		log:     newOutput(),
		client:  &http.Client{Transport: &http.Transport{}, Timeout: Patience},
		exited:  make(chan struct{}),
	}
	g.cmd.Dir = home
	g.cmd.Env = environment(o, home)
	g.cmd.Stdout, g.cmd.Stderr = g.output, io.MultiWriter(g.log, g.output)
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.exited)
		g.output.end()
		g.log.end()
	}()
	t.Cleanup(func() { g.cleanup(t) })

	url, err := g.output.address(o.Upstream)
	if err != nil {
		return nil, err
	}
	g.URL = url
	return g, g.waitHealthy()
}

// inherited is the caller's environment less what would configure the gateway.
func inherited(home string) []string {
	env := []string{"HOME=" + home}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AGENTZERO_") && !strings.HasPrefix(kv, "HOME=") {
			env = append(env, kv)
		}
	}
	return env
}

// environment is the inherited one, plus the settings of the harness, plus the
// test's. The rate limit is off unless the test's file sets it.
func environment(o Options, home string) []string {
	env := append(inherited(home), "AGENTZERO_GATEWAY__PORT=0")
	if !strings.Contains(o.Config, "rate_limit_max") {
		env = append(env, "AGENTZERO_GATEWAY__RATE_LIMIT_MAX=0")
	}
	if o.Upstream != "" {
		env = append(env,
			"AGENTZERO_AGENT__PROVIDER=mock",
			"AGENTZERO_PROVIDERS__MOCK__KIND=openai",
			"AGENTZERO_PROVIDERS__MOCK__BASE_URL="+o.Upstream,
			"AGENTZERO_PROVIDERS__MOCK__API_KEY=upstream-key",
			"AGENTZERO_PROVIDERS__MOCK__DEFAULT_MODEL="+o.Model)
	}
	return append(env, o.Env...)
}

func (g *Gateway) waitHealthy() error {
	deadline := time.Now().Add(Patience)
	for {
		resp, err := g.client.Get(g.URL + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-g.exited:
			return fmt.Errorf("it ended before it answered: %v\n%s", g.err, g.output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("/health: %w", err)
		}
	}
}

// Configure rewrites the configuration file; SIGHUP lets the process read it.
func (g *Gateway) Configure(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatalf("gateway: %v", err)
	}
}

// Log returns what the process has printed on standard error so far.
func (g *Gateway) Log() string { return g.log.String() }

// Output returns what the process has printed so far, stdout and stderr together.
func (g *Gateway) Output() string { return g.output.String() }

// WaitOutput waits until the process has printed text.
func (g *Gateway) WaitOutput(t testing.TB, text string) {
	t.Helper()
	_, err := g.output.wait("the text "+text, func(s string) (string, bool) { return "", strings.Contains(s, text) })
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
}

// PID is the process's number.
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Signal sends the process a signal.
func (g *Gateway) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatalf("gateway: signal %v: %v", s, err)
	}
}

// Stop ends the process by SIGTERM and fails t unless it exits with code 0.
func (g *Gateway) Stop(t testing.TB) {
	t.Helper()
	g.Signal(t, syscall.SIGTERM)
	g.WaitExit(t)
}

// WaitExit waits for the process to end by itself and fails t unless its exit
// code is 0.
func (g *Gateway) WaitExit(t testing.TB) {
	t.Helper()
	if code := g.ExitCode(t); code != 0 {
		t.Errorf("gateway: exit: %v", g.err)
	}
}

// ExitCode waits for the process to end by itself and returns its exit code, -1
// where a signal ended it.
func (g *Gateway) ExitCode(t testing.TB) int {
	t.Helper()
	select {
	case <-g.exited:
	case <-time.After(Patience):
		t.Errorf("gateway: still running %v after it was told to stop", Patience)
		g.Kill(t)
	}
	return g.cmd.ProcessState.ExitCode()
}

// Kill ends the process as a crash would, by SIGKILL.
func (g *Gateway) Kill(t testing.TB) {
	t.Helper()
	g.cmd.Process.Kill() // an error says that it is gone already
	<-g.exited
}

func (g *Gateway) cleanup(t testing.TB) {
	g.client.CloseIdleConnections()
	select {
	case <-g.exited:
	default:
		g.Stop(t)
	}
	if t.Failed() {
		t.Logf("output of the gateway:\n%s", tail(g.Output(), 16<<10))
	}
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "...\n" + s[len(s)-n:]
}
