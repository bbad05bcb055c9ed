package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// wsDoor talks over /ws/chat. Its connection stays open between answers.
type wsDoor struct {
	client *client
	conn   *websocket.Conn
	raw    net.Conn
	buf    bytes.Buffer
}

func (d *wsDoor) close() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.client.run.conns.remove(d.raw)
		d.conn = nil
	}
}

func (d *wsDoor) ask(ctx context.Context) error {
	if d.conn == nil {
		if err := d.open(ctx); err != nil {
			return err
		}
	}
	if d.client.run.plan.Door == IdleWebSocket {
		return d.idle()
	}
	question, _ := json.Marshal(map[string]string{ // strings cannot fail
		"type": "message", "content": d.client.run.prompt, "model": d.client.run.plan.model(),
	})
	if err := d.conn.WriteMessage(websocket.TextMessage, question); err != nil {
		return err
	}
	for {
		frame, now, err := d.next()
		if err != nil {
			return err
		}
		over, err := d.client.frame(frame, now)
		if over || err != nil {
			return err
		}
	}
}

// wsWriteBuffers are shared: a client writes only its questions.
var wsWriteBuffers sync.Pool

func (d *wsDoor) open(ctx context.Context) error {
	r := d.client.run
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, _, _ string) (nc net.Conn, err error) {
			d.raw, err = d.client.dial(ctx)
			return d.raw, err
		},
		HandshakeTimeout: r.plan.timeout(),
		ReadBufferSize:   1 << 10,
		WriteBufferSize:  1 << 10,
		WriteBufferPool:  &wsWriteBuffers,
	}
	header := make(http.Header)
	if r.target.Token != "" {
		header.Set("Authorization", "Bearer "+r.target.Token)
	}
	url := "ws://" + r.address.host + r.address.prefix + "/ws/chat"
	if session := d.client.session(); session != "" {
		url += "?session=" + session
	}
	start := time.Now()
	conn, resp, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		if d.raw != nil {
			r.conns.remove(d.raw)
			d.raw = nil
		}
		if resp != nil {
			return fail("status "+strconv.Itoa(resp.StatusCode), "WebSocket handshake: %w", err)
		}
		return err
	}
	d.client.connected(time.Since(start))
	d.conn = conn
	return nil
}

// idle reads, and so answers pings, until the connection or the run ends.
func (d *wsDoor) idle() error {
	_ = d.conn.SetReadDeadline(time.Time{}) // of an open connection
	d.client.run.arrived.Add(1)
	defer d.client.run.arrived.Add(-1)
	for {
		if _, _, err := d.conn.NextReader(); err != nil {
			return err
		}
	}
}

// next reads a frame. It is valid until the next call.
func (d *wsDoor) next() (frame []byte, now int64, err error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(d.client.run.plan.timeout())); err != nil {
		return nil, 0, err
	}
	_, reader, err := d.conn.NextReader()
	if err != nil {
		return nil, 0, err
	}
	now = time.Now().UnixNano()
	d.buf.Reset()
	if _, err := io.Copy(&d.buf, io.LimitReader(reader, maxLine)); err != nil {
		return nil, 0, err
	}
	d.client.run.bytes.Add(int64(d.buf.Len()))
	return d.buf.Bytes(), now, nil
}

// frame takes one frame of an answer in. over is the answer's end.
func (c *client) frame(frame []byte, now int64) (over bool, err error) {
	seen := c.seen
	if err := c.took(frame, now); err != nil || c.seen > seen {
		return false, err
	}
	var f struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		return false, fail("protocol", "a frame is no JSON: %.200s", frame)
	}
	switch f.Type {
	case "done":
		return true, nil
	case "error":
		return false, fail("error event", "%s", f.Message)
	case "delta":
		if c.run.plan.Model != "" {
			return false, c.delta(now, -1)
		}
	}
	return false, nil
}
