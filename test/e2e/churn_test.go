package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestTwoThousandShortVisitsLeaveNothingBehind(t *testing.T) {
	const visits, atOnce = 2000, 16
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true, EchoPiece: 4})
	up.Set("cut", upstream.Script{Deltas: upstream.Count(3), Fault: upstream.FaultCut, After: 1})
	never := make(chan struct{})
	up.Set("stuck", upstream.Script{Deltas: upstream.Count(3), Gate: never, GateAfter: 1})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo",
		Config: "[sessions]\ndisconnect_grace = \"0s\"\nidle_timeout = \"200ms\"\n"})
	before := baseline(t, g, 2*atOnce)

	kinds := []func(text string){
		func(text string) {
			resp, body := send(t, g, "POST", "/api/chat", fmt.Sprintf(`{"message":%q}`, text)).whole()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s: %s", text, resp.Status, body)
			}
		},
		func(text string) {
			c := send(t, g, "POST", "/v1/chat/completions", chat("", text, true))
			if s := c.read(0); !s.done || s.text != text {
				t.Errorf("%s: %+v", text, s)
			}
			c.hangUp(false)
		},
		func(text string) {
			s := connect(t, g, "")
			s.say(text)
			if got, last := s.hearTurn(); got != text || last.Type != "done" {
				t.Errorf("%s: heard %q, %+v", text, got, last)
			}
			s.hangUp(false)
		},
		func(text string) { // a session that several meet in
			c := send(t, g, "POST", "/v1/chat/completions", chat("", text, true), "X-Session-Id: "+text[len(text)-1:], "X-Busy-Policy: collect")
			if s := c.read(0); !s.done {
				t.Errorf("%s: %+v", text, s)
			}
			c.hangUp(false)
		},
		func(text string) { // one who leaves
			c := send(t, g, "POST", "/v1/chat/completions", chat("stuck", text, true))
			c.read(1)
			c.hangUp(true)
		},
		func(text string) { // one who leaves a WebSocket
			s := connect(t, g, "session="+letters(text))
			s.ask("stuck", text)
			s.hear()
			s.hangUp(false)
		},
		func(text string) {
			c := send(t, g, "POST", "/v1/chat/completions", chat("cut", text, true))
			if s := c.read(0); s.done || s.failure == nil {
				t.Errorf("%s: %+v", text, s)
			}
			c.hangUp(false)
		},
		func(text string) {
			createSession(t, g, letters(text))
			watch(t, g, letters(text)).hangUp(false)
			send(t, g, "DELETE", "/v1/sessions/"+letters(text), "").whole()
		},
	}
	jobs := make(chan int)
	var visitors sync.WaitGroup
	for range atOnce {
		visitors.Go(func() {
			for i := range jobs {
				kinds[i%len(kinds)](fmt.Sprintf("visit %d", i))
			}
		})
	}
	for i := range visits {
		jobs <- i
	}
	close(jobs)
	visitors.Wait()

	s := checkFates(t, g)
	if got := s["agentzero_turns_accepted_total"]; got != visits*7/8 {
		t.Errorf("%v turns were accepted, want %d", got, visits*7/8)
	}
	for fate, want := range map[string]float64{"failed": visits / 8, "cancelled": visits / 4, "expired": 0, "dead_lettered": 0} {
		if got := s[fmt.Sprintf("agentzero_turns_total{fate=%q}", fate)]; got != want {
			t.Errorf("%v turns were %s, want %v", got, fate, want)
		}
	}
	up.Down() // and with it the connections kept for the next call
	waitAtRest(t, g, before)
	waitMetric(t, g, "agentzero_active_sessions", 0)
}
