package durable

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// answer is what a client heard of its message.
type answer struct {
	text, turn string
	replayed   bool
	err        error
}

// asks are the transports; each says the message "count" in the session under
// the key, which is scoped by route, and hears the answer to its end.
var asks = []struct {
	name string
	mute bool // it does not tell that an answer is a replay
	say  func(t *testing.T, g *gateway.Gateway, session, key string) answer
}{
	{"SSE", false, askStream},
	{"SSE of a session's messages", false, askEvents},
	{"JSON", false, askWhole},
	{"JSON of /api/chat", false, askSimple},
	{"WebSocket", true, askSocket},
}

func TestAKeyRunsOnceOverRetriesAndRestarts(t *testing.T) {
	up := upstream.New(t)
	data := filepath.Join(t.TempDir(), "data")
	start := func() *gateway.Gateway {
		return gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", DataDir: data})
	}
	g := start()
	token := g.Token(t)
	first := make([]answer, len(asks))
	for i, ask := range asks {
		session := fmt.Sprint("s", i)
		gate := make(chan struct{})
		up.Set("m", upstream.Script{Deltas: upstream.Count(6), Gate: gate, GateAfter: 3})
		before := len(up.Requests("m"))
		var clients sync.WaitGroup
		clients.Go(func() { first[i] = ask.say(t, g, session, session) })
		up.Wait(t, "m", "the call", func(l []upstream.Request) bool { return len(l) == before+1 })
		var second answer
		clients.Go(func() { second = ask.say(t, g, session, session) })
		eventually(t, "both wait", func() bool {
			var s struct{ Watchers int }
			get(t, g, "/v1/sessions/"+session, &s)
			return s.Watchers >= 2
		})
		close(gate)
		clients.Wait()
		if a := first[i]; a.err != nil || a.text != count(6) || a.replayed {
			t.Errorf("%s: the first heard %+v", ask.name, a)
		}
		if a := second; a.err != nil || a.text != count(6) || a.turn != first[i].turn || a.replayed == ask.mute {
			t.Errorf("%s: the second heard %+v, the first %+v", ask.name, a, first[i])
		}
		if n := len(up.Requests("m")) - before; n != 1 {
			t.Errorf("%s: the model was asked %d times", ask.name, n)
		}
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		g.Signal(t, signal)
		g.ExitCode(t)
		g = start()
		g.UseToken(token)
		before := len(up.Requests("m"))
		for i, ask := range asks {
			a := ask.say(t, g, fmt.Sprint("s", i), fmt.Sprint("s", i))
			if a.err != nil || a.text != count(6) || a.turn != first[i].turn || a.replayed == ask.mute {
				t.Errorf("%s after %v: heard %+v, before %+v", ask.name, signal, a, first[i])
			}
			if list := messages(t, g, fmt.Sprint("s", i)); len(list) != 2 {
				t.Errorf("%s after %v: the session has %v", ask.name, signal, list)
			}
		}
		if n := len(up.Requests("m")); n != before {
			t.Errorf("after %v the model was asked %d times", signal, n-before)
		}
	}
	resp, body := g.Do(t, "POST", "/v1/sessions/s1/messages", `{"content":"another"}`, "Idempotency-Key: s1")
	if resp.StatusCode != http.StatusConflict || codeOf(t, body) != "idempotency_key_conflict" {
		t.Errorf("another body: %s: %s", resp.Status, body)
	}
}

// TestAKeyOfAMessageThatWaitedIsOfTheTurnAfterACrash: the client's retry finds
// the turn that its first try has begun.
func TestAKeyOfAMessageThatWaitedIsOfTheTurnAfterACrash(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			up := upstream.New(t)
			gate := make(chan struct{})
			up.Set("m", upstream.Script{Echo: true, Gate: gate})
			o := gateway.Options{Upstream: up.URL(), Model: "m", DataDir: filepath.Join(t.TempDir(), "data"), Env: store.env(t)}
			g := gateway.Start(t, o)
			token := g.Token(t)
			var turns []string
			for i := range 3 {
				resp, body := g.Do(t, "POST", "/v1/sessions/s/messages", text("m", fmt.Sprint("message ", i)), fmt.Sprint("Idempotency-Key: ", i))
				if resp.StatusCode != http.StatusAccepted {
					t.Fatalf("%s: %s", resp.Status, body)
				}
				turns = append(turns, resp.Header.Get("X-Turn-Id"))
			}
			up.Wait(t, "m", "the first call", func(l []upstream.Request) bool { return len(l) == 1 })
			g.Kill(t)
			close(gate)
			g = gateway.Start(t, o)
			g.UseToken(token)
			// Nobody asks for the session, and yet what waited runs.
			up.Wait(t, "m", "the calls of what waited", func(l []upstream.Request) bool { return l[len(l)-1].Text == "message 2" })
			for i := 1; i < 3; i++ {
				resp, body := g.Do(t, "POST", "/v1/sessions/s/messages", text("m", fmt.Sprint("message ", i)), fmt.Sprint("Idempotency-Key: ", i))
				if turn := resp.Header.Get("X-Turn-Id"); turn != turns[i] || resp.Header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("message %d is of turn %s, its retry %s of %s: %s", i, turns[i], resp.Status, turn, body)
				}
			}
			atRest(t, g)
			asked := map[string]int{}
			for _, c := range up.Requests("m") {
				asked[c.Text]++
			}
			if asked["message 1"] != 1 || asked["message 2"] != 1 {
				t.Errorf("the model was asked %v", asked)
			}
			said := ""
			for _, m := range messages(t, g, "s") {
				said += m.Role + " " + m.Content + "\n"
			}
			if want := "user message 1\nassistant message 1\nuser message 2\nassistant message 2\n"; !strings.HasSuffix(said, want) {
				t.Errorf("the conversation is %q", said)
			}
		})
	}
}

func (a *answer) take(resp *http.Response) {
	a.turn, a.replayed = resp.Header.Get("X-Turn-Id"), resp.Header.Get("Idempotency-Replayed") == "true"
	if resp.StatusCode != http.StatusOK {
		a.err = fmt.Errorf("%s", resp.Status)
	}
}

func askStream(t *testing.T, g *gateway.Gateway, session, key string) (a answer) {
	resp, body := g.Do(t, "POST", "/v1/chat/completions", chat("m", "count", true), "X-Session-Id: "+session, "Idempotency-Key: "+key)
	a.take(resp)
	done := false
	a.err = eachData(a.err, body, func(data string) error {
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
			Error   any
		}
		if data == "[DONE]" {
			done = true
			return nil
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || chunk.Error != nil {
			return fmt.Errorf("the chunk %s", data)
		}
		for _, c := range chunk.Choices {
			a.text += c.Delta.Content
		}
		return nil
	})
	if a.err == nil && !done {
		a.err = fmt.Errorf("no [DONE] in %q", body)
	}
	return a
}

func askEvents(t *testing.T, g *gateway.Gateway, session, key string) (a answer) {
	resp, body := g.Do(t, "POST", "/v1/sessions/"+session+"/messages", `{"content":"count","stream":true}`, "Idempotency-Key: "+key)
	a.take(resp)
	if a.err == nil && !strings.Contains(body, "event: turn.completed\n") {
		a.err = fmt.Errorf("no turn.completed in %q", body)
	}
	a.err = eachData(a.err, body, func(data string) error {
		var e struct{ Delta string }
		err := json.Unmarshal([]byte(data), &e)
		a.text += e.Delta
		return err
	})
	return a
}

func eachData(err error, body string, take func(string) error) error {
	lines := bufio.NewScanner(strings.NewReader(body))
	for err == nil && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			err = take(data)
		}
	}
	return err
}

func askWhole(t *testing.T, g *gateway.Gateway, session, key string) (a answer) {
	resp, body := g.Do(t, "POST", "/v1/chat/completions", chat("m", "count", false), "X-Session-Id: "+session, "Idempotency-Key: "+key)
	a.take(resp)
	var whole struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(body), &whole); err != nil || len(whole.Choices) != 1 {
		a.err = fmt.Errorf("%s: %s", resp.Status, body)
		return a
	}
	a.text = whole.Choices[0].Message.Content
	return a
}

func askSimple(t *testing.T, g *gateway.Gateway, session, key string) (a answer) {
	resp, body := g.Do(t, "POST", "/api/chat", fmt.Sprintf(`{"message":"count","session_id":%q}`, session), "Idempotency-Key: "+key)
	a.take(resp)
	var whole struct{ Message string }
	if err := json.Unmarshal([]byte(body), &whole); err != nil {
		a.err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	a.text = whole.Message
	return a
}

func askSocket(t *testing.T, g *gateway.Gateway, session, key string) (a answer) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(g.URL, "http")+"/ws/chat?session="+session, http.Header{"Authorization": {"Bearer " + g.Token(t)}})
	if err != nil {
		return answer{err: err}
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	if a.err = c.WriteJSON(map[string]string{"type": "message", "content": "count", "idempotency_key": key}); a.err != nil {
		return a
	}
	for {
		var f frame
		if a.err = c.ReadJSON(&f); a.err != nil {
			return a
		}
		switch f.Type {
		case "delta":
			a.text += f.Delta
			a.turn = f.Turn
		case "done":
			return a
		default:
			a.err = fmt.Errorf("the frame %+v", f)
			return a
		}
	}
}
