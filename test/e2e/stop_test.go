package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// draining starts a gateway, two streams and a WebSocket in the middle of their
// answers, and tells the gateway to stop.
func draining(t *testing.T, s os.Signal, config string) (d struct {
	g      *gateway.Gateway
	up     *upstream.Server
	gate   chan struct{}
	stream *client
	socket *socket
}) {
	d.up = upstream.New(t)
	d.gate = make(chan struct{})
	d.up.Set("m", upstream.Script{Deltas: upstream.Count(4), Gate: d.gate, GateAfter: 2})
	d.g = gateway.Start(t, gateway.Options{Upstream: d.up.URL(), Model: "m", Config: config})
	d.g.Token(t)
	d.stream = send(t, d.g, "POST", "/v1/chat/completions", chat("", "x", true))
	if s := d.stream.read(2); s.text != "1 2 " {
		t.Fatalf("the stream began with %+v", s)
	}
	d.socket = connect(t, d.g, "session=s")
	d.socket.say("x")
	d.up.Wait(t, "m", "the socket's turn", func(l []upstream.Request) bool { return len(l) == 2 && l[1].Sent == 2 })
	d.g.Signal(t, s)
	d.g.WaitOutput(t, "told to stop")
	eventually(t, "/health says draining", func() bool {
		resp, body := d.g.Do(t, "GET", "/health", "")
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, `"draining"`)
	})
	return d
}

func TestASignalToStopLetsWhatRunsFinish(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			d := draining(t, signal, "")
			for path, body := range map[string]string{
				"/v1/chat/completions":    chat("", "x", true),
				"/api/chat":               `{"message":"x"}`,
				"/webhook":                `{"message":"x"}`,
				"/v1/sessions":            `{}`,
				"/v1/sessions/s/messages": `{"content":"x"}`,
			} {
				resp, answer := d.g.Do(t, "POST", path, body)
				if f := failureOf(t, answer); resp.StatusCode != http.StatusServiceUnavailable || f.Code != "draining" {
					t.Errorf("%s: %s: %s", path, resp.Status, answer)
				}
			}
			if resp, body := d.g.Do(t, "GET", "/ws/chat", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="); resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a new WebSocket: %s: %s", resp.Status, body)
			}
			if resp, body := d.g.Do(t, "GET", "/v1/sessions/s", ""); resp.StatusCode != http.StatusOK {
				t.Errorf("what is there cannot be read any more: %s: %s", resp.Status, body)
			}
			close(d.gate)
			if s := d.stream.read(0); !s.done || s.text != "3 4 " || s.err != nil {
				t.Errorf("the open stream ended with %+v", s)
			}
			if text, last := d.socket.hearTurn(); text != joined(4) || last.Type != "done" {
				t.Errorf("the WebSocket heard %q, %+v", text, last)
			}
			d.g.WaitExit(t)
			if n := len(d.up.Requests("m")); n != 2 {
				t.Errorf("the upstream was asked %d times", n)
			}
		})
	}
}

func TestStreamsThatDoNotFinishAreToldOfTheShutdown(t *testing.T) {
	d := draining(t, syscall.SIGTERM, "[gateway]\ndrain_timeout = \"500ms\"\n")
	if s := d.stream.read(0); s.done || s.failure == nil || s.failure.Code != "draining" || !strings.Contains(s.failure.Message, "shutting down") {
		t.Errorf("the open stream ended with %+v", s)
	}
	if text, last := d.socket.hearTurn(); text != "1 2 " || last.Type != "error" || last.Code != "draining" {
		t.Errorf("the WebSocket heard %q, %+v", text, last)
	}
	d.g.WaitExit(t)
	if !strings.Contains(d.g.Log(), "interrupted_turns=2") {
		t.Error("the log does not tell of the two turns that were interrupted")
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	d := draining(t, syscall.SIGTERM, "")
	d.g.Signal(t, syscall.SIGINT)
	if code := d.g.ExitCode(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if s := d.stream.read(0); s.done {
		t.Errorf("the stream ended with %+v", s)
	}
}

func TestAStopWithoutWorkIsClean(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	createSession(t, g, "s")
	w := watch(t, g, "s") // an idle watcher does not hold it up
	connect(t, g, "session=s")
	g.Stop(t)
	if e, err := w.next(); err == nil && e.name != "error" {
		t.Errorf("the watcher was told %+v", e)
	}
}
