package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// deltaOf is the text of a session's event, "" where it is no delta.
func deltaOf(t testing.TB, e event) string {
	t.Helper()
	var d struct{ Delta string }
	if err := json.Unmarshal([]byte(e.data), &d); err != nil {
		t.Errorf("event %s is no JSON: %q", e.name, e.data)
	}
	return d.Delta
}

func TestAConnectionCutAgainAndAgainLosesAndRepeatsNothing(t *testing.T) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Deltas: upstream.Count(300), Interval: time.Millisecond})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	createSession(t, g, "s")

	// One watcher reads the whole of it, one is cut after every 23 events.
	steady := watch(t, g, "s")
	c := watch(t, g, "s")
	g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"count"}`)
	var text string
	var last event
	for n := 1; last.name != "turn.completed"; n++ {
		last = c.mustNext()
		text += deltaOf(t, last)
		if n%23 == 0 {
			c.hangUp(n%2 == 0)
			c = watch(t, g, "s", "Last-Event-ID: "+last.id)
		}
	}
	if text != joined(300) {
		t.Errorf("got %q", text)
	}

	var whole string
	ids := map[string]bool{}
	for {
		e := steady.mustNext()
		if ids[e.id] {
			t.Errorf("the id %s came twice", e.id)
		}
		ids[e.id] = true
		whole += deltaOf(t, e)
		if e.name == "turn.completed" {
			if e.id != last.id {
				t.Errorf("the watchers end at %s and %s", e.id, last.id)
			}
			break
		}
	}
	if whole != text {
		t.Errorf("the other watcher got %q", whole)
	}
}

func TestAnAcceptedTurnThatIsSilentCanBeResumed(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("m", upstream.Script{Deltas: upstream.Count(3), Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	createSession(t, g, "s")
	w := watch(t, g, "s")
	g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"count"}`)
	started := w.waitEvent("turn.started")
	w.hangUp(false)

	w = watch(t, g, "s", "Last-Event-ID: "+started.id)
	close(gate)
	text := ""
	for e := w.mustNext(); e.name != "turn.completed"; e = w.mustNext() {
		text += deltaOf(t, e)
	}
	if text != "1 2 3 " {
		t.Errorf("got %q", text)
	}
}

func TestAPositionOfAnotherEpochIsAGap(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	createSession(t, g, "s")
	w := watch(t, g, "s", "Last-Event-ID: anotherepoch-7")
	if e := w.mustNext(); e.name != "gap" || !json.Valid([]byte(e.data)) {
		t.Errorf("got the event %+v, want a gap", e)
	}
	resp, body := g.Do(t, "GET", "/v1/sessions/s/events?after=anotherepoch-7", "")
	if f := failureOf(t, body); resp.StatusCode != http.StatusGone || f.Code != "gap" {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

func TestTwoWatchersSeeTheSame(t *testing.T) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Deltas: upstream.Count(200)})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	createSession(t, g, "s")
	watchers := []*client{watch(t, g, "s"), watch(t, g, "s")}
	g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"count"}`)
	seen := make([]string, len(watchers))
	var all sync.WaitGroup
	for i, w := range watchers {
		all.Go(func() {
			for {
				e, err := w.next()
				seen[i] += fmt.Sprintln(e.id, e.name, e.data)
				if err != nil || e.name == "turn.completed" {
					return
				}
			}
		})
	}
	all.Wait()
	if seen[0] != seen[1] {
		t.Errorf("one saw\n%s\nthe other\n%s", seen[0], seen[1])
	}
}
