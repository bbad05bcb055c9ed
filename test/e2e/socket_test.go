package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
)

// socket is a WebSocket client.
type socket struct {
	t       testing.TB
	conn    *websocket.Conn
	session string // of the upgrade's answer
}

// frame is what the gateway says on a WebSocket.
type frame struct {
	Type, Delta, Message, Code, Turn string
	Seq                              uint64
}

// connect opens a WebSocket on /ws/chat. The query may be empty.
func connect(t testing.TB, g *gateway.Gateway, query string) *socket {
	t.Helper()
	return connectAs(t, g, g.Token(t), query)
}

func connectAs(t testing.TB, g *gateway.Gateway, token, query string) *socket {
	t.Helper()
	url := "ws" + strings.TrimPrefix(g.URL, "http") + "/ws/chat"
	if query != "" {
		url += "?" + query
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, resp, err := dialer.Dial(url, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatalf("WebSocket: %v (%v)", err, resp)
	}
	t.Cleanup(func() { conn.NetConn().Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &socket{t, conn, resp.Header.Get("X-Session-Id")}
}

// say sends a text frame.
func (s *socket) say(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatalf("WebSocket: say: %v", err)
	}
}

// ask sends a message for a model.
func (s *socket) ask(model, text string) {
	s.t.Helper()
	data, err := json.Marshal(map[string]string{"type": "message", "model": model, "content": text})
	if err != nil {
		s.t.Fatal(err)
	}
	s.say(string(data))
}

// hear reads one frame.
func (s *socket) hear() (frame, error) {
	var f frame
	err := s.conn.ReadJSON(&f)
	return f, err
}

// hearTurn reads to the end of a turn: its text and the frame that ended it.
func (s *socket) hearTurn() (text string, last frame) {
	s.t.Helper()
	for {
		f, err := s.hear()
		if err != nil {
			s.t.Fatalf("WebSocket: hear: %v", err)
		}
		if f.Type != "delta" {
			return text, f
		}
		text += f.Delta
	}
}

// hangUp closes the connection without a word.
func (s *socket) hangUp(reset bool) time.Time {
	if reset {
		s.conn.NetConn().(*net.TCPConn).SetLinger(0)
	}
	at := time.Now()
	s.conn.NetConn().Close()
	return at
}
