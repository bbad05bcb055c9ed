package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// httpDoor asks over HTTP/1.1. It keeps its connection between answers, and
// reads a stream with no more than a system call and a scan for each piece.
type httpDoor struct {
	client *client
	conn   net.Conn
	br     *bufio.Reader
	head   fasthttp.ResponseHeader
	used   bool // the connection has answered before
}

func (d *httpDoor) close() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.client.run.conns.remove(d.conn)
		d.conn, d.br, d.used = nil, nil, false
	}
}

func (d *httpDoor) ask(ctx context.Context) error {
	request := d.request()
	fresh := d.conn == nil
	err := d.send(ctx, request)
	if err != nil && !fresh && stale(err) && ctx.Err() == nil {
		// The server closed a kept connection, as it may at any time.
		d.close()
		err = d.send(ctx, request)
	}
	if err != nil {
		return err
	}
	return d.answer()
}

// stale tells of the errors of a connection that was closed between two answers.
func stale(err error) bool {
	kind := kindOf(err)
	return kind == "reset" || kind == "cut off"
}

// send writes the request and reads the answer's head.
func (d *httpDoor) send(ctx context.Context, request []byte) error {
	c := d.client
	if d.conn == nil {
		start := time.Now()
		nc, err := c.dial(ctx)
		if err != nil {
			return err
		}
		c.connected(time.Since(start))
		d.conn, d.br = nc, bufio.NewReaderSize(nc, 4<<10)
	}
	if err := d.conn.SetDeadline(time.Now().Add(c.run.plan.timeout())); err != nil {
		return err
	}
	if _, err := d.conn.Write(request); err != nil {
		return err
	}
	if _, err := d.br.Peek(1); err != nil {
		return err
	}
	if err := d.head.Read(d.br); err != nil {
		return fail("protocol", "read the head of the answer: %w", err)
	}
	return nil
}

// answer reads what follows the head.
func (d *httpDoor) answer() error {
	if status := d.head.StatusCode(); status >= 300 {
		return d.refused(status)
	}
	if d.client.run.plan.Door == Completions {
		if !bytes.HasPrefix(d.head.ContentType(), []byte("text/event-stream")) {
			return fail("protocol", "the answer is %q, no event stream", d.head.ContentType())
		}
		return d.stream()
	}
	if err := d.body(func([]byte, int64) error { return nil }); err != nil {
		return err
	}
	now := time.Now()
	return d.client.delta(now.UnixNano(), -1)
}

// stream reads an event stream to its [DONE].
func (d *httpDoor) stream() error {
	var (
		l    lines
		done bool
	)
	err := d.body(func(b []byte, now int64) error {
		return l.feed(b, func(line []byte) error {
			data, ok := bytes.CutPrefix(line, []byte("data:"))
			if !ok {
				return nil
			}
			data = bytes.TrimPrefix(data, []byte(" "))
			if string(data) == "[DONE]" {
				done = true
				return nil
			}
			return d.client.event(data, now)
		})
	})
	switch {
	case err != nil:
		return err
	case !done:
		return fail("truncated", "the stream ended without [DONE]")
	}
	return nil
}

// event takes one event of a completion in.
func (c *client) event(data []byte, now int64) error {
	if bytes.HasPrefix(data, []byte(`{"error"`)) {
		return fail("error event", "%.200s", data)
	}
	seen := c.seen
	if err := c.took(data, now); err != nil || c.seen > seen {
		return err
	}
	if c.run.plan.Model == "" {
		return nil
	}
	// A real model: its text has no stamps.
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(data, &chunk); err != nil {
		return fail("protocol", "an event is no JSON: %.200s", data)
	}
	if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
		return c.delta(now, -1)
	}
	return nil
}

// body reads the answer's body, whatever its framing, and passes on each piece
// with the time when it came.
func (d *httpDoor) body(piece func(b []byte, now int64) error) error {
	var (
		c       = d.client
		chunks  dechunker
		left    = d.head.ContentLength()
		chunked = left == -1
		timeout = c.run.plan.timeout()
		limit   = time.Now().Add(timeout)
	)
	for left != 0 {
		if _, err := d.br.Peek(1); err != nil {
			if left == -2 && errors.Is(err, io.EOF) { // ends with its connection
				d.close()
				return nil
			}
			return err
		}
		now := time.Now()
		b, _ := d.br.Peek(d.br.Buffered())
		over, err := false, error(nil)
		switch {
		case chunked:
			over, err = chunks.feed(b, func(b []byte) error { return piece(b, now.UnixNano()) })
		case left > 0:
			b = b[:min(left, len(b))]
			left -= len(b)
			err = piece(b, now.UnixNano())
		default:
			err = piece(b, now.UnixNano())
		}
		c.run.bytes.Add(int64(len(b)))
		_, _ = d.br.Discard(len(b)) // it is buffered
		if err != nil {
			return err
		}
		if over {
			break
		}
		if limit.Sub(now) < timeout*3/4 { // to set it costs more than to look
			limit = now.Add(timeout)
			if err := d.conn.SetReadDeadline(limit); err != nil {
				return err
			}
		}
	}
	if d.head.ConnectionClose() {
		d.close()
	}
	return nil
}

// maxRefusal is how much of a refusal's body is looked at.
const maxRefusal = 4 << 10

// refused reads an error's body for the reason in it.
func (d *httpDoor) refused(status int) error {
	var body []byte
	if err := d.body(func(b []byte, _ int64) error {
		body = append(body, b[:min(len(b), maxRefusal-len(body))]...)
		return nil
	}); err != nil {
		return err
	}
	kind := "status " + strconv.Itoa(status)
	var e struct {
		Error struct {
			Code any `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) == nil {
		if code, ok := e.Error.Code.(string); ok && code != "" {
			kind += " " + code
		}
	}
	return fail(kind, "%.200s", body)
}

// request is the whole request, head and body.
func (d *httpDoor) request() []byte {
	r, c := d.client.run, d.client
	var body struct {
		Model     string            `json:"model,omitempty"`
		Stream    bool              `json:"stream,omitempty"`
		Messages  []json.RawMessage `json:"messages,omitempty"`
		Message   string            `json:"message,omitempty"`
		SessionID string            `json:"session_id,omitempty"`
	}
	session := c.session()
	path := "/v1/chat/completions"
	body.Model = r.plan.model()
	switch r.plan.Door {
	case Chat:
		path, body.Message, body.SessionID = "/api/chat", r.prompt, session
	case Webhook:
		path, body.Message, body.Model = "/v1/webhook/"+r.plan.Channel, r.prompt, ""
	default:
		body.Stream = true
		message, _ := json.Marshal(map[string]string{"role": "user", "content": r.prompt}) // strings cannot fail
		body.Messages = []json.RawMessage{message}
	}
	text, _ := json.Marshal(body) // strings cannot fail
	req, err := http.NewRequest(http.MethodPost, "http://"+r.address.host+r.address.prefix+path, bytes.NewReader(text))
	if err != nil {
		panic(err) // the URL was parsed before the run
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "agentzero-bench")
	if r.target.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.target.Token)
	}
	if r.plan.Door == Webhook {
		deliver(req.Header, r.key, fmt.Sprintf("bench-%s-%d-%d", r.name, c.id, c.turns), time.Now(), text)
	}
	if session != "" {
		req.Header.Set("X-Session-Id", session)
	}
	var wire strings.Builder
	_ = req.Write(&wire) // into memory
	return []byte(wire.String())
}
