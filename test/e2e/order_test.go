package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestFiftyMessagesAtOnceAreFiftyTurnsInOrder(t *testing.T) {
	const n = 50
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("echo", upstream.Script{Echo: true, EchoPiece: 4, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: "[sessions]\nqueue_limit = 100\n"})
	createSession(t, g, "s")
	w := watch(t, g, "s")

	type place struct {
		text, turn string
		position   int
	}
	places := make([]place, n)
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			text := fmt.Sprintf("message %d", i)
			var resp *http.Response
			switch i % 4 {
			case 0:
				resp, _ = send(t, g, "POST", "/v1/sessions/s/messages", fmt.Sprintf(`{"content":%q}`, text)).whole()
			case 1:
				resp, _ = send(t, g, "POST", "/api/chat", fmt.Sprintf(`{"message":%q,"session_id":"s"}`, text)).whole()
			case 2:
				resp, _ = send(t, g, "POST", "/v1/chat/completions", chat("", text, false), "X-Session-Id: s").whole()
			default:
				c := send(t, g, "POST", "/v1/chat/completions", chat("", text, true), "X-Session-Id: s")
				if s := c.read(0); !s.done || s.text != text {
					t.Errorf("%s was answered %+v", text, s)
				}
				resp = c.resp
			}
			position, err := strconv.Atoi(resp.Header.Get("X-Queue-Position"))
			if err != nil || resp.StatusCode >= 300 {
				t.Errorf("%s: %s, position %v", text, resp.Status, err)
			}
			places[i] = place{text, resp.Header.Get("X-Turn-Id"), position}
		})
	}
	for range n - 1 {
		w.waitEvent("turn.queued")
	}
	close(gate)
	var ended []string // the turns, as the session's watcher sees them
	for len(ended) < n {
		var turn struct {
			ID string `json:"turn_id"`
		}
		if e := w.mustNext(); strings.HasPrefix(e.name, "turn.c") || strings.HasPrefix(e.name, "turn.s") {
			if err := json.Unmarshal([]byte(e.data), &turn); err != nil {
				t.Fatal(err)
			}
			if e.name == "turn.completed" {
				ended = append(ended, turn.ID)
			}
		}
	}
	clients.Wait()

	slices.SortFunc(places, func(a, b place) int { return a.position - b.position })
	var turns, texts []string
	for i, p := range places {
		if p.position != i {
			t.Fatalf("the positions are not 0 to %d: %+v", n-1, places)
		}
		turns, texts = append(turns, p.turn), append(texts, p.text)
	}
	if !slices.Equal(ended, turns) {
		t.Errorf("accepted %v, answered %v", turns, ended)
	}
	var asked []string
	for _, call := range up.Requests("echo") {
		asked = append(asked, call.Text)
	}
	if !slices.Equal(asked, texts) {
		t.Errorf("accepted %v, the upstream was asked %v", texts, asked)
	}
	if n := up.Overlap(func(upstream.Request) string { return "" })[""]; n != 1 {
		t.Errorf("%d calls ran at once", n)
	}
	var said []string
	for i, m := range messages(t, g, "s") {
		if want := turns[min(i/2, n-1)]; m.Turn != want || m.Interrupted {
			t.Errorf("message %d is %+v, want one of turn %s", i, m, want)
		}
		said = append(said, m.Role+" "+m.Content)
	}
	var want []string
	for _, text := range texts {
		want = append(want, "user "+text, "assistant "+text)
	}
	if !slices.Equal(said, want) {
		t.Errorf("the conversation is %v", said)
	}
}

func TestFiveHundredSessionsDoNotWaitForEachOther(t *testing.T) {
	const n = 500
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("echo", upstream.Script{Echo: true, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			text := fmt.Sprintf("message %d", i)
			resp, body := send(t, g, "POST", "/api/chat", fmt.Sprintf(`{"message":%q,"session_id":"s%d"}`, text, i)).whole()
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %s: %s", text, resp.Status, body)
			}
		})
	}
	up.Wait(t, "echo", "all calls in flight at once", func(l []upstream.Request) bool { return len(l) == n })
	close(gate)
	clients.Wait()
	checkFates(t, g)
}

func TestAFullQueueRefusesAndSaysWhenToComeBack(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("echo", upstream.Script{Echo: true, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: "[sessions]\nqueue_limit = 3\n"})
	for i := range 4 {
		resp, body := g.Do(t, "POST", "/v1/sessions/s/messages", fmt.Sprintf(`{"content":"%d"}`, i))
		if got := resp.Header.Get("X-Queue-Position"); resp.StatusCode != http.StatusAccepted || got != strconv.Itoa(i) {
			t.Fatalf("message %d: %s at %q: %s", i, resp.Status, got, body)
		}
	}
	for name, ask := range map[string]func() (*http.Response, string){
		"/v1/sessions": func() (*http.Response, string) {
			return g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"x"}`)
		},
		"/api/chat": func() (*http.Response, string) {
			return g.Do(t, "POST", "/api/chat", `{"message":"x","session_id":"s"}`)
		},
		"a stream": func() (*http.Response, string) {
			return g.Do(t, "POST", "/v1/chat/completions", chat("", "x", true), "X-Session-Id: s")
		},
	} {
		resp, body := ask()
		wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if f := failureOf(t, body); resp.StatusCode != http.StatusTooManyRequests || f.Code != "queue_full" || err != nil || wait < 1 {
			t.Errorf("%s: %s, Retry-After %q: %s", name, resp.Status, resp.Header.Get("Retry-After"), body)
		}
	}
	s := connect(t, g, "session=s")
	s.say("x")
	if f, err := s.hear(); f.Type != "error" || f.Code != "queue_full" {
		t.Errorf("the WebSocket heard %+v, %v", f, err)
	}
	close(gate)
	up.Wait(t, "echo", "four calls", func(l []upstream.Request) bool { return len(l) == 4 })
	checkFates(t, g)
}

func TestTheBusyPolicies(t *testing.T) {
	up := upstream.New(t)
	g := gateway.Start(t, gateway.Options{Upstream: up.URL()})

	// begin starts a turn that has said two words and stands still until the
	// gate is closed.
	begin := func(t *testing.T, model string) (first *client, gate chan struct{}) {
		gate = make(chan struct{})
		up.Set(model, upstream.Script{Deltas: upstream.Count(4), Gate: gate, GateAfter: 2})
		up.Set("echo", upstream.Script{Echo: true})
		first = send(t, g, "POST", "/v1/chat/completions", chat(model, "count", true), "X-Session-Id: "+model)
		if s := first.read(2); s.text != "1 2 " {
			t.Fatalf("it began with %+v", s)
		}
		return first, gate
	}
	then := func(t *testing.T, session, policy string) *client {
		return send(t, g, "POST", "/v1/chat/completions", chat("echo", "then "+policy, true), "X-Session-Id: "+session, "X-Busy-Policy: "+policy)
	}
	answered := func(t *testing.T, c *client, want string) {
		t.Helper()
		if s := c.read(0); !s.done || s.text != want {
			t.Errorf("answered %+v, want %q", s, want)
		}
	}
	interrupted := func(t *testing.T, c *client) {
		t.Helper()
		if s := c.read(0); s.done || s.failure == nil || s.failure.Code != "turn_interrupted" {
			t.Errorf("the first turn ended with %+v", s)
		}
	}
	said := func(t *testing.T, session string, want ...string) {
		t.Helper()
		var got []string
		for _, m := range messages(t, g, session) {
			text := m.Role + ": " + m.Content
			if m.Interrupted {
				text += " (interrupted)"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the conversation is %q, want %q", got, want)
		}
	}

	t.Run("reject refuses", func(t *testing.T) {
		first, gate := begin(t, "reject")
		resp, body := then(t, "reject", "reject").whole()
		if f := failureOf(t, body); resp.StatusCode != http.StatusConflict || f.Code != "session_busy" || f.Type != "conflict_error" {
			t.Errorf("%s: %s", resp.Status, body)
		}
		close(gate)
		answered(t, first, "3 4 ")
		said(t, "reject", "user: count", "assistant: 1 2 3 4 ")
	})
	t.Run("interrupt keeps the partial answer", func(t *testing.T) {
		first, _ := begin(t, "interrupt")
		answered(t, then(t, "interrupt", "interrupt"), "then interrupt")
		interrupted(t, first)
		said(t, "interrupt", "user: count", "assistant: 1 2  (interrupted)", "user: then interrupt", "assistant: then interrupt")
	})
	t.Run("rollback forgets the cancelled turn", func(t *testing.T) {
		first, _ := begin(t, "rollback")
		answered(t, then(t, "rollback", "rollback"), "then rollback")
		interrupted(t, first)
		said(t, "rollback", "user: then rollback", "assistant: then rollback")
	})
	t.Run("collect merges what waits", func(t *testing.T) {
		createSession(t, g, "collect")
		w := watch(t, g, "collect")
		first, gate := begin(t, "collect")
		var others []*client
		for i := range 3 {
			others = append(others, then(t, "collect", "collect"))
			if i == 0 {
				w.waitEvent("turn.queued")
			} else {
				w.waitEvent("turn.merged")
			}
		}
		close(gate)
		answered(t, first, "3 4 ")
		for _, c := range others {
			answered(t, c, "then collect")
		}
		said(t, "collect", "user: count", "assistant: 1 2 3 4 ",
			"user: then collect", "user: then collect", "user: then collect", "assistant: then collect")
	})
	s := checkFates(t, g)
	for fate, want := range map[string]float64{"merged": 2, "rolled_back": 1, "cancelled": 1, "answered": 5} {
		if got := s[fmt.Sprintf("agentzero_turns_total{fate=%q}", fate)]; got != want {
			t.Errorf("%v turns were %s, want %v", got, fate, want)
		}
	}
}
