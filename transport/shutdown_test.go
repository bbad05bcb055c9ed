package transport

import (
	"net"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

func TestAGatewayThatDrains(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	turn.says("Hel")
	s := c.stream()
	s.event()
	r.server.Drain()

	if got := r.ask("GET", "/health", ""); got.StatusCode != 503 || got.body != `{"status":"draining"}`+"\n" {
		t.Errorf("/health: %s %s", got.Status, got.body)
	}
	if got := r.ask("GET", "/health/ready", ""); got.StatusCode != 503 {
		t.Errorf("/health/ready: %s", got.Status)
	}
	for path, body := range map[string]string{
		"/v1/chat/completions": hello, "/api/chat": `{"message":"x"}`, "/v1/sessions/s/messages": `{"content":"x"}`, "/v1/sessions": `{}`,
	} {
		if got := r.ask("POST", path, body); got.StatusCode != 503 || got.failure(t).Code != CodeDraining || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %s", path, got.Status, got.body)
		}
	}
	if ws, err := r.upgrade(""); err == nil || ws.StatusCode != 503 {
		t.Errorf("a WebSocket: %v", err)
	}

	turn.says("lo") // what runs goes on to its end
	turn.finish()
	if rest := s.rest(); len(rest) != 2 || rest[1].data != "[DONE]" {
		t.Errorf("%v", rest)
	}
	c.closed() // and the connection serves nothing more
}

func TestWhatIsLeftAtTheEndIsToldSo(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	events := r.dial().get("/v1/sessions/s/events").stream()
	events.event()
	ws := r.socket("")
	r.eventually("the socket is open", func() bool { return r.server.options.Metrics.webSocketsOpen.Get() == 1 })
	chat := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	turn.says("Hel")
	stream := chat.stream()
	stream.event()

	r.shutDown()

	turn.mustBeCancelled()
	if rest := stream.rest(); len(rest) != 1 || errorIn(t, rest[0].data).Code != CodeDraining {
		t.Errorf("the chat ends with %v", rest)
	}
	if rest := events.rest(); len(rest) != 1 || rest[0].event != "error" {
		t.Errorf("the events end with %v", rest)
	}
	if f := ws.next(); f.Type != "error" {
		t.Errorf("the socket is told %+v", f)
	}
	if code := ws.closed(); code != websocket.CloseGoingAway && code != websocket.CloseNormalClosure {
		t.Errorf("the socket is closed with %d", code)
	}
}

// The front end alone can end its streams, whatever becomes of their turns.
func TestStreamsThatComeTooLateAreEnded(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	r.server.endStreams()
	s := r.dial().get("/v1/sessions/s/events").stream()
	rest := s.rest()
	if last := rest[len(rest)-1]; last.event != "error" || errorIn(t, last.data).Code != CodeDraining {
		t.Errorf("%v", rest)
	}
	ws := r.socket("")
	if f := ws.next(); f.Code != CodeDraining {
		t.Errorf("%+v", f)
	}
	if code := ws.closed(); code != websocket.CloseGoingAway {
		t.Errorf("closed with %d", code)
	}
}

// Clients keep connections for later. They must not hold a shutdown up: neither
// one that has never asked, nor one that has just had a stream or an answer.
func TestIdleConnectionsDoNotDelayTheEnd(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	silent := r.dial()
	streamed := r.dial().post("/v1/chat/completions", helloStream)
	streamed.stream().rest()
	answered := r.dial().get("/health")
	answered.whole()
	r.eventually("all are accepted", func() bool { return r.server.connections.open.Load() == 3 })
	r.shutServer(3 * time.Second) // fasthttp alone would take 5
	for _, c := range []*client{silent, streamed, answered} {
		c.closed()
	}
}

func TestAServerThatWasShutDownDoesNotServe(t *testing.T) {
	r := newRig(t)
	r.shutDown()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	if err := receive(t, "the end of Serve", served); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it listens")
	}
}
