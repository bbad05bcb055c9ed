package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestAReloadTakesUpWhatCanChange(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("gated", upstream.Script{Deltas: upstream.Count(4), Gate: gate, GateAfter: 2})
	up.Set("echo", upstream.Script{Echo: true})
	other := upstream.New(t)
	other.Set("echo", upstream.Script{Deltas: []string{"the other one"}})
	config := func(limit int, s *upstream.Server, rest string) string {
		return fmt.Sprintf("[gateway]\nrate_limit_max = %d\n%s\n[providers.one]\nkind = \"openai\"\nbase_url = %q\n", limit, rest, s.URL())
	}
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Config: config(1000, up, "")})
	ask := func(want int, text string) {
		t.Helper()
		resp, body := g.Do(t, "POST", "/api/chat", `{"message":"to the first","model":"one/echo"}`)
		if resp.StatusCode != want || !strings.Contains(body, text) {
			t.Errorf("%s: %s, want %d %s", resp.Status, body, want, text)
		}
	}
	reload := func(text, says string) {
		t.Helper()
		n := strings.Count(g.Log(), says)
		g.Configure(t, text)
		g.Signal(t, syscall.SIGHUP)
		eventually(t, "the log says "+says, func() bool { return strings.Count(g.Log(), says) > n })
	}
	running := send(t, g, "POST", "/v1/chat/completions", chat("one/gated", "x", true))
	running.read(2)
	ask(http.StatusOK, "to the first")

	reload(config(1000, other, ""), "configuration reloaded")
	ask(http.StatusOK, "the other one")
	close(gate)
	if s := running.read(0); !s.done || s.text != "3 4 " {
		t.Errorf("a stream that ran through the reload ended with %+v", s)
	}

	reload("[gateway]\nrate_limit_mx = 3\n", "the configuration was not reloaded")
	ask(http.StatusOK, "the other one")
	if log := g.Log(); !strings.Contains(log, ":2:1: gateway.rate_limit_mx") {
		t.Error("the log does not say where the configuration is wrong")
	}

	reload(config(1000, up, "max_body_bytes = 5000\nkeep_alive = \"3s\""), "wait for a restart")
	ask(http.StatusOK, "to the first")
	if log := g.Log(); !strings.Contains(log, "gateway.max_body_bytes") || !strings.Contains(log, "gateway.keep_alive") {
		t.Error("the log does not name the keys that wait for a restart")
	}
	if resp, body := g.Do(t, "POST", "/v1/ping", `{"message":"`+strings.Repeat("x", 6000)+`"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("a key that waits for a restart is in force: %s: %s", resp.Status, body)
	}

	reload(config(1, up, ""), "configuration reloaded")
	resp, body := g.Do(t, "POST", "/v1/ping", "")
	wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if f := failureOf(t, body); resp.StatusCode != http.StatusTooManyRequests || f.Code != "rate_limited" || err != nil || wait < 1 {
		t.Errorf("past the new rate limit: %s, Retry-After %q: %s", resp.Status, resp.Header.Get("Retry-After"), body)
	}
	if resp.Header.Get("X-Ratelimit-Limit-Requests") != "1" || resp.Header.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Errorf("the rate limit's headers are %v", resp.Header)
	}
	reload(config(0, up, ""), "configuration reloaded")
	ask(http.StatusOK, "to the first")
}

func TestAReloadChangesTheLogLevel(t *testing.T) {
	g := gateway.Start(t, gateway.Options{Config: "[log]\nlevel = \"error\"\n"})
	g.Do(t, "GET", "/openapi.json", "")
	g.Configure(t, "[log]\nlevel = \"debug\"\n")
	g.Signal(t, syscall.SIGHUP)
	g.WaitOutput(t, "configuration reloaded")
	g.Do(t, "POST", "/v1/ping", "")
	g.WaitOutput(t, "/v1/ping")
	if strings.Contains(g.Log(), "/openapi.json") {
		t.Error("a request was logged below the level")
	}
}
