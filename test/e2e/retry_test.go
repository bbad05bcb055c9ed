package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestAnUpstreamThatRecoversBeforeTheFirstDeltaIsAskedAgain(t *testing.T) {
	up := upstream.New(t)
	g := gateway.Start(t, gateway.Options{Upstream: up.URL()})
	for _, streamed := range []bool{true, false} {
		model := fmt.Sprintf("recovers-%v", streamed)
		up.Set(model, upstream.Script{Deltas: upstream.Count(3), Fault: upstream.FaultStatus, Status: 503, FaultTimes: 2})
		resp, body := g.Do(t, "POST", "/v1/chat/completions", chat(model, "x", streamed))
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, "3 ") {
			t.Errorf("stream %v: %s: %s", streamed, resp.Status, body)
		}
		if n := len(up.Requests(model)); n != 3 {
			t.Errorf("stream %v: the upstream was asked %d times, want 3", streamed, n)
		}
	}
	waitMetric(t, g, `agentzero_provider_retries_total{provider="mock"}`, 4)
}

func TestAnUpstreamThatHasSpokenIsNotAskedAgain(t *testing.T) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Deltas: upstream.Count(3), Fault: upstream.FaultCut, After: 1, FaultTimes: 1})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	if s := send(t, g, "POST", "/v1/chat/completions", chat("m", "x", true)).read(0); s.done || s.failure == nil || s.text != "1 " {
		t.Errorf("the stream is %+v", s)
	}
	if n := len(up.Requests("m")); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
	if n := metricsOf(t, g).sum("agentzero_provider_retries_total"); n != 0 {
		t.Errorf("%v retries were counted", n)
	}
}

func TestAnIdempotencyKeyRunsOneTurn(t *testing.T) {
	up := upstream.New(t)
	g := gateway.Start(t, gateway.Options{Upstream: up.URL()})
	const key = "Idempotency-Key: "
	replayed := func(c *client) bool { return c.answer().Header.Get("Idempotency-Replayed") == "true" }

	t.Run("attaches to the running turn, from its beginning", func(t *testing.T) {
		gate := make(chan struct{})
		up.Set("runs", upstream.Script{Deltas: upstream.Count(6), Gate: gate, GateAfter: 3})
		ask := func() *client {
			return send(t, g, "POST", "/v1/chat/completions", chat("runs", "x", true), key+"runs")
		}
		first := ask()
		if s := first.read(3); replayed(first) || s.text != "1 2 3 " {
			t.Fatalf("the first began with %+v", s)
		}
		second := ask()
		if s := second.read(3); !replayed(second) || s.text != "1 2 3 " {
			t.Errorf("the second, replayed %v, began with %+v", replayed(second), s)
		}
		if a, b := first.resp.Header.Get("X-Turn-Id"), second.resp.Header.Get("X-Turn-Id"); a != b {
			t.Errorf("they are of the turns %s and %s", a, b)
		}
		first.hangUp(false) // the other still watches
		close(gate)
		if s := second.read(0); !s.done || s.text != "4 5 6 " {
			t.Errorf("the second ended with %+v", s)
		}
		third := ask()
		if s := third.read(0); !replayed(third) || !s.done || s.text != joined(6) {
			t.Errorf("the third, replayed %v, is %+v", replayed(third), s)
		}
		if n := len(up.Requests("runs")); n != 1 {
			t.Errorf("the upstream was asked %d times", n)
		}
	})
	for name, c := range map[string]struct{ path, body, other string }{
		"/api/chat":            {"/api/chat", `{"message":"x","model":"echo","session_id":"s"}`, `{"message":"y","model":"echo","session_id":"s"}`},
		"a completion":         {"/v1/chat/completions", chat("echo", "x", false), chat("echo", "y", false)},
		"a session's messages": {"/v1/sessions/s/messages", `{"content":"x","model":"echo"}`, `{"content":"y","model":"echo"}`},
	} {
		t.Run("replays and refuses for "+name, func(t *testing.T) {
			up.Set("echo", upstream.Script{Echo: true})
			calls := len(up.Requests("echo"))
			header := key + letters(name)
			resp, body := g.Do(t, "POST", c.path, c.body, header)
			if resp.StatusCode >= 300 || resp.Header.Get("Idempotency-Replayed") != "" {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			turn := resp.Header.Get("X-Turn-Id")
			checkFates(t, g)
			again, answer := g.Do(t, "POST", c.path, c.body, header)
			if again.StatusCode != resp.StatusCode || again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("X-Turn-Id") != turn {
				t.Errorf("the replay: %s, %v: %s", again.Status, again.Header, answer)
			}
			other, answer := g.Do(t, "POST", c.path, c.other, header)
			if f := failureOf(t, answer); other.StatusCode != http.StatusConflict || f.Code != "idempotency_key_conflict" {
				t.Errorf("another body: %s: %s", other.Status, answer)
			}
			if n := len(up.Requests("echo")); n != calls+1 {
				t.Errorf("the upstream was asked %d times", n-calls)
			}
		})
	}
	t.Run("forgets what failed", func(t *testing.T) {
		up.Set("fails", upstream.Script{Deltas: upstream.Count(1), Fault: upstream.FaultStatus, Status: 400, FaultTimes: 1})
		for i, want := range []int{400, 200} {
			resp, body := g.Do(t, "POST", "/v1/chat/completions", chat("fails", "x", false), key+"fails")
			if resp.StatusCode != want || resp.Header.Get("Idempotency-Replayed") != "" {
				t.Errorf("try %d: %s: %s", i, resp.Status, body)
			}
		}
	})
}
