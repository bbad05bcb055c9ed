// Package daemon tests the gateway as it lives on a person's machine: in the
// background, under a service manager, and crashed. All of it drives the built
// binary.
package daemon

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"agentzero/test/gateway"
)

func TestMain(m *testing.M) { gateway.Main(m) }

// patience is how long a step may take. It is a safety net, not a measure.
const patience = 45 * time.Second

// machine is a data directory and what is told of it.
type machine struct {
	t   *testing.T
	dir string
	env []string
}

// newMachine makes a machine, on which nothing runs when the test is over.
func newMachine(t *testing.T, env ...string) *machine {
	t.Helper()
	m := &machine{t: t, dir: filepath.Join(t.TempDir(), "data"), env: append([]string{"AGENTZERO_GATEWAY__PORT=0"}, env...)}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(m.dir, "daemon.log"))
			t.Logf("daemon.log:\n%s", log)
		}
		m.clear()
	})
	return m
}

// clear stops what runs. The test's own context has ended.
func (m *machine) clear() {
	path, err := gateway.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(path, "daemon", "stop", "--timeout", "5s", "--data-dir", m.dir)
	cmd.Dir = filepath.Dir(m.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Errorf("clear up: %v: %s", err, out)
	}
}

func (m *machine) run(args ...string) gateway.Result {
	m.t.Helper()
	return gateway.Command(m.t, m.env, append(args, "--data-dir", m.dir)...)
}

// must runs a command that succeeds.
func (m *machine) must(args ...string) gateway.Result {
	m.t.Helper()
	r := m.run(args...)
	if r.Code != 0 {
		m.t.Fatalf("%v: %+v", args, r)
	}
	return r
}

// status is what `daemon status --json` tells.
type status struct {
	Running  bool
	PID      int
	Health   string
	Uptime   float64 `json:"uptime_seconds"`
	Address  string
	Version  string
	Agent    string
	Sessions int
	Turns    int    `json:"running_turns"`
	LogFile  string `json:"log_file"`
	LogBytes int64  `json:"log_bytes"`
	Crashed  bool
}

func (m *machine) status() (s status, code int) {
	m.t.Helper()
	r := m.run("daemon", "status", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		m.t.Fatalf("%v: %+v", err, r)
	}
	if s.Running != (r.Code == 0) || r.Code != 0 && r.Code != 3 {
		m.t.Errorf("exit %d for %+v", r.Code, s)
	}
	return s, r.Code
}

var codePattern = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

func (m *machine) log() string {
	m.t.Helper()
	log, err := os.ReadFile(filepath.Join(m.dir, "daemon.log"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(log)
}

// gone waits until a process that was told to end has let go of the data
// directory.
func (m *machine) gone() {
	m.t.Helper()
	eventually(m.t, "the process is gone", func() bool { s, _ := m.status(); return !s.Running })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// takenPort is a port that somebody else listens on until the test is over.
func takenPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
