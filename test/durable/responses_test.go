package durable

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// response is what these tests look at in a response.
type response struct {
	ID      string
	Status  string
	Details *struct{ Reason, Message string } `json:"incomplete_details"`
	Output  []struct {
		Status  string
		Content []struct{ Text string }
	}
}

func (r *response) text() string {
	if len(r.Output) == 0 {
		return ""
	}
	return r.Output[0].Content[0].Text
}

func (r *response) isOver() bool { return r.Status != "queued" && r.Status != "in_progress" }

// responseEvent is one event of a response's stream.
type responseEvent struct {
	Type     string
	Number   int `json:"sequence_number"`
	Delta    string
	Response *response
}

// TestABackgroundResponseOutlivesTheGateway ends the gateway, kindly and not, while
// one response is being said and another waits behind it: the first is over with
// what there is of it, the second runs, and streams go on where they were.
func TestABackgroundResponseOutlivesTheGateway(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for _, store := range stores {
			t.Run(fmt.Sprintf("%v on %s", end, store.name), func(t *testing.T) {
				t.Parallel()
				outlive(t, end, store.env(t))
			})
		}
	}
}

func outlive(t *testing.T, end syscall.Signal, env []string) {
	up := upstream.New(t)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	const said = 40
	up.Set("held", upstream.Script{Deltas: upstream.Count(said + 1), Gate: never, GateAfter: said})
	up.Set("m", upstream.Script{Echo: true})
	options := gateway.Options{
		Upstream: up.URL(), Model: "m", DataDir: filepath.Join(t.TempDir(), "data"), Env: env,
		Config: "[gateway]\ndrain_timeout = \"100ms\"\n",
	}
	g := gateway.Start(t, options)
	token := g.Token(t)
	create := func(g *gateway.Gateway, body string) (r response) {
		t.Helper()
		resp, answer := g.Do(t, "POST", "/v1/responses", body)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %s", body, resp.Status, answer)
		}
		if err := json.Unmarshal([]byte(answer), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var conversation struct{ ID string }
	if resp, body := g.Do(t, "POST", "/v1/conversations", ""); resp.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &conversation) != nil {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	first := create(g, `{"model":"held","input":"one","background":true,"conversation":"`+conversation.ID+`"}`)
	second := create(g, `{"model":"m","input":"two","background":true,"conversation":"`+conversation.ID+`"}`)
	full := strings.Join(upstream.Count(said), "")
	eventually(t, "the first response to speak", func() bool {
		var r response
		get(t, g, "/v1/responses/"+first.ID, &r)
		return r.text() == full
	})
	seen := readUntil(t, g, token, first.ID, -1, func(e responseEvent) bool { return e.Delta == fmt.Sprint(said, " ") })

	if end == syscall.SIGKILL {
		time.Sleep(1500 * time.Millisecond) // what was said a second before a crash is kept
		g.Kill(t)
	} else {
		g.Signal(t, end)
		g.WaitExit(t)
	}
	g = gateway.Start(t, options)
	g.UseToken(token)
	var r response
	eventually(t, "the first response to be over", func() bool {
		get(t, g, "/v1/responses/"+first.ID, &r)
		return r.isOver()
	})
	if r.Status != "incomplete" || r.Details == nil || r.Details.Message == "" || r.text() != full || r.Output[0].Status != "incomplete" {
		t.Fatalf("the first response is %+v", r)
	}
	rest := readUntil(t, g, token, first.ID, seen[len(seen)-1].Number, func(e responseEvent) bool { return e.Response != nil })
	for i, e := range append(seen, rest...) {
		if e.Number != i {
			t.Fatalf("event %d has the number %d: %+v", i, e.Number, e)
		}
	}
	if last := rest[len(rest)-1]; last.Type != "response.incomplete" || last.Response.text() != r.text() {
		t.Errorf("the resumed stream ends with %+v", last)
	}
	eventually(t, "the second response", func() bool {
		get(t, g, "/v1/responses/"+second.ID, &r)
		return r.Status == "completed" && r.text() == "two"
	})
	third := create(g, `{"model":"m","input":"three","previous_response_id":"`+second.ID+`"}`)
	if third.text() != "three" {
		t.Errorf("the third response is %+v", third)
	}
	calls := up.Requests("m")
	if body := string(calls[len(calls)-1].Body); !strings.Contains(body, `"one"`) || !strings.Contains(body, `"two"`) {
		t.Errorf("the model was given %s", body)
	}
}

// readUntil reads a response's stream up to an event.
func readUntil(t *testing.T, g *gateway.Gateway, token, id string, after int, last func(responseEvent) bool) (events []responseEvent) {
	t.Helper()
	url := g.URL + "/v1/responses/" + id + "?stream=true"
	if after >= 0 {
		url += fmt.Sprint("&starting_after=", after)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e responseEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		events = append(events, e)
		if (len(events) > 3 || after >= 0) && last(e) {
			return events
		}
	}
	t.Fatalf("the stream ended with %+v: %v", events, lines.Err())
	return nil
}
