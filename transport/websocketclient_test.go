package transport

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/fasthttp/websocket"
)

// wsClient is the other end of a WebSocket.
type wsClient struct {
	*websocket.Conn
	r *rig
	*http.Response
}

// frame is what the gateway says.
type frame struct {
	Type, Delta, Message string
	Code                 Code
	Seq                  *uint64
	Turn                 string
}

// upgrade asks for a WebSocket. Headers come in pairs.
func (r *rig) upgrade(query string, headers ...string) (*wsClient, error) {
	h := http.Header{"Authorization": {"Bearer " + chatToken}}
	for i := 0; i < len(headers); i += 2 {
		if h.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			h.Del(headers[i])
		}
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, resp, err := dialer.Dial("ws://"+r.address+"/ws/chat"+query, h)
	if err != nil {
		return &wsClient{Response: resp}, err
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return &wsClient{Conn: conn, r: r, Response: resp}, nil
}

func (r *rig) socket(query string, headers ...string) *wsClient {
	r.t.Helper()
	ws, err := r.upgrade(query, headers...)
	if err != nil {
		r.t.Fatalf("no WebSocket: %v", err)
	}
	return ws
}

func (c *wsClient) say(text string) {
	c.r.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.r.t.Fatal(err)
	}
}

// next is the next frame.
func (c *wsClient) next() frame {
	c.r.t.Helper()
	kind, data, err := c.ReadMessage()
	if err != nil {
		c.r.t.Fatalf("the socket ended: %v", err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil || kind != websocket.TextMessage {
		c.r.t.Fatalf("%v in frame %q", err, data)
	}
	return f
}

// answer joins the deltas up to the end of the turn, which it returns too.
func (c *wsClient) answer() (string, frame) {
	c.r.t.Helper()
	text := ""
	for {
		f := c.next()
		if f.Type != "delta" {
			return text, f
		}
		text += f.Delta
	}
}

// closed is the code with which the gateway closes the socket.
func (c *wsClient) closed() int {
	c.r.t.Helper()
	_, data, err := c.ReadMessage()
	if err == nil {
		c.r.t.Fatalf("the socket goes on: %s", data)
	}
	if e, ok := err.(*websocket.CloseError); ok {
		return e.Code
	}
	c.r.t.Fatalf("no close: %v", err)
	return 0
}
