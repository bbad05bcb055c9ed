package transport

import (
	"net"
	"testing"
	"time"
)

// A call to a model ends when nobody is left to read its answer.
func TestHangingUpCancelsTheCall(t *testing.T) {
	soon := func(s *settings) { s.DisconnectGrace = time.Millisecond }
	for _, test := range []struct {
		name  string
		begin func(*rig) *client
	}{
		{"a whole answer", func(r *rig) *client { return r.dial().post("/v1/chat/completions", hello) }},
		{"a stream", func(r *rig) *client { return r.dial().post("/v1/chat/completions", helloStream) }},
		{"a stream of a session", func(r *rig) *client { return r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s") }},
		{"a session that is to cancel", func(r *rig) *client {
			return r.dial().post("/v1/chat/completions", hello, "X-Session-Id: s", "X-On-Disconnect: cancel")
		}},
		{"a simple chat", func(r *rig) *client { return r.dial().post("/api/chat", `{"message":"x"}`) }},
		{"the events of a message", func(r *rig) *client {
			return r.dial().post("/v1/sessions/s/messages", `{"content":"x","stream":true}`)
		}},
		{"a WebSocket", func(r *rig) *client {
			ws := r.socket("")
			ws.say("x")
			return &client{t: r.t, Conn: ws.NetConn()}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Run("before the first delta", func(t *testing.T) {
				r := newRig(t, soon)
				c := test.begin(r)
				turn := r.agent.next()
				c.hangUp()
				turn.mustBeCancelled()
			})
			t.Run("in the midst of it", func(t *testing.T) {
				r := newRig(t, soon)
				c := test.begin(r)
				turn := r.agent.next()
				turn.says("Hel", "lo")
				if c.read == nil {
					_, _ = c.Read(make([]byte, 1)) // something has come
				} else if test.name != "a whole answer" && test.name != "a simple chat" && test.name != "a session that is to cancel" {
					c.stream().event()
				}
				c.hangUp()
				turn.mustBeCancelled()
			})
			t.Run("by a reset", func(t *testing.T) {
				r := newRig(t, soon)
				c := test.begin(r)
				turn := r.agent.next()
				if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
					t.Fatal(err)
				}
				c.hangUp()
				turn.mustBeCancelled()
			})
		})
	}
}

// To shut down the sending side only is to hang up, as in net/http and nginx.
func TestHalfAConnectionIsNone(t *testing.T) {
	for _, body := range []string{hello, helloStream} {
		r := newRig(t)
		c := r.dial().post("/v1/chat/completions", body)
		turn := r.agent.next()
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		turn.mustBeCancelled()
	}
}

func TestATurnThatIsToContinueSurvivesItsClient(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s", "X-On-Disconnect: continue")
	turn := r.agent.next()
	turn.says("Hel")
	c.stream().event()
	c.hangUp()
	r.eventually("the watcher is gone", func() bool { return r.auth.watched(chatToken) == 0 })
	turn.says("lo")
	turn.finish()
	r.eventually("the answer is kept", func() bool {
		var list struct{ Data []struct{ Content string } }
		r.ask("GET", "/v1/sessions/s/messages", "").into(t, &list)
		return len(list.Data) == 2 && list.Data[1].Content == "Hello"
	})
}

// The grace is for somebody who comes back.
func TestAWatcherWhoComesBackKeepsTheTurn(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s", "X-On-Disconnect: grace=3600")
	turn := r.agent.next()
	turn.says("Hel")
	seen := c.stream().event()
	c.hangUp()
	r.eventually("the watcher is gone", func() bool { return r.auth.watched(chatToken) == 0 })
	s := r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+seen.id).stream()
	turn.says("lo")
	turn.finish()
	if e := s.until("delta"); e.data != `{"turn_id":"`+turnOf(t, e)+`","delta":"lo"}` {
		t.Errorf("%+v", e)
	}
	s.until("turn.completed")
}
