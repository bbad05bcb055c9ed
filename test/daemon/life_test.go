package daemon

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestADaemonStartsTellsAndStops(t *testing.T) {
	m := newMachine(t)
	if s, code := m.status(); code != 3 || s.Running || s.Crashed {
		t.Errorf("before the start: %+v, exit %d", s, code)
	}
	started := m.must("daemon", "start", "--demo")
	s, _ := m.status()
	if !s.Running || s.Health != "ok" || s.Version == "" || !strings.HasPrefix(s.Agent, "demo") || s.LogBytes == 0 || s.Uptime <= 0 || s.Uptime > 3600 {
		t.Errorf("status %+v", s)
	}
	code := codePattern.FindString(started.Stdout)
	for _, part := range []string{itoa(s.PID), s.Address, s.LogFile, "demo", code} {
		if part == "" || !strings.Contains(started.Stdout, part) {
			t.Errorf("the start does not tell %q:\n%s", part, started.Stdout)
		}
	}
	if log := m.log(); strings.Contains(log, code) || codePattern.MatchString(log) {
		t.Errorf("the pairing code is in the log:\n%s", log)
	}
	pid, err := os.ReadFile(filepath.Join(m.dir, "daemon.pid"))
	if err != nil || string(pid) != itoa(s.PID)+"\n" {
		t.Errorf("the PID file: %q, %v", pid, err)
	}
	if sid := sessionOf(t, s.PID); sid != s.PID {
		t.Errorf("the daemon is in the session %d of another", sid)
	}
	m.must("health")
	for _, line := range []string{"daemon start --demo", "gateway --demo"} {
		r := m.run(strings.Fields(line)...)
		if r.Code != 1 || !strings.Contains(r.Stderr, "runs already") || !strings.Contains(r.Stderr, itoa(s.PID)) || !strings.Contains(r.Stderr, s.Address) {
			t.Errorf("a second %s: %+v", line, r)
		}
	}
	if again, _ := m.status(); again.PID != s.PID {
		t.Errorf("after the second starts: %+v", again)
	}
	if r := m.must("daemon", "logs", "-n", "1"); strings.Count(r.Stdout, "\n") != 1 || !strings.Contains(r.Stdout, "msg=") {
		t.Errorf("logs: %+v", r)
	}
	if r := m.must("daemon", "stop"); !strings.Contains(r.Stdout, "stopped") {
		t.Errorf("stop: %+v", r)
	}
	if s, code := m.status(); code != 3 || s.Crashed {
		t.Errorf("after the stop: %+v, exit %d", s, code)
	}
	if r := m.run("health"); r.Code != 1 {
		t.Errorf("health of none: %+v", r)
	}
	if r := m.must("daemon", "stop"); !strings.Contains(r.Stdout, "No gateway runs") {
		t.Errorf("a second stop: %+v", r)
	}
}

// sessionOf is the sixth field of a process's stat.
func sessionOf(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skipf("skipped, no /proc on this system: %v", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	sid, err := strconv.Atoi(strings.Fields(rest)[3])
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

func TestAStaleOrReusedPIDIsNotBelieved(t *testing.T) {
	m := newMachine(t)
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The number of a process that lives and is no gateway: this one.
	for _, name := range []string{"daemon.pid", "daemon.lock"} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(itoa(os.Getpid())+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, code := m.status(); code != 3 || s.Running {
		t.Errorf("%+v, exit %d", s, code)
	}
	m.must("daemon", "stop") // would end this test if it believed the number
	m.must("daemon", "start", "--demo")
	if s, _ := m.status(); !s.Running || s.PID == os.Getpid() {
		t.Errorf("%+v", s)
	}
}

func TestAKilledDaemonIsToldAsCrashedAndStartsAgain(t *testing.T) {
	m := newMachine(t)
	m.must("daemon", "start", "--demo")
	s, _ := m.status()
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.gone()
	now, code := m.status()
	if code != 3 || !now.Crashed || now.PID != s.PID {
		t.Errorf("%+v, exit %d", now, code)
	}
	if r := m.must("daemon", "start", "--demo"); !strings.Contains(r.Stderr, itoa(s.PID)) {
		t.Errorf("the start does not tell of the crash: %+v", r)
	}
	if again, _ := m.status(); !again.Running || again.PID == s.PID || again.Crashed {
		t.Errorf("%+v", again)
	}
}

func TestAPanicsWordsAreKept(t *testing.T) {
	m := newMachine(t)
	m.must("daemon", "start", "--demo")
	s, _ := m.status()
	// What the runtime prints when it crashes; SIGQUIT makes it crash.
	if err := syscall.Kill(s.PID, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	m.gone()
	words, err := os.ReadFile(filepath.Join(m.dir, "daemon.err"))
	if err != nil || !strings.Contains(string(words), "goroutine ") {
		t.Errorf("%v: %.200s", err, words)
	}
	if now, _ := m.status(); !now.Crashed {
		t.Errorf("%+v", now)
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	port := takenPort(t)
	for name, c := range map[string]struct {
		env, args []string
		says      []string
	}{
		"the port is taken":             {args: []string{"--port", port}, says: []string{"127.0.0.1:" + port, "--port"}},
		"the configuration is wrong":    {env: []string{"AGENTZERO_GATEWAY__PROT=1"}, says: []string{"AGENTZERO_GATEWAY__PROT"}},
		"the host is another machine's": {args: []string{"--host", "0.0.0.0"}, says: []string{"allow_public_bind"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, c.env...)
			r := m.run(append([]string{"daemon", "start", "--demo"}, c.args...)...)
			if r.Code != 1 || r.Stdout != "" || strings.Count(r.Stderr, "\n") != 1 {
				t.Errorf("%+v", r)
			}
			for _, part := range c.says {
				if !strings.Contains(r.Stderr, part) {
					t.Errorf("it does not say %q: %s", part, r.Stderr)
				}
			}
			m.env = m.env[:1]
			if s, code := m.status(); code != 3 || s.Crashed {
				t.Errorf("afterwards: %+v, exit %d", s, code)
			}
		})
	}
}

// slowAnswer starts a daemon whose model has said one word of two and waits.
func slowAnswer(t *testing.T) (m *machine, answer *bufio.Scanner, gate chan struct{}) {
	t.Helper()
	up := upstream.New(t)
	gate = make(chan struct{})
	up.Set("m", upstream.Script{Deltas: upstream.Count(2), Gate: gate, GateAfter: 1})
	m = newMachine(t, "AGENTZERO_AGENT__PROVIDER=mock", "AGENTZERO_PROVIDERS__MOCK__KIND=openai",
		"AGENTZERO_PROVIDERS__MOCK__BASE_URL="+up.URL(), "AGENTZERO_GATEWAY__REQUIRE_PAIRING=false")
	m.must("daemon", "start")
	s, _ := m.status()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Post(s.Address+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	answer = bufio.NewScanner(resp.Body)
	for answer.Scan() && !strings.Contains(answer.Text(), `"1 "`) {
	}
	if resp.StatusCode != http.StatusOK || answer.Err() != nil {
		t.Fatalf("%s, %v", resp.Status, answer.Err())
	}
	return m, answer, gate
}

func TestAStopWaitsForAStreamToFinish(t *testing.T) {
	m, answer, gate := slowAnswer(t)
	s, _ := m.status()
	if s.Turns != 1 {
		t.Errorf("status during a turn: %+v", s)
	}
	stopped := make(chan gateway.Result, 1)
	go func() { stopped <- m.run("daemon", "stop") }()
	eventually(t, "the status is draining", func() bool { s, _ := m.status(); return s.Health == "draining" })
	select {
	case r := <-stopped:
		t.Fatalf("it did not wait: %+v", r)
	default:
	}
	close(gate)
	var rest strings.Builder
	for answer.Scan() {
		rest.WriteString(answer.Text())
	}
	if !strings.Contains(rest.String(), `"2"`) && !strings.Contains(rest.String(), `"2 "`) || !strings.HasSuffix(rest.String(), "[DONE]") {
		t.Errorf("the stream ended with %s", rest.String())
	}
	select {
	case r := <-stopped:
		if r.Code != 0 || !strings.Contains(r.Stdout, "stopped") {
			t.Errorf("%+v", r)
		}
	case <-time.After(patience):
		t.Fatal("the stop does not return")
	}
}

func TestAStopKillsWhatDoesNotEnd(t *testing.T) {
	m, answer, _ := slowAnswer(t)
	s, _ := m.status()
	r := m.must("daemon", "stop", "--timeout", "1s")
	if !strings.Contains(r.Stdout, "killed") || !strings.Contains(r.Stdout, itoa(s.PID)) {
		t.Errorf("%+v", r)
	}
	for answer.Scan() {
		if strings.Contains(answer.Text(), "[DONE]") {
			t.Error("the stream says it is done")
		}
	}
}

func TestARestartKeepsTheFlags(t *testing.T) {
	m := newMachine(t)
	m.must("daemon", "start", "--demo", "--log-level", "debug")
	before, _ := m.status()
	r := m.must("daemon", "restart")
	after, _ := m.status()
	if after.PID == before.PID || !strings.HasPrefix(after.Agent, "demo") || !strings.Contains(r.Stdout, itoa(before.PID)) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestAForegroundGatewayIsSeenAndStoppedToo(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	m := &machine{t: t, dir: g.DataDir, env: []string{"AGENTZERO_GATEWAY__PORT=0"}}
	s, _ := m.status()
	if !s.Running || s.PID != g.PID() || s.Address != g.URL || s.LogFile != "" {
		t.Errorf("%+v", s)
	}
	m.must("health")
	m.must("daemon", "stop")
	g.WaitExit(t)
}

func TestALogThatIsFollowedGoesOn(t *testing.T) {
	m := newMachine(t)
	m.must("daemon", "start", "--demo")
	s, _ := m.status()
	lines, stop := follow(t, m)
	defer stop()
	if !lines.Scan() || !strings.Contains(lines.Text(), "gateway started") {
		t.Fatalf("first %q", lines.Text())
	}
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || !strings.Contains(lines.Text(), "configuration reloaded") {
		t.Errorf("then %q", lines.Text())
	}
}
