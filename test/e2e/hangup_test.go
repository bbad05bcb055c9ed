package e2e

import (
	"fmt"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// hangUpLimit is how long after a client's hang-up its upstream call may last.
const hangUpLimit = 250 * time.Millisecond

func TestAHangUpEndsTheUpstreamCall(t *testing.T) {
	up := upstream.New(t)
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Config: "[sessions]\ndisconnect_grace = \"0s\"\n"})
	before := baseline(t, g, 4)
	never := make(chan struct{})
	const completions, cancel = "/v1/chat/completions", "X-On-Disconnect: cancel"

	for name, c := range map[string]struct {
		sent  int // chunks that the upstream has sent when the client leaves
		leave func(model string, ready func()) time.Time
	}{
		"of an event stream in its middle": {3, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", true))
			ready()
			c.read(3)
			return c.hangUp(false)
		}},
		"of an event stream that it had not read": {3, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", true))
			ready()
			return c.hangUp(true)
		}},
		"of an event stream before its first delta": {0, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", true))
			ready()
			return c.hangUp(false)
		}},
		"of a completion that does not stream": {0, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", false))
			ready()
			return c.hangUp(false)
		}},
		"of a completion that does not stream, by a reset": {0, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", false))
			ready()
			return c.hangUp(true)
		}},
		"of a named session's stream": {3, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", completions, chat(model, "x", true), "X-Session-Id: "+model, cancel)
			ready()
			c.read(3)
			return c.hangUp(false)
		}},
		"of a posted message's events": {3, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", "/v1/sessions/"+model+"/messages", fmt.Sprintf(`{"content":"x","stream":true,"model":%q}`, model), cancel)
			ready()
			c.waitEvent("delta")
			return c.hangUp(false)
		}},
		"of /api/chat": {3, func(model string, ready func()) time.Time {
			c := send(t, g, "POST", "/api/chat", fmt.Sprintf(`{"message":"x","model":%q}`, model), cancel)
			ready()
			return c.hangUp(false)
		}},
		"of a WebSocket in the middle of an answer": {3, func(model string, ready func()) time.Time {
			s := connect(t, g, "")
			s.ask(model, "x")
			ready()
			return s.hangUp(false)
		}},
		"of a WebSocket before the first delta": {0, func(model string, ready func()) time.Time {
			s := connect(t, g, "session="+model)
			s.ask(model, "x")
			ready()
			return s.hangUp(false)
		}},
		"of a WebSocket by a reset": {3, func(model string, ready func()) time.Time {
			s := connect(t, g, "")
			s.ask(model, "x")
			ready()
			return s.hangUp(true)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for try := 0; try < 3 && best >= hangUpLimit; try++ { // the machine has other things to do
				model := fmt.Sprintf("m%s-%d", letters(name), try)
				up.Set(model, upstream.Script{Deltas: upstream.Count(10), Gate: never, GateAfter: c.sent})
				at := c.leave(model, func() {
					up.Wait(t, model, "a call", func(l []upstream.Request) bool { return len(l) == 1 && l[0].Sent == c.sent })
				})
				best = min(best, up.WaitHungUp(t, model).HungUp.Sub(at))
			}
			t.Logf("seen by the upstream after %v", best)
			if best >= hangUpLimit {
				t.Errorf("the upstream saw its call cancelled after %v, want less than %v", best, hangUpLimit)
			}
		})
	}
	t.Run("and leaves no goroutine", func(t *testing.T) {
		s := checkFates(t, g)
		if got := s[`agentzero_turns_total{fate="cancelled"}`]; got != s["agentzero_turns_accepted_total"] {
			t.Errorf("%v of %v turns were cancelled", got, s["agentzero_turns_accepted_total"])
		}
		waitAtRest(t, g, before)
	})
}

// letters is a text as a part of a session's name.
func letters(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			b[i] = '-'
		}
	}
	return string(b)
}

func TestAGraceKeepsTheTurnForWhoComesBack(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("m", upstream.Script{Deltas: upstream.Count(40), Gate: gate, GateAfter: 10})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})

	first := connect(t, g, "session=s")
	first.say("count")
	text, seq := "", uint64(0)
	for range 2 {
		f, err := first.hear()
		if err != nil || f.Type != "delta" {
			t.Fatalf("heard %+v, %v", f, err)
		}
		text, seq = text+f.Delta, f.Seq
		if len(text) >= len("1 2 3 4 5 6 7 8 9 10 ") {
			break
		}
	}
	first.hangUp(true)
	waitMetric(t, g, "agentzero_active_websockets", 0)
	close(gate)
	up.WaitSent(t, "m", 20)

	second := connect(t, g, fmt.Sprintf("session=s&after=%d", seq))
	rest, last := second.hearTurn()
	if last.Type != "done" {
		t.Errorf("the turn ended with %+v", last)
	}
	if want := joined(40); text+rest != want {
		t.Errorf("heard %q and then %q, want %q", text, rest, want)
	}
	if r := up.Requests("m"); len(r) != 1 || !r[0].HungUp.IsZero() {
		t.Errorf("the upstream saw %d calls, the first hung up at %v", len(r), r[0].HungUp)
	}
	if last.Seq <= seq || last.Turn == "" {
		t.Errorf("the last frame has no place: %+v", last)
	}
}

// joined is the text of upstream.Count(n).
func joined(n int) string {
	text := ""
	for _, d := range upstream.Count(n) {
		text += d
	}
	return text
}

func TestAStreamThatIsCutCanBeTakenUpWithinItsGrace(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("m", upstream.Script{Deltas: upstream.Count(40), Gate: gate, GateAfter: 10})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})

	c := send(t, g, "POST", "/v1/chat/completions", chat("m", "count", true), "X-Session-Id: s")
	got := c.read(4)
	c.hangUp(true)
	waitMetric(t, g, "agentzero_active_streams", 0)
	close(gate)
	up.WaitSent(t, "m", 20)

	text := got.text
	w := watch(t, g, "s", "Last-Event-ID: "+got.lastID)
	for {
		e := w.mustNext()
		if e.name == "turn.completed" {
			break
		}
		text += deltaOf(t, e)
	}
	if text != joined(40) {
		t.Errorf("got %q, want %q", text, joined(40))
	}
}
