package transport

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/actors"
	"agentzero/agent"
)

func TestAChatOverWebSocket(t *testing.T) {
	r := newRig(t)
	ws := r.socket("")
	if !strings.HasPrefix(ws.Header.Get("X-Session-Id"), "ses_") {
		t.Errorf("X-Session-Id is %q", ws.Header.Get("X-Session-Id"))
	}
	for said, want := range map[string]string{
		"plain text":                                              "plain text",
		`{"message":"in short"}`:                                  "in short",
		`{"type":"message","content":"in full"}`:                  "in full",
		`{"some":"JSON that is none of ours"}`:                    `{"some":"JSON that is none of ours"}`,
		`{"type":"message","content":"to a model","model":"x/y"}`: "to a model",
		`{ not JSON`: `{ not JSON`,
	} {
		ws.say(said)
		turn := r.agent.next()
		if turn.last() != want {
			t.Errorf("%s is taken as %q", said, turn.last())
		}
		turn.says("Hel", "lo \"\u2028\"\n")
		turn.finish()
		text, end := ws.answer()
		if text != "Hello \"\u2028\"\n" || end.Type != "done" || end.Seq != nil || end.Turn != "" {
			t.Errorf("%q, %+v", text, end)
		}
	}
	// The session is one like any other.
	var list struct{ Data []any }
	r.ask("GET", "/v1/sessions/"+ws.Header.Get("X-Session-Id")+"/messages", "").into(t, &list)
	if len(list.Data) != 12 {
		t.Errorf("%d messages are kept", len(list.Data))
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	ws := r.socket("")
	for _, said := range []string{
		"", "  ", `{"type":"nothing"}`, `{"type":7}`, `{"type":"message"}`, `{"message":""}`, `{"message":7}`,
		`{"message":"x","on_busy":"never"}`, `{"message":"x","on_busy":""}`, `{"message":"x","model":{}}`,
		`{"message":"x","idempotency_key":"é"}`, `{"type":"cancel","turn":7}`,
	} {
		ws.say(said)
		if f := ws.next(); f.Type != "error" || f.Code != CodeBadRequest {
			t.Errorf("%q: %+v", said, f)
		}
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if f := ws.next(); f.Type != "error" || f.Code != CodeBadRequest {
		t.Errorf("binary: %+v", f)
	}
	ws.say("and it goes on")
	if text, end := ws.answer(); text != "Hi" || end.Type != "done" {
		t.Errorf("%q %+v", text, end)
	}
}

func TestATurnIsCancelledOverWebSocket(t *testing.T) {
	r := newRig(t)
	ws := r.socket("")
	ws.say("x")
	turn := r.agent.next()
	turn.says("Hel")
	ws.next()
	ws.say(`{"type":"cancel"}`)
	turn.mustBeCancelled()
	if f := ws.next(); f.Type != "error" || f.Code != CodeInterrupted {
		t.Errorf("%+v", f)
	}
}

func TestAFailedTurnOverWebSocketIsNotDone(t *testing.T) {
	r := newRig(t)
	ws := r.socket("")
	ws.say("x")
	turn := r.agent.next()
	turn.says("Hel")
	turn.fail(&agent.Error{Kind: agent.KindCut, Message: "the answer broke off"})
	if text, end := ws.answer(); text != "Hel" || end.Type != "error" || end.Code != CodeAgentFailed {
		t.Errorf("%q %+v", text, end)
	}
}

func TestPingsAreAnsweredDuringATurn(t *testing.T) {
	r := newRig(t)
	ws := r.socket("")
	pong := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { pong <- data; return nil })
	ws.say("x")
	turn := r.agent.next()
	if err := ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan frame)
	go func() {
		_, end := ws.answer()
		answered <- end
	}()
	if data := receive(t, "a pong", pong); data != "are you there" {
		t.Errorf("%q", data)
	}
	turn.finish()
	if end := receive(t, "the end", answered); end.Type != "done" {
		t.Errorf("%+v", end)
	}
}

func TestASocketThatAnswersPingsIsKept(t *testing.T) {
	r := newRig(t, func(s *settings) { s.PingInterval = 5 * time.Millisecond })
	ws := r.socket("")
	pings := 0
	enough := make(chan struct{})
	pong := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		if pings++; pings == 5 {
			close(enough)
		}
		return pong(data)
	})
	answered := make(chan frame)
	go func() {
		_, end := ws.answer()
		answered <- end
	}()
	closes(t, "five pings", enough)
	r.agent.always("Hi")
	ws.say("x")
	if end := receive(t, "the end", answered); end.Type != "done" {
		t.Errorf("%+v", end)
	}
}

func TestASocketThatDoesNotAnswerPingsIsClosed(t *testing.T) {
	r := newRig(t, func(s *settings) { s.PingInterval, s.PongTimeout = 5*time.Millisecond, 20*time.Millisecond })
	ws := r.socket("")
	ws.SetPingHandler(func(string) error { return nil })
	if _, _, err := ws.ReadMessage(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("%v", err)
	}
}

func TestASocketThatIsIdleIsClosed(t *testing.T) {
	r := newRig(t, func(s *settings) { s.WebSocketIdle = 20 * time.Millisecond })
	if code := r.socket("").closed(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d", code)
	}
}

func TestASocketJoinsASessionAndResumes(t *testing.T) {
	r := newRig(t)
	events := told(r, "s", "Hel", "lo") // started 1, deltas 2 and 3, completed 4
	turn := turnOf(t, events[0])
	epoch, _, _ := strings.Cut(events[0].id, "-")
	for _, test := range []struct {
		after, text string
		last        uint64
	}{{"0", "Hello", 3}, {"2", "lo", 3}, {epoch + "-2", "lo", 3}, {"3", "", 0}} {
		ws := r.socket("?session=s&after=" + test.after)
		text := ""
		var seq uint64
		f := ws.next()
		for ; f.Type == "delta"; f = ws.next() {
			text, seq = text+f.Delta, *f.Seq
			if f.Turn != turn {
				t.Errorf("after %s: turn %q", test.after, f.Turn)
			}
		}
		if text != test.text || seq != test.last || f.Type != "done" || *f.Seq != 4 || f.Turn != turn {
			t.Errorf("after %s: %q, last %d, end %+v", test.after, text, seq, f)
		}
		_ = ws.Conn.Close()
	}
}

func TestUpgradesThatAreRefused(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	for _, test := range []struct {
		name, query string
		headers     []string
		status      int
		code        Code
	}{
		{"without a token", "", []string{"Authorization", ""}, 401, CodeAuthRequired},
		{"with a wrong token", "", []string{"Authorization", "Bearer nobody"}, 403, CodeAuthFailed},
		{"with a wrong token as a subprotocol", "", []string{"Authorization", "", "Sec-WebSocket-Protocol", "agentzero.v1, bearer.nobody"}, 403, CodeAuthFailed},
		{"with a wrong ticket", "?ticket=none", []string{"Authorization", ""}, 403, CodeAuthFailed},
		{"with the token in the address", "?token=" + chatToken, []string{"Authorization", ""}, 401, CodeAuthRequired},
		{"from another site", "", []string{"Origin", "https://evil.example"}, 403, CodeOriginDenied},
		{"with an odd session", "?session=a/b", nil, 400, CodeBadRequest},
		{"after something of no session", "?after=3", nil, 400, CodeBadRequest},
		{"after something odd", "?session=s&after=x", nil, 400, CodeBadRequest},
		{"after something of a session that is not there", "?session=none&after=3", nil, 404, CodeNotFound},
		{"after something that is not kept", "?session=s&after=9", nil, 410, CodeGap},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws, err := r.upgrade(test.query, test.headers...)
			if err == nil {
				t.Fatal("there is a WebSocket")
			}
			body := make([]byte, 2<<10)
			n, _ := ws.Body.Read(body)
			if e := errorIn(t, string(body[:n])); ws.StatusCode != test.status || e.Code != test.code {
				t.Errorf("%d %s", ws.StatusCode, e.Code)
			}
		})
	}
	t.Run("by a plain request", func(t *testing.T) {
		got := r.ask("GET", "/ws/chat", "")
		if got.StatusCode != 426 || got.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%s", got.Status)
		}
	})
	t.Run("without a key", func(t *testing.T) {
		got := r.ask("GET", "/ws/chat", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
		if got.StatusCode != 400 || got.failure(t).Code != CodeBadRequest {
			t.Errorf("%s", got.Status)
		}
	})
}

func TestABrowsersWaysToSayWhoItIs(t *testing.T) {
	r := newRig(t)
	ticket := func() string {
		var got struct {
			Ticket  string
			Expires int `json:"expires_in"`
		}
		r.ask("POST", "/v1/ws-ticket", "").into(t, &got)
		if got.Expires != 30 {
			t.Errorf("expires in %d", got.Expires)
		}
		return got.Ticket
	}
	t.Run("a subprotocol", func(t *testing.T) {
		ws := r.socket("", "Authorization", "", "Sec-WebSocket-Protocol", "agentzero.v1, bearer."+chatToken)
		if ws.Subprotocol() != "agentzero.v1" || strings.Contains(ws.Header.Get("Sec-WebSocket-Protocol"), "bearer") {
			t.Errorf("the answer names %q", ws.Header.Get("Sec-WebSocket-Protocol"))
		}
	})
	t.Run("a ticket as subprotocol", func(t *testing.T) {
		r.socket("", "Authorization", "", "Sec-WebSocket-Protocol", "agentzero.v1, ticket."+ticket())
	})
	t.Run("a ticket in the address, once", func(t *testing.T) {
		query := "?ticket=" + ticket()
		r.socket(query, "Authorization", "")
		if ws, err := r.upgrade(query, "Authorization", ""); err == nil || ws.StatusCode != 403 {
			t.Errorf("again: %v", err)
		}
	})
	t.Run("for WebSockets only", func(t *testing.T) {
		for _, got := range []reply{
			r.ask("GET", "/v1/models?ticket="+ticket(), "", "Authorization:"),
			r.ask("GET", "/v1/models", "", "Authorization:", "Sec-WebSocket-Protocol: bearer."+chatToken),
		} {
			if got.StatusCode != 401 {
				t.Errorf("%s", got.Status)
			}
		}
	})
	t.Run("from its own page and listed ones", func(t *testing.T) {
		r.socket("", "Origin", "http://"+r.address)
		r.server.Reload(Live{CORSOrigins: []string{"https://app.example"}})
		r.socket("", "Origin", "https://app.example")
	})
}

func TestARetriedMessageIsToldAgain(t *testing.T) {
	r := newRig(t)
	ws := r.socket("?session=s")
	const message = `{"message":"x","idempotency_key":"k"}`
	ws.say(message)
	turn := r.agent.next()
	turn.says("Hel", "lo")
	turn.finish()
	if text, end := ws.answer(); text != "Hello" || end.Type != "done" {
		t.Fatalf("%q %+v", text, end)
	}
	for range 2 {
		ws.say(message)
		if text, end := ws.answer(); text != "Hello" || end.Type != "done" {
			t.Errorf("again: %q %+v", text, end)
		}
	}
	ws.say(`{"message":"another","idempotency_key":"k"}`)
	if f := ws.next(); f.Code != CodeKeyConflict {
		t.Errorf("%+v", f)
	}
}

func TestARetryOfARunningTurnIsToldOnce(t *testing.T) {
	r := newRig(t)
	const message = `{"message":"x","idempotency_key":"k"}`
	r.socket("?session=s").say(message)
	turn := r.agent.next()
	early := r.socket("?session=s")
	turn.says("Hel")
	if f := early.next(); f.Delta != "Hel" {
		t.Fatalf("%+v", f)
	}
	late := r.socket("?session=s")
	early.say(message) // this one has heard all of it
	late.say(message)
	if f := late.next(); f.Delta != "Hel" {
		t.Errorf("joined later: %+v", f)
	}
	turn.says("lo")
	turn.finish()
	for _, ws := range []*wsClient{early, late} {
		if text, end := ws.answer(); text != "lo" || end.Type != "done" {
			t.Errorf("then %q %+v", text, end)
		}
	}
}

// Who joins in the middle of an answer hears all of it, once, whether the message
// comes again or not.
func TestARetryAfterJoiningARunningTurnTellsNothingTwice(t *testing.T) {
	r := newRig(t)
	const message = `{"message":"x","idempotency_key":"k"}`
	first := r.socket("?session=s")
	first.say(message)
	turn := r.agent.next()
	turn.says("a")
	if f := first.next(); f.Delta != "a" {
		t.Fatalf("%+v", f)
	}
	late := r.socket("?session=s")
	if f := late.next(); f.Delta != "a" {
		t.Fatalf("joined later: %+v", f)
	}
	turn.says("b")
	if f := late.next(); f.Delta != "b" {
		t.Fatalf("%+v", f)
	}
	late.say(message)
	late.say(`{"type":"cancel","turn":"none"}`) // its answer tells that the retry was taken
	if f := late.next(); f.Code != CodeNotFound {
		t.Errorf("after the retry: %+v", f)
	}
	turn.says("c")
	turn.finish()
	if text, end := late.answer(); text != "c" || end.Type != "done" {
		t.Errorf("%q %+v", text, end)
	}
}

func TestAMessageThatIsTooLargeClosesTheSocket(t *testing.T) {
	r := newRig(t, func(s *settings) { s.MaxBodyBytes = 1000 })
	ws := r.socket("")
	ws.say(strings.Repeat("x", 1001))
	if code := ws.closed(); code != websocket.CloseMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

func TestTextThatIsNotUTF8ClosesTheSocket(t *testing.T) {
	ws := newRig(t).socket("")
	ws.say("gr\xfc\xdfe")
	if code := ws.closed(); code != websocket.CloseInvalidFramePayloadData {
		t.Errorf("closed with %d", code)
	}
}

func TestMessagesOverWebSocketAreLimitedToo(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 2, time.Hour })
	r.agent.always("Hi")
	ws := r.socket("") // the first request
	ws.say("x")
	ws.answer()
	ws.say("y")
	if f := ws.next(); f.Code != CodeRateLimited {
		t.Errorf("%+v", f)
	}
}

func TestManySocketsOfASessionHearTheSame(t *testing.T) {
	r := newRig(t)
	var all []*wsClient
	for range 5 {
		all = append(all, r.socket("?session=s"))
	}
	r.eventually("all are there", func() bool {
		d, err := r.system.Describe(actors.Key{Owner: "default", Name: "s"})
		return err == nil && d.Watchers == 5
	})
	all[0].say("x")
	turn := r.agent.next()
	for i := range 10 {
		turn.says(strconv.Itoa(i))
	}
	turn.finish()
	for i, ws := range all {
		if text, end := ws.answer(); text != "0123456789" || end.Type != "done" {
			t.Errorf("socket %d: %q %+v", i, text, end)
		}
	}
}

// A client may be gone before the answer to its upgrade is out.
func TestAnUpgradeThatFailsLeavesNothingBehind(t *testing.T) {
	r := newRig(t)
	for range 50 {
		c := r.dial()
		_ = c.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
		c.send(request11("GET", "/ws/chat?session=s", "", "Upgrade: websocket", "Connection: Upgrade",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
		c.hangUp()
	}
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	r.eventually("nobody watches", func() bool {
		var session struct{ Watchers int }
		_ = json.Unmarshal([]byte(r.ask("GET", "/v1/sessions/s", "").body), &session)
		return session.Watchers == 0 && r.server.connections.open.Load() <= 1
	})
}
