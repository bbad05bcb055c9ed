package durable

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

const (
	defaultCuts = 60
	// cutWithin is how many bytes a connection carries at most; an answer of
	// spoken deltas has many times as many.
	cutWithin = 2500
	spoken    = 400
)

// TestEveryDeltaComesOnceAndInOrderOverCutConnections cuts the client's
// connection at random bytes of the answer, and now and then the gateway is
// stopped or killed in the middle of it.
func TestEveryDeltaComesOnceAndInOrderOverCutConnections(t *testing.T) {
	doors := []struct {
		name string
		open func(l *listener)
	}{
		{"events", (*listener).hearEvents},
		{"completion resumed at events", (*listener).hearCompletion},
		{"WebSocket", (*listener).hearSocket},
	}
	cuts := number(t, CutsEnv, defaultCuts)
	for _, door := range doors {
		t.Run(door.name, func(t *testing.T) {
			t.Parallel()
			l := newListener(t)
			began := time.Now()
			for l.turns = 0; l.wire.made() < (cuts+len(doors)-1)/len(doors) || l.stops == 0 || l.kills == 0; l.turns++ {
				l.begin()
				door.open(l)
				l.check()
				if t.Failed() {
					break
				}
			}
			t.Logf("%s: %d connections cut, %d turns and %d deltas heard, %d stops and %d kills between, in %v; seed %d", door.name,
				l.wire.made(), l.turns, l.deltas, l.stops, l.kills, time.Since(began).Round(time.Second), l.seed)
		})
	}
}

// listener is a client of one session over a wire that is cut.
type listener struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand
	up    *upstream.Server
	g     *gateway.Gateway
	data  string
	token string
	wire  *cutter
	http  *http.Client

	turns, deltas, stops, kills int

	epoch string
	seq   uint64 // of the last event heard

	// Of the present turn:
	said    string // all deltas
	n       int
	end     string // how it ended: an event's name, or a frame's type
	model   string
	restart syscall.Signal
	at      int // the delta at which that comes
	signal  syscall.Signal
}

func newListener(t *testing.T) *listener {
	l := &listener{
		t: t, up: upstream.New(t), wire: newCutter(t), data: filepath.Join(t.TempDir(), "data"),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience},
	}
	l.rand, l.seed = chance(t)
	l.up.Set("m", upstream.Script{Deltas: upstream.Count(spoken), Interval: time.Millisecond})
	l.up.Set("long", upstream.Script{Deltas: upstream.Count(spoken), Interval: 4 * time.Millisecond})
	l.start()
	if resp, body := l.g.Do(t, "POST", "/v1/sessions", `{"id":"s"}`); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	var s struct {
		Last string `json:"last_event_id"`
	}
	get(t, l.g, "/v1/sessions/s", &s)
	l.place(s.Last)
	return l
}

func (l *listener) start() {
	l.g = gateway.Start(l.t, gateway.Options{
		Upstream: l.up.URL(), Model: "m", DataDir: l.data, Config: "[gateway]\ndrain_timeout = \"50ms\"\nstatus_wait = \"1ms\"\n",
	})
	if l.token == "" {
		l.token = l.g.Token(l.t)
	}
	l.g.UseToken(l.token)
	l.wire.lead(l.g.URL)
}

// begin settles what will happen in the next turn. One in which the gateway dies
// is long enough to be written down on the way, or not.
func (l *listener) begin() {
	l.said, l.n, l.end, l.model, l.restart, l.signal = "", 0, "", "m", 0, 0
	switch l.turns % 8 {
	case 1:
		l.model, l.restart = "long", syscall.SIGTERM
	case 3, 6:
		l.model, l.restart = "long", syscall.SIGKILL
	}
	l.at = 150 + l.rand.IntN(spoken-200)
}

// place takes the id of an event, which must be past the last.
func (l *listener) place(id string) {
	l.t.Helper()
	epoch, number, ok := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || l.epoch != "" && epoch != l.epoch {
		l.t.Fatalf("the id %q in the epoch %s", id, l.epoch)
	}
	l.epoch = epoch
	l.pass(seq)
}

func (l *listener) pass(seq uint64) {
	l.t.Helper()
	if seq < l.seq {
		l.t.Fatalf("number %d came after %d", seq, l.seq)
	}
	l.seq = seq
}

// hear takes a delta.
func (l *listener) hear(delta string) {
	if l.signal == syscall.SIGKILL && l.said != "" && strings.HasPrefix(delta, "1 ") {
		l.said = "" // the kill came before it was on the disk that the turn runs
	}
	l.said += delta
	l.n += strings.Count(delta, " ")
	l.deltas += strings.Count(delta, " ")
}

// due lets the restart come, if it is time: the connection is left as it is.
func (l *listener) due() {
	if l.restart == 0 || l.n < l.at {
		return
	}
	l.signal, l.restart = l.restart, 0
	if l.signal == syscall.SIGKILL {
		l.kills++
		l.g.Kill(l.t)
		return
	}
	l.stops++
	l.g.Signal(l.t, l.signal)
}

// back sees to it that there is a gateway.
func (l *listener) back(was *gateway.Gateway, signal syscall.Signal) {
	if l.signal == signal || l.g != was {
		return // nothing happened to it on this connection
	}
	if code := l.g.ExitCode(l.t); l.signal == syscall.SIGTERM && code != 0 {
		l.t.Errorf("it ended with exit code %d", code)
	}
	l.start()
}

// check holds what was heard of a turn against what the session has of it.
func (l *listener) check() {
	l.t.Helper()
	all := count(spoken)
	list := messages(l.t, l.g, "s")
	last := list[len(list)-1]
	if last.Role == "user" && l.signal == syscall.SIGKILL { // nothing had been written down
		last = message{Interrupted: true}
	}
	switch l.end {
	case "turn.completed", "done":
		if l.said != all || last.Content != all || last.Interrupted {
			l.t.Errorf("heard %q, kept %+v", l.said, last)
		}
	case "turn.interrupted", "error":
		if l.signal == 0 || !last.Interrupted {
			l.t.Errorf("the turn was interrupted (after signal %v), kept as %+v", l.signal, last)
		}
		if !strings.HasPrefix(all, l.said) || !strings.HasPrefix(l.said, last.Content) || l.signal == syscall.SIGTERM && l.said != last.Content {
			l.t.Errorf("after signal %v: heard %q, kept %q", l.signal, l.said, last.Content)
		}
	default:
		l.t.Errorf("the turn ended with %q after %d deltas", l.end, l.n)
	}
}

// post starts a turn, over no wire that is cut.
func (l *listener) post() {
	if resp, body := l.g.Do(l.t, "POST", "/v1/sessions/s/messages", text(l.model, "count")); resp.StatusCode != http.StatusAccepted {
		l.t.Fatalf("%s: %s", resp.Status, body)
	}
}

// hearEvents follows a turn at /v1/sessions/s/events.
func (l *listener) hearEvents() {
	l.post()
	l.follow()
}

// follow reads the session's events until the turn's end.
func (l *listener) follow() {
	for deadline := time.Now().Add(patience); l.end == ""; {
		if time.Now().After(deadline) || l.t.Failed() {
			l.t.Fatalf("no end of the turn after %d deltas", l.n)
		}
		at := fmt.Sprintf("%s-%d", l.epoch, l.seq)
		path, header := "/v1/sessions/s/events", "Last-Event-ID: "+at
		if l.rand.IntN(2) == 0 {
			path, header = path+"?after="+at, "Accept: text/event-stream"
		}
		l.request(http.MethodGet, path, "", func(e event) {
			var data struct {
				Delta string
				Turn  string `json:"turn_id"`
			}
			if err := json.Unmarshal([]byte(e.data), &data); err != nil {
				l.t.Fatalf("event %s: %q", e.name, e.data)
			}
			switch e.name {
			case "delta":
				l.hear(data.Delta)
			case "turn.queued", "turn.started":
			default:
				l.end = e.name
			}
		}, header)
	}
}

// hearCompletion asks as OpenAI's clients do, with a key as long as it knows no
// event's id, and goes on at the session's events.
func (l *listener) hearCompletion() {
	key := fmt.Sprint("Idempotency-Key: ", l.turns)
	for before := l.seq; l.seq == before && l.end == ""; {
		l.request(http.MethodPost, "/v1/chat/completions", chat(l.model, "count", true), func(e event) {
			var data struct {
				Choices []struct{ Delta struct{ Content string } }
				Error   *struct{ Code string }
			}
			if e.data == "[DONE]" {
				l.end = "done"
				return
			}
			if err := json.Unmarshal([]byte(e.data), &data); err != nil {
				l.t.Fatalf("chunk %q", e.data)
			}
			if data.Error != nil {
				l.end = "error"
			}
			for _, c := range data.Choices {
				l.hear(c.Delta.Content)
			}
		}, key, "X-Session-Id: s", "Content-Type: application/json")
	}
	if l.end == "" {
		l.follow()
	}
}

// event is a server-sent event.
type event struct{ id, name, data string }

// request reads one answer, which is cut somewhere.
func (l *listener) request(method, path, body string, take func(event), headers ...string) {
	g, signal := l.g, l.signal
	defer func() { l.back(g, signal) }()
	l.wire.cutNext(l.rand, cutWithin)
	req, err := http.NewRequest(method, l.wire.URL+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	headersOf(req.Header, append(headers, "Authorization: Bearer "+l.token))
	resp, err := l.http.Do(req)
	if err != nil {
		return // cut in the head
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	lines := bufio.NewReader(resp.Body)
	var e event
	for l.end == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data += value
		}
		if line != "\n" {
			continue
		}
		if e.id != "" {
			before := l.seq
			if l.place(e.id); e.data != "" && l.seq == before {
				l.t.Fatalf("the event %+v came twice", e)
			}
		}
		if e.data != "" {
			take(e)
		}
		e = event{}
		l.due()
	}
}

// hearSocket says a message over a WebSocket and joins again after every cut.
func (l *listener) hearSocket() {
	l.post()
	for deadline := time.Now().Add(patience); l.end == ""; {
		if time.Now().After(deadline) || l.t.Failed() {
			l.t.Fatalf("no end of the turn after %d deltas", l.n)
		}
		l.hearSome()
	}
}

// hearSome reads frames until the connection is cut.
func (l *listener) hearSome() {
	g, signal := l.g, l.signal
	defer func() { l.back(g, signal) }()
	l.wire.cutNext(l.rand, cutWithin)
	after := strconv.FormatUint(l.seq, 10)
	if l.rand.IntN(2) == 0 {
		after = l.epoch + "-" + after
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	c, resp, err := dialer.Dial("ws"+strings.TrimPrefix(l.wire.URL, "http")+"/ws/chat?session=s&after="+after,
		http.Header{"Authorization": {"Bearer " + l.token}})
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 {
			l.t.Fatalf("the upgrade: %s", resp.Status)
		}
		return
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	for l.end == "" {
		var f frame
		if err := c.ReadJSON(&f); err != nil {
			return
		}
		if f.Seq == 0 { // of the connection, not of the session
			if f.Code != "draining" || l.signal != syscall.SIGTERM {
				l.t.Errorf("the frame %+v", f)
			}
			continue
		}
		before := l.seq
		if l.pass(f.Seq); l.seq == before {
			l.t.Fatalf("the frame %+v came twice", f)
		}
		if f.Type == "delta" {
			l.hear(f.Delta)
		} else {
			l.end = f.Type
		}
		l.due()
	}
}
