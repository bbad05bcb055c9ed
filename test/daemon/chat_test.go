package daemon

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// cutter passes connections on, and cuts the first ones off after some bytes of
// the answers.
type cutter struct {
	url string
	mu  sync.Mutex
	cut []int // after how many bytes, one for each connection
}

func newCutter(t *testing.T, to string, cut ...int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{url: "http://" + l.Addr().String(), cut: cut}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { c.pass(conn, strings.TrimPrefix(to, "http://")) })
		}
	})
	t.Cleanup(func() { l.Close(); served.Wait() })
	return c
}

func (c *cutter) pass(conn net.Conn, to string) {
	defer conn.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	limit := int64(1 << 40)
	c.mu.Lock()
	if len(c.cut) > 0 {
		limit, c.cut = int64(c.cut[0]), c.cut[1:]
	}
	c.mu.Unlock()
	go func() { _, _ = io.Copy(up, conn); up.(*net.TCPConn).CloseWrite() }()
	_, _ = io.CopyN(conn, up, limit)
}

func TestAChatNeedsNothingButTheDataDirectory(t *testing.T) {
	m := newMachine(t, "AGENTZERO_AGENT__DEMO_DELAY=0s")
	started := m.must("daemon", "start", "--demo")
	if r := m.must("chat", "--session", "ada", "My name is Ada."); !strings.Contains(r.Stdout, "Ada") || r.Stderr != "" {
		t.Errorf("%+v", r)
	}
	if r := m.must("chat", "--session", "ada", "What is my name?"); !strings.Contains(r.Stdout, "Ada") || strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("it has not gone on: %+v", r)
	}
	if r := m.run("token", "list", "--json"); r.Stdout != "[]\n" {
		t.Errorf("a token is left: %+v", r)
	}
	// The code of the start is still good.
	s, _ := m.status()
	req, err := http.NewRequest("POST", s.Address+"/pair", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Pairing-Code", codePattern.FindString(started.Stdout))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the pairing code is answered %s after a chat", resp.Status)
	}
	if log := m.log(); strings.Contains(log, "az_") {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

func TestAChatGoesOnWhenTheConnectionIsCut(t *testing.T) {
	m := newMachine(t, "AGENTZERO_AGENT__DEMO_DELAY=2ms")
	m.must("daemon", "start", "--demo")
	token := strings.TrimSpace(m.must("token", "create", "--name", "x").Stdout)
	s, _ := m.status()
	// In the answer's middle, then in the headers, then twice in the middle.
	c := newCutter(t, s.Address, 1500, 200, 1500, 1200)
	m.env = append(m.env, "AGENTZERO_TOKEN="+token)
	r := m.must("chat", "--url", c.url, "Count to 60")
	want := "1, 2, 3, "
	if !strings.HasPrefix(r.Stdout, want) || !strings.HasSuffix(r.Stdout, "59, 60\n") || strings.Count(r.Stdout, "17, ") != 1 || strings.Count(r.Stdout, ",") != 59 {
		t.Errorf("a piece is lost or said twice: %+v", r)
	}
	if !strings.Contains(r.Stderr, "connection lost") {
		t.Errorf("nothing was cut: %+v", r)
	}
}

func TestAnInterruptCancelsTheAnswer(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	defer close(gate)
	up.Set("m", upstream.Script{Deltas: upstream.Count(2), Gate: gate, GateAfter: 1})
	m := newMachine(t, "AGENTZERO_AGENT__PROVIDER=mock", "AGENTZERO_PROVIDERS__MOCK__KIND=openai", "AGENTZERO_PROVIDERS__MOCK__BASE_URL="+up.URL())
	m.must("daemon", "start")
	cmd := child(t, m, "chat", "--session", "s", "--model", "m", "x")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 2)
	if _, err := io.ReadFull(out, first); err != nil || string(first) != "1 " {
		t.Fatalf("%q, %v", first, err)
	}
	cmd.Process.Signal(os.Interrupt)
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "cancelled") {
		t.Errorf("%v: %s", cmd.ProcessState, said.String())
	}
	if s, _ := m.status(); s.Turns != 0 {
		t.Errorf("the turn runs on: %+v", s)
	}
	if r := m.run("token", "list", "--json"); r.Stdout != "[]\n" {
		t.Errorf("a token is left: %+v", r)
	}
}

func TestAChatThatCannotBeSaysWhy(t *testing.T) {
	m := newMachine(t)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no gateway runs":                 {[]string{"chat", "x"}, "gateway.port is 0"},
		"nobody is at the address":        {[]string{"chat", "--url", "http://127.0.0.1:1", "x"}, "daemon start"},
		"another gateway without a token": {[]string{"chat", "--url", gateway.Start(t, gateway.Options{}).URL, "x"}, "AGENTZERO_TOKEN"},
	} {
		if r := m.run(c.args...); r.Code != 1 || !strings.Contains(r.Stderr, c.says) || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
