package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// doors are the ways to put a message to a session. Each returns when the
// message is answered, or for the one that only accepts, accepted.
var doors = map[string]func(t testing.TB, g *gateway.Gateway, session, text string){
	"/v1/chat/completions": func(t testing.TB, g *gateway.Gateway, session, text string) {
		c := send(t, g, "POST", "/v1/chat/completions", chat("", text, true), "X-Session-Id: "+session)
		if s := c.read(0); !s.done {
			t.Errorf("%s: the stream ended with %+v", text, s)
		}
	},
	"/v1/chat/completions at once": func(t testing.TB, g *gateway.Gateway, session, text string) {
		resp, body := send(t, g, "POST", "/v1/chat/completions", chat("", text, false), "X-Session-Id: "+session).whole()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", text, resp.Status, body)
		}
	},
	"/api/chat": func(t testing.TB, g *gateway.Gateway, session, text string) {
		resp, body := send(t, g, "POST", "/api/chat", fmt.Sprintf(`{"message":%q,"session_id":%q}`, text, session)).whole()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", text, resp.Status, body)
		}
	},
	"/webhook": func(t testing.TB, g *gateway.Gateway, session, text string) {
		resp, body := send(t, g, "POST", "/webhook", fmt.Sprintf(`{"message":%q,"session_id":%q}`, text, session)).whole()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", text, resp.Status, body)
		}
	},
	"/v1/sessions": func(t testing.TB, g *gateway.Gateway, session, text string) {
		resp, body := send(t, g, "POST", "/v1/sessions/"+session+"/messages", fmt.Sprintf(`{"content":%q}`, text)).whole()
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s: %s", text, resp.Status, body)
		}
	},
	"/ws/chat": func(t testing.TB, g *gateway.Gateway, session, text string) {
		s := connect(t, g, "session="+session)
		s.say(text)
		for { // it hears of the other doors' turns too, and of its own
			answer, last := s.hearTurn()
			if last.Type != "done" {
				t.Errorf("%s: the turn ended with %+v", text, last)
				return
			}
			if answer == text {
				return
			}
		}
	},
}

func TestEveryDoorLeadsToOneMailbox(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("echo", upstream.Script{Echo: true, EchoPiece: 8, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	createSession(t, g, "a.b")
	w := watch(t, g, "a.b")

	var clients sync.WaitGroup
	for name, door := range doors {
		clients.Go(func() { door(t, g, "a.b", "by "+name) })
	}
	for range len(doors) - 1 { // one runs, the others have been accepted behind it
		w.waitEvent("turn.queued")
	}
	close(gate)
	clients.Wait()
	calls := up.Wait(t, "echo", "all calls answered", func(l []upstream.Request) bool {
		return len(l) == len(doors) && !l[len(l)-1].Ended.IsZero()
	})

	if n := up.Overlap(func(upstream.Request) string { return "" })[""]; n != 1 {
		t.Errorf("the upstream saw %d calls of one session at once", n)
	}
	var before []upstream.Message
	for i, call := range calls {
		before = append(before, upstream.Message{Role: "user", Content: call.Text})
		if got := call.Messages(); !slices.Equal(got, before) {
			t.Errorf("call %d was given %+v, want %+v", i, got, before)
		}
		before = append(before, upstream.Message{Role: "assistant", Content: call.Text})
	}
}

func TestSessionsOfDifferentNamesOrOwnersAreStrangers(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("echo", upstream.Script{Echo: true, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	stranger := tokenOf(t, g, "laptop", "stranger", "chat")

	ask := func(token, session, text string) {
		resp, body := sendAs(t, g, token, "POST", "/v1/chat/completions", chat("", text, false), "X-Session-Id: "+session).whole()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", text, resp.Status, body)
		}
	}
	places := []struct{ token, session string }{
		{g.Token(t), "a.b"}, {g.Token(t), "a_b"}, {g.Token(t), "a-b"}, {g.Token(t), "A.b"}, {stranger, "a.b"},
	}
	for round, calls := range []int{len(places), 2 * len(places)} {
		var clients sync.WaitGroup
		for i, p := range places {
			clients.Go(func() { ask(p.token, p.session, fmt.Sprintf("place %d round %d", i, round)) })
		}
		if round == 0 { // none waits for another
			up.Wait(t, "echo", "a call of every session at once", func(l []upstream.Request) bool { return len(l) == calls })
			close(gate)
		}
		clients.Wait()
	}
	for _, call := range up.Requests("echo") {
		var place, round int
		if _, err := fmt.Sscanf(call.Text, "place %d round %d", &place, &round); err != nil {
			t.Fatal(err)
		}
		var want []upstream.Message
		if first := fmt.Sprintf("place %d round 0", place); round > 0 {
			want = append(want, upstream.Message{Role: "user", Content: first}, upstream.Message{Role: "assistant", Content: first})
		}
		if got := call.Messages(); !slices.Equal(got, append(want, upstream.Message{Role: "user", Content: call.Text})) {
			t.Errorf("%s was given %+v", call.Text, got)
		}
	}

	// Nor does the stranger see what is there.
	createSession(t, g, "mine")
	for _, path := range []string{"/v1/sessions/mine", "/v1/sessions/mine/messages", "/v1/sessions/mine/events", "/v1/sessions/mine?owner=default"} {
		resp, body := sendAs(t, g, stranger, "GET", path, "").whole()
		if f := failureOf(t, body); resp.StatusCode != http.StatusNotFound || f.Code != "not_found" {
			t.Errorf("GET %s of another owner: %s: %s", path, resp.Status, body)
		}
	}
	_, body := sendAs(t, g, stranger, "GET", "/v1/sessions", "").whole()
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Data) != 1 || list.Data[0].ID != "a.b" {
		t.Errorf("the stranger's sessions: %s", body)
	}
}
