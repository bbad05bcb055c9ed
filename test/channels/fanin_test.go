package channels

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/postgres"
	"agentzero/test/upstream"
)

const (
	senders       = 200
	conversations = 50

	fanInConfig = `
[sessions]
context_messages = 4
[channels.hooks]
kind = "standard-webhooks"
secret = "` + standardSecret + `"
concurrency = 16
queue_limit = 1000
backoff = "20ms"
max_tries = 50
`
)

// TestFanInOverCrashes lets many senders deliver to many conversations while the
// gateway is killed again and again: each delivery is answered once in the
// record, in the order of acceptance, and none is lost.
func TestFanInOverCrashes(t *testing.T) {
	for _, store := range []struct {
		name              string
		env               func() []string
		deliveries, kills int
	}{
		{"sqlite", func() []string { return nil }, number(t, DeliveriesEnv, 2000), number(t, KillsEnv, 3)},
		{"postgres", func() []string {
			return []string{"AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL=" + postgres.Database(t)}
		}, number(t, DeliveriesEnv, 4000) / 5, max(1, number(t, KillsEnv, 8)/4)},
	} {
		t.Run(store.name, func(t *testing.T) {
			w := &fanIn{t: t, env: store.env(), data: filepath.Join(t.TempDir(), "data"), total: store.deliveries}
			w.run(store.kills)
		})
	}
}

// fanIn is the senders and what they know.
type fanIn struct {
	t     *testing.T
	env   []string
	data  string
	total int
	up    *upstream.Server
	token string

	url      atomic.Pointer[string] // of the gateway that lives, or nil
	accepted atomic.Int64
	retries  atomic.Int64
	repeats  atomic.Int64 // retries of what had been accepted already
}

func (w *fanIn) run(kills int) {
	t := w.t
	w.up = upstream.New(t)
	w.up.Set("echo", upstream.Script{Echo: true})
	began := time.Now()
	g := w.start()
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}, Timeout: patience}
	for s := range senders {
		all.Go(func() { w.send(client, s) })
	}
	for k := range kills {
		at := int64(w.total * (k + 1) / (kills + 1))
		w.reach(at)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // the moment is the test's subject
		w.url.Store(nil)
		g.Kill(t)
		client.CloseIdleConnections()
		g = w.start()
	}
	all.Wait()
	client.CloseIdleConnections()
	acceptedIn := time.Since(began)
	w.drain(g)
	w.check(g)
	t.Logf("%d deliveries of %d senders to %d conversations over %d kills: accepted in %v, answered and checked in %v; %d retries, %d of them of what had been accepted",
		w.total, senders, conversations, kills, acceptedIn.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), w.retries.Load(), w.repeats.Load())
	g.Stop(t)
}

func (w *fanIn) start() *gateway.Gateway {
	g := gateway.Start(w.t, gateway.Options{Upstream: w.up.URL(), Model: "echo", Config: fanInConfig, DataDir: w.data, Env: append(w.env, "AGENTZERO_LOG__LEVEL=warn")})
	if w.token == "" {
		w.token = g.Token(w.t)
	}
	g.UseToken(w.token)
	w.url.Store(&g.URL)
	return g
}

// reach waits until so many deliveries were accepted.
func (w *fanIn) reach(n int64) {
	for deadline := time.Now().Add(10 * patience); w.accepted.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%d deliveries accepted, wanted %d", w.accepted.Load(), n)
		}
	}
}

func deliveryID(sender, n int) string { return fmt.Sprintf("msg_%03d_%05d", sender, n) }

// send delivers a sender's share, each until it is accepted.
func (w *fanIn) send(client *http.Client, sender int) {
	share := w.total / senders
	for n := range share {
		id := deliveryID(sender, n)
		body := fmt.Sprintf(`{"message":%q,"session_id":"c%02d"}`, id, sender%conversations)
		for {
			ok, repeated := w.attempt(client, id, body)
			if ok {
				if repeated {
					w.repeats.Add(1)
				}
				break
			}
			w.retries.Add(1)
			time.Sleep(time.Duration(5+rand.IntN(45)) * time.Millisecond) // as a sender does
		}
		w.accepted.Add(1)
	}
}

func (w *fanIn) attempt(client *http.Client, id, body string) (ok, repeated bool) {
	url := w.url.Load()
	if url == nil {
		return false, false
	}
	req, err := http.NewRequest(http.MethodPost, *url+"/v1/webhook/hooks", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header = header(standardHeaders(id, now(), body)...)
	resp, err := client.Do(req)
	if err != nil {
		return false, false
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return false, false
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return true, strings.Contains(string(answer), "duplicate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false, false
	}
	w.t.Errorf("%s: %s %s", id, resp.Status, answer)
	return true, false
}

// drain waits until all that was accepted is answered.
func (w *fanIn) drain(g *gateway.Gateway) {
	w.t.Helper()
	last, since := -1, time.Now()
	for {
		var list struct {
			Data []struct{ Deliveries map[string]int }
		}
		get(w.t, g, "/v1/channels", &list)
		counts := list.Data[0].Deliveries
		if counts["answered"] >= w.total/senders*senders {
			return
		}
		if counts["answered"] != last {
			last, since = counts["answered"], time.Now()
		}
		if time.Since(since) > 2*patience {
			w.t.Fatalf("no delivery was answered for %v: %v", 2*patience, counts)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// check compares the record with what was accepted.
func (w *fanIn) check(g *gateway.Gateway) {
	t := w.t
	// In the order of acceptance, the newest first.
	accepted := map[string][]string{} // by session
	seen := map[string]bool{}
	after := ""
	for {
		var page struct {
			Data []struct {
				ID, State string
				Session   string `json:"session_id"`
			}
			Last string `json:"last_id"`
			More bool   `json:"has_more"`
		}
		get(t, g, "/v1/webhook/hooks/deliveries?limit=100&after="+after, &page)
		for _, d := range page.Data {
			if d.State != "answered" || seen[d.ID] {
				t.Errorf("%s is %s, seen before: %v", d.ID, d.State, seen[d.ID])
			}
			seen[d.ID] = true
			accepted[d.Session] = append(accepted[d.Session], d.ID)
		}
		if after = page.Last; !page.More {
			break
		}
	}
	for s := range senders {
		for n := range w.total / senders {
			if id := deliveryID(s, n); !seen[id] {
				t.Errorf("%s was acknowledged and is lost", id)
			}
		}
	}
	if len(accepted) != conversations {
		t.Errorf("%d conversations, want %d", len(accepted), conversations)
	}
	answers := 0
	for session, ids := range accepted {
		var list struct {
			Data []struct {
				Role, Content string
				Interrupted   bool
			}
		}
		get(t, g, "/v1/sessions/"+session+"/messages", &list)
		var answered []string
		for _, m := range list.Data {
			if m.Role == "assistant" && !m.Interrupted {
				answered = append(answered, m.Content)
			}
		}
		answers += len(answered)
		if len(answered) != len(ids) {
			t.Errorf("%s: %d answers to %d deliveries", session, len(answered), len(ids))
			continue
		}
		last := map[string]string{}
		for i, text := range answered {
			if want := ids[len(ids)-1-i]; text != want {
				t.Errorf("%s: answer %d is to %s, accepted as %s", session, i, text, want)
				break
			}
			if sender := text[:7]; text <= last[sender] {
				t.Errorf("%s: %s after %s", session, text, last[sender])
			} else {
				last[sender] = text
			}
		}
	}
	if want := w.total / senders * senders; answers != want {
		t.Errorf("%d answers in the record, want %d", answers, want)
	}
}
