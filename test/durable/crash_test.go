package durable

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

const (
	crashSessions = 20
	defaultKills  = 12
	// crashConfig keeps the rests short: few messages wait when the gateway dies.
	crashConfig = "[sessions]\nqueue_limit = 6\ncontext_messages = 4\ndisconnect_grace = \"10m\"\n"
)

// TestNothingAcceptedIsLostOrRepeatedOverCrashes kills the gateway again and
// again while many clients talk to it over all doors.
func TestNothingAcceptedIsLostOrRepeatedOverCrashes(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, store.env(t))
			kills := number(t, KillsEnv, defaultKills)
			began := time.Now()
			for w.life = 1; w.life <= kills; w.life++ {
				if !t.Run(fmt.Sprint("life ", w.life), w.live) {
					break
				}
			}
			w.stop()
			if !t.Failed() {
				t.Run("last life", w.liveOut)
			}
			t.Logf("%s: %d kills in %v, %d of them while the work went on; %d messages accepted and checked (%d calls of the model, "+
				"%d made again for a kill, %d retries of a key, %d answers cut); seed %d", store.name, w.life-1,
				time.Since(began).Round(time.Second), w.early, w.accepted(), w.calls, w.again, w.retries, w.cut(), w.seed)
		})
	}
}

// world is the clients and what they know, over all lives of the gateway.
type world struct {
	seed  uint64
	rand  *rand.Rand // of the test's goroutine
	env   []string
	data  string
	token string
	http  *http.Client

	life, early, calls, again int
	killedAt                  map[int]time.Time
	lastCall                  map[string]int  // the life of each text's
	settled                   map[string]bool // texts for which the model must not be called any more
	talks                     []*talk
	clients                   sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	url     string // of the gateway that takes messages now, or ""
	alive   int    // its life
	over    bool
	broken  []breakage
	retries int
	told    map[string]int // the life in which a client was told that a text's answer is whole
}

// breakage is a failure that a client met.
type breakage struct {
	life int
	at   time.Time
	err  error
}

// talk is one session and its client, which says one message after another and
// goes on to the next when it has seen that one was accepted.
type talk struct {
	world *world
	name  string
	rand  *rand.Rand

	mu       sync.Mutex
	n        int        // of the message it is about to say
	accepted []accepted // what was accepted, in order

	kept []message // at the last check
}

type accepted struct{ text, turn string }

func newWorld(t *testing.T, env []string) *world {
	r, seed := chance(t)
	w := &world{
		seed: seed, rand: r, env: env, data: filepath.Join(t.TempDir(), "data"),
		http:     &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crashSessions}},
		killedAt: map[int]time.Time{}, lastCall: map[string]int{}, told: map[string]int{}, settled: map[string]bool{},
	}
	w.changed = sync.NewCond(&w.mu)
	for i := range crashSessions {
		talk := &talk{world: w, name: fmt.Sprintf("s%02d", i), rand: rand.New(rand.NewPCG(seed, uint64(i)+1))}
		w.talks = append(w.talks, talk)
		w.clients.Go(func() { talk.run(t) })
	}
	t.Cleanup(w.stop)
	return w
}

// live is one life of the gateway: it starts, what the life before has left is
// looked at, the clients talk, it is killed.
func (w *world) live(t *testing.T) {
	up, g := w.start(t)
	checked := 0
	if w.rand.IntN(4) > 0 {
		w.check(t, g)
		checked = len(up.Requests(""))
	} else { // it dies while it takes up its work
		w.early++
	}
	w.open(g.URL)
	time.Sleep(time.Duration(w.rand.IntN(700)) * time.Millisecond) // the moment is the test's subject
	w.killedAt[w.life] = time.Now()
	g.Kill(t)
	w.open("")
	w.http.CloseIdleConnections()
	up.Down()
	w.checkBroken(t)
	w.checkCalls(t, up.Requests(""), checked)
}

// liveOut is the life that nobody ends: it is looked at and told to stop.
func (w *world) liveOut(t *testing.T) {
	up, g := w.start(t)
	w.check(t, g)
	w.killedAt[w.life] = time.Now()
	w.checkCalls(t, up.Requests(""), len(up.Requests("")))
	g.Stop(t)
}

func (w *world) start(t *testing.T) (*upstream.Server, *gateway.Gateway) {
	up := upstream.New(t)
	up.Set("quick", upstream.Script{Echo: true, EchoPiece: 12, Interval: 2 * time.Millisecond})
	up.Set("slow", upstream.Script{Echo: true, EchoPiece: 12, Interval: 100 * time.Millisecond})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "quick", Config: crashConfig, Env: w.env, DataDir: w.data})
	if w.token == "" {
		w.token = g.Token(t)
	}
	g.UseToken(w.token)
	return up, g
}

// open lets the clients talk to a gateway, or with "" to none.
func (w *world) open(url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.url, w.alive = url, w.life
	w.changed.Broadcast()
}

// stop ends the clients.
func (w *world) stop() {
	w.mu.Lock()
	w.over = true
	w.changed.Broadcast()
	w.mu.Unlock()
	w.clients.Wait()
	w.http.CloseIdleConnections()
}

// enter waits for a gateway other than the one of the life given.
func (w *world) enter(broken int) (url string, life int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.over && (w.url == "" || w.alive == broken) {
		w.changed.Wait()
	}
	return w.url, w.alive, !w.over
}

func (w *world) breaks(life int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, breakage{life, time.Now(), err})
}

// checkBroken: no client met a failure before the gateway was killed.
func (w *world) checkBroken(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.broken {
		if killed, ok := w.killedAt[b.life]; ok && b.at.Before(killed) {
			t.Errorf("a client met a failure %v before the kill: %v", killed.Sub(b.at), b.err)
		}
	}
	w.broken = nil
}

// check looks at all sessions of a gateway that nobody talks to.
func (w *world) check(t *testing.T, g *gateway.Gateway) {
	for _, k := range w.talks {
		if resp, body := g.Do(t, "GET", "/v1/sessions/"+k.name, ""); resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
			t.Fatalf("session %s: %s: %s", k.name, resp.Status, body)
		}
	}
	atRest(t, g)
	for _, k := range w.talks {
		k.check(t, g)
	}
}

// checkCalls looks at what the model was asked in a life. The calls from the one
// numbered checked on were made after the check.
func (w *world) checkCalls(t *testing.T, calls []upstream.Request, checked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	killed := w.killedAt[w.life]
	newest := map[string]upstream.Request{} // by session
	for i, c := range calls {
		w.calls++
		session, _, _ := strings.Cut(c.Text, " ")
		if before, ok := newest[session]; ok {
			end := before.Ended
			if !before.Said.IsZero() {
				end = before.Said
			}
			if end.IsZero() || c.Began.Before(end) {
				t.Errorf("%q was asked at %v while %q was being answered, to %v", c.Text, c.Began, before.Text, end)
			}
		}
		newest[session] = c
		if c.Said.IsZero() && !c.Ended.IsZero() && c.Ended.Before(killed) {
			t.Errorf("the call of %q was given up %v before the kill", c.Text, killed.Sub(c.Ended))
		}
		if i >= checked && w.settled[c.Text] {
			t.Errorf("the model was asked %q, which had its fate in an earlier life", c.Text)
		}
		if told, ok := w.told[c.Text]; ok && told < w.life {
			t.Errorf("the model was asked %q again, though its client had been told of the end", c.Text)
		}
		switch last, ok := w.lastCall[c.Text]; {
		case !ok:
		case last == w.life:
			t.Errorf("the model was asked %q twice in one life", c.Text)
		default:
			w.again++
		}
		w.lastCall[c.Text] = w.life
	}
}

func (w *world) accepted() (n int) {
	for _, k := range w.talks {
		n += len(k.accepted)
	}
	return n
}

func (w *world) cut() (n int) {
	for _, k := range w.talks {
		for i, m := range k.kept {
			if isCut(k.kept, i) && m.Role == "user" {
				n++
			}
		}
	}
	return n
}

// isCut reports whether the turn that begins at i was not answered whole.
func isCut(list []message, i int) bool {
	return i+1 == len(list) || list[i+1].Role != "assistant" || list[i+1].Interrupted
}

// check holds what the gateway has of a session against what its client knows.
func (k *talk) check(t *testing.T, g *gateway.Gateway) {
	k.mu.Lock()
	defer k.mu.Unlock()
	resp, body := g.Do(t, "GET", "/v1/sessions/"+k.name+"/messages", "")
	var list struct{ Data []message }
	if resp.StatusCode == http.StatusNotFound && len(k.accepted) == 0 {
		return
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("messages of %s: %s: %.200s", k.name, resp.Status, body)
	}
	got := list.Data
	if len(got) < len(k.kept) || !slices.Equal(got[:len(k.kept)], k.kept) {
		t.Errorf("%s has changed what it had: %v, now %v", k.name, k.kept, got)
	}
	k.kept = got

	want := k.accepted // what must still come
	seen := map[string]bool{}
	lastText, lastCut := "", true
	for i := 0; i < len(got); i++ {
		m := got[i]
		if m.Role != "user" || seen[m.Turn] {
			t.Fatalf("%s: message %d is out of place: %+v", k.name, i, m)
		}
		seen[m.Turn] = true
		cut := isCut(got, i)
		if m.Content < lastText || m.Content == lastText && !lastCut {
			t.Errorf("%s: %q stands behind %q (cut: %v)", k.name, m.Content, lastText, lastCut)
		}
		lastText, lastCut = m.Content, cut
		if len(want) > 0 && want[0].turn == m.Turn {
			if want[0].text != m.Content {
				t.Errorf("%s: turn %s says %q, accepted was %q", k.name, m.Turn, m.Content, want[0].text)
			}
			want = want[1:]
		}
		if !cut {
			k.world.settled[m.Content] = true
		}
		if i+1 < len(got) && got[i+1].Role == "assistant" {
			i++
			a := got[i]
			switch {
			case a.Turn != m.Turn:
				t.Errorf("%s: the answer to turn %s is of turn %s", k.name, m.Turn, a.Turn)
			case !a.Interrupted && a.Content != m.Content, !strings.HasPrefix(m.Content, a.Content):
				t.Errorf("%s: %q was answered %q, interrupted: %v", k.name, m.Content, a.Content, a.Interrupted)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%s: %d accepted messages are missing or out of order, the first is %+v; the session has %d messages", k.name, len(want), want[0], len(got))
	}
	for _, a := range k.accepted {
		k.world.settled[a.text] = true
	}
	if t.Failed() {
		t.Logf("%s: the gateway has, at the end, %+v; accepted was %+v", k.name, newest(got, 8), newest(k.accepted, 4))
	}
}

func newest[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// run says one message after another until the world is over.
func (k *talk) run(t *testing.T) {
	broken := 0
	for k.n = 1; ; k.n++ {
		m := said{text: fmt.Sprintf("%s #%06d %s", k.name, k.n, strings.Repeat("to and fro ", k.rand.IntN(12))), model: "quick"}
		if k.rand.IntN(40) == 0 {
			m.model = "slow"
		}
		m.leaves = k.rand.IntN(2) == 0
		say := []func(string, *said) (string, error){k.post, k.chat, k.socket}[k.rand.IntN(3)]
		for tries := 0; ; tries++ {
			url, life, ok := k.world.enter(broken)
			if !ok {
				return
			}
			turn, err := say(url, &m)
			if tries > 0 {
				k.world.mu.Lock()
				k.world.retries++
				k.world.mu.Unlock()
			}
			if turn != "" && err == nil && m.whole {
				k.world.mu.Lock()
				k.world.told[m.text] = life
				k.world.mu.Unlock()
			}
			if turn != "" {
				k.mu.Lock()
				k.accepted = append(k.accepted, accepted{m.text, turn})
				k.mu.Unlock()
			}
			if err != nil && !errors.Is(err, errFull) && !errors.Is(err, errAgain) {
				var odd *oddAnswer
				if errors.As(err, &odd) {
					t.Errorf("%s: %v", m.text, err)
				}
				k.world.breaks(life, err)
				broken = life
			}
			if turn != "" {
				break
			}
			k.think()
		}
		k.think()
	}
}

// think is the pause of a person between two messages.
func (k *talk) think() { time.Sleep(time.Duration(k.rand.IntN(60)) * time.Millisecond) }

// said is one message. Whoever leaves does not wait for the answer.
type said struct {
	text, model string
	leaves      bool
	whole       bool // the client was told of the answer's end
}

// What a client does not take for a failure: it tries again.
var (
	errFull  = errors.New("the queue is full")
	errAgain = errors.New("the message had been accepted, and was cut by the kill")
)

// oddAnswer is one that no kill explains.
type oddAnswer struct{ what string }

func (e *oddAnswer) Error() string { return e.what }

func odd(format string, args ...any) error { return &oddAnswer{fmt.Sprintf(format, args...)} }

// post puts a message in the session's mailbox and returns its turn, if it has
// seen that it was accepted.
func (k *talk) post(url string, m *said) (string, error) {
	resp, err := k.request(url+"/v1/sessions/"+k.name+"/messages", text(m.model, m.text), m)
	if err != nil {
		return "", err
	}
	defer drain(resp.Body)
	return accept(resp, http.StatusAccepted)
}

// chat asks as OpenAI's clients do.
func (k *talk) chat(url string, m *said) (string, error) {
	resp, err := k.request(url+"/v1/chat/completions", chat(m.model, m.text, true), m)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	turn, err := accept(resp, http.StatusOK)
	if err != nil || m.leaves {
		return turn, err
	}
	answer := ""
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			if answer != m.text {
				return turn, odd("was answered %q", answer)
			}
			m.whole = true
			return turn, nil
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
			Error   *struct{ Code string }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || chunk.Error != nil {
			return turn, odd("the stream says %s", data)
		}
		for _, c := range chunk.Choices {
			answer += c.Delta.Content
		}
	}
	if err := lines.Err(); err != nil {
		return turn, err
	}
	return turn, io.ErrUnexpectedEOF
}

func (k *talk) request(url, body string, m *said) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	headersOf(req.Header, []string{
		"Content-Type: application/json", "Authorization: Bearer " + k.world.token, "X-Session-Id: " + k.name,
		"X-On-Disconnect: continue", "Idempotency-Key: " + m.text,
	})
	return k.world.http.Do(req)
}

func accept(resp *http.Response, status int) (string, error) {
	switch turn := resp.Header.Get("X-Turn-Id"); {
	case resp.StatusCode == http.StatusTooManyRequests:
		return "", errFull
	case resp.StatusCode != status || turn == "":
		body, err := io.ReadAll(resp.Body)
		switch {
		case err != nil:
			return "", err
		case strings.Contains(string(body), `"turn_interrupted"`):
			return "", errAgain
		}
		return "", odd("%s: %s", resp.Status, body)
	default:
		return turn, nil
	}
}

// socket says a message over a WebSocket and reads until its turn has spoken, or
// has ended.
func (k *talk) socket(url string, m *said) (string, error) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	c, resp, err := dialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws/chat?session="+k.name, http.Header{"Authorization": {"Bearer " + k.world.token}})
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 {
			err = odd("the upgrade: %s", resp.Status)
		}
		return "", err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	if err := c.WriteJSON(map[string]string{"type": "message", "content": m.text, "model": m.model, "idempotency_key": m.text}); err != nil {
		return "", err
	}
	id := m.text[:len("s00 #000000 ")]
	mine, answer, last := "", "", uint64(0)
	for {
		var f frame
		if err := c.ReadJSON(&f); err != nil {
			return mine, err
		}
		switch {
		case f.Type == "error" && f.Code == "queue_full":
			return "", errFull
		case f.Code == "turn_interrupted" && f.Turn == mine:
			return mine, nil
		case f.Code == "turn_interrupted" && mine == "": // perhaps of the try before the kill
			return "", errAgain
		case f.Code == "turn_interrupted": // one before it
		case f.Type == "error":
			return mine, odd("the frame %+v", f)
		case f.Type == "delta" && (f.Turn == mine || strings.HasPrefix(f.Delta, id)):
			if f.Seq <= last { // what came live comes again with the whole of a retried turn
				answer = ""
			}
			mine, answer, last = f.Turn, answer+f.Delta, f.Seq
			if m.leaves {
				return mine, nil
			}
		case f.Type == "done" && f.Turn == mine && answer != m.text:
			return mine, odd("was answered %q", answer)
		case f.Type == "done" && f.Turn == mine:
			m.whole = true
			return mine, nil
		}
	}
}

// frame is what the gateway says on a WebSocket.
type frame struct {
	Type, Delta, Message, Code, Turn string
	Seq                              uint64
}
