package transport

import (
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

func TestARevokedTokenEndsWhatItHasOpened(t *testing.T) {
	t.Run("a chat stream", func(t *testing.T) {
		r := newRig(t)
		c := r.dial().post("/v1/chat/completions", helloStream)
		turn := r.agent.next()
		turn.says("Hel")
		s := c.stream()
		s.event()
		r.auth.revoke(chatToken)
		if rest := s.rest(); len(rest) != 1 || errorIn(t, rest[0].data).Code != CodeAuthFailed {
			t.Errorf("%v", rest)
		}
		turn.mustBeCancelled()
	})
	t.Run("a wait for an answer", func(t *testing.T) {
		r := newRig(t)
		c := r.dial().post("/v1/chat/completions", hello)
		turn := r.agent.next()
		r.eventually("it is watched", func() bool { return r.auth.watched(chatToken) == 1 })
		r.auth.revoke(chatToken)
		if got := c.whole(); got.StatusCode != 403 || got.failure(t).Code != CodeAuthFailed {
			t.Errorf("%s: %s", got.Status, got.body)
		}
		turn.mustBeCancelled()
	})
	t.Run("a session's events", func(t *testing.T) {
		r := newRig(t)
		r.ask("POST", "/v1/sessions", `{"id":"s"}`)
		s := r.dial().get("/v1/sessions/s/events").stream()
		s.event()
		r.auth.revoke(chatToken)
		if rest := s.rest(); len(rest) != 1 || rest[0].event != "error" || errorIn(t, rest[0].data).Code != CodeAuthFailed {
			t.Errorf("%v", rest)
		}
	})
	t.Run("a WebSocket", func(t *testing.T) {
		r := newRig(t)
		ws := r.socket("")
		r.eventually("it is watched", func() bool { return r.auth.watched(chatToken) == 1 })
		r.auth.revoke(chatToken)
		if f := ws.next(); f.Type != "error" || f.Code != CodeAuthFailed {
			t.Errorf("%+v", f)
		}
		if code := ws.closed(); code != websocket.ClosePolicyViolation {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("a client that does not read", func(t *testing.T) {
		r := newRig(t, narrow, func(s *settings) { s.actors.LogWindow = 64 << 20 })
		r.dial().post("/v1/chat/completions", helloStream)
		turn := r.agent.next()
		for range 64 {
			turn.says(strings.Repeat("x", 64<<10))
		}
		r.auth.revoke(chatToken)
		turn.mustBeCancelled()
	})
}

// Who has been told to go is not listened to while it has time to leave.
func TestARevokedWebSocketStartsNothingMore(t *testing.T) {
	r := newRig(t)
	ws := r.socket("")
	r.eventually("it is watched", func() bool { return r.auth.watched(chatToken) == 1 })
	r.auth.revoke(chatToken)
	ws.next() // the error; the close that follows is not answered yet
	for range 20 {
		if ws.WriteMessage(websocket.TextMessage, []byte("x")) != nil {
			break
		}
	}
	ws.closed()
	r.eventually("the socket is gone", func() bool { return r.server.options.Metrics.webSocketsOpen.Get() == 0 })
	select {
	case <-r.agent.calls:
		t.Error("a turn has begun")
	default:
	}
}
