package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
)

// client is one request on a TCP connection of its own, so that a test decides
// when it reads, and when and how it is gone.
type client struct {
	t    testing.TB
	conn *net.TCPConn
	in   *bufio.Reader
	resp *http.Response // after answer
	body *bufio.Reader
}

// send puts a request on the wire and reads nothing. A header is "Name: value".
func send(t testing.TB, g *gateway.Gateway, method, path, body string, headers ...string) *client {
	t.Helper()
	return sendAs(t, g, g.Token(t), method, path, body, headers...)
}

// sendAs is send with another token, or with none.
func sendAs(t testing.TB, g *gateway.Gateway, token, method, path, body string, headers ...string) *client {
	t.Helper()
	c := dial(t, g)
	host := strings.TrimPrefix(g.URL, "http://")
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		t.Fatalf("send %s %s: %v", method, path, err)
	}
	return c
}

// dial opens a connection, which ends with the test.
func dial(t testing.TB, g *gateway.Gateway) *client {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	c := &client{t: t, conn: conn.(*net.TCPConn)}
	c.in = bufio.NewReader(c.conn)
	c.conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// hangUp closes the connection as the death of the client's process does, and
// returns when. With reset the other side learns of it by a reset, as it does
// where the client had not read everything.
func (c *client) hangUp(reset bool) time.Time {
	if reset {
		c.conn.SetLinger(0)
	}
	at := time.Now()
	c.conn.Close()
	return at
}

// answer reads the response's head.
func (c *client) answer() *http.Response {
	c.t.Helper()
	if c.resp == nil {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			c.t.Fatalf("read the answer's head: %v", err)
		}
		c.resp = resp
		c.body = bufio.NewReader(resp.Body)
	}
	return c.resp
}

// whole reads the response and its body, and closes the connection.
func (c *client) whole() (*http.Response, string) {
	c.t.Helper()
	c.answer()
	body, err := io.ReadAll(c.body)
	if err != nil {
		c.t.Fatalf("read the answer's body: %v", err)
	}
	c.conn.Close()
	return c.resp, string(body)
}

// event is a server-sent event.
type event struct {
	id, name, data string
	comments       int // that stood before it
}

// next reads one event. It returns io.EOF at the proper end of the stream.
func (c *client) next() (event, error) {
	c.answer()
	var e event
	for {
		line, err := c.body.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && (e.data != "" || e.name != ""):
			return e, nil
		case line == "":
			e.id = "" // an id alone sets the position; no event
		case field == "":
			e.comments++
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			e.data += value
		}
	}
}

// mustNext is next, which must not fail.
func (c *client) mustNext() event {
	c.t.Helper()
	e, err := c.next()
	if err != nil {
		c.t.Fatalf("read an event: %v", err)
	}
	return e
}

// waitEvent reads on until an event of the name.
func (c *client) waitEvent(name string) event {
	c.t.Helper()
	for {
		if e := c.mustNext(); e.name == name {
			return e
		}
	}
}

// stream is what a chat completion's event stream brought.
type stream struct {
	text     string
	deltas   int // chunks with text
	done     bool
	failure  *failure
	comments int
	lastID   string
	err      error // of the connection; nil where the stream ended properly
}

// failure is an error as DESIGN has it on the wire.
type failure struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Code    string  `json:"code"`
	Param   *string `json:"param"`
}

// read reads a chat completion's stream to its end, or until it has brought n
// deltas where n is not 0.
func (c *client) read(n int) stream {
	c.t.Helper()
	var s stream
	for n == 0 || s.deltas < n {
		e, err := c.next()
		s.comments += e.comments
		if err != nil {
			if err != io.EOF {
				s.err = err
			}
			return s
		}
		if e.id != "" {
			s.lastID = e.id
		}
		if s.done || s.failure != nil {
			c.t.Errorf("after the end of the stream came %q", e.data)
		}
		if e.data == "[DONE]" {
			s.done = true
			continue
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
			Error   *failure
		}
		if err := json.Unmarshal([]byte(e.data), &chunk); err != nil {
			c.t.Fatalf("a chunk is no JSON: %q", e.data)
		}
		s.failure = chunk.Error
		for _, choice := range chunk.Choices {
			if choice.Delta.Content != "" {
				s.text += choice.Delta.Content
				s.deltas++
			}
		}
	}
	return s
}

// failureOf reads the error in a body.
func failureOf(t testing.TB, body string) failure {
	t.Helper()
	var answer struct{ Error *failure }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error == nil {
		t.Fatalf("not an error's body: %q", body)
	}
	return *answer.Error
}

// chat is the body of a chat completion with one message.
func chat(model, text string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, text)
}

// message is one of a session's messages.
type message struct {
	Role, Content string
	Turn          string `json:"turn_id"`
	Interrupted   bool
}

// messages reads a session's conversation.
func messages(t testing.TB, g *gateway.Gateway, session string) []message {
	t.Helper()
	resp, body := g.Do(t, "GET", "/v1/sessions/"+session+"/messages", "")
	var list struct{ Data []message }
	if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("messages of %s: %s: %s", session, resp.Status, body)
	}
	return list.Data
}

// createSession makes a session by name.
func createSession(t testing.TB, g *gateway.Gateway, id string) {
	t.Helper()
	if resp, body := send(t, g, "POST", "/v1/sessions", fmt.Sprintf(`{"id":%q}`, id)).whole(); resp.StatusCode != http.StatusCreated {
		t.Fatalf("create session %s: %s: %s", id, resp.Status, body)
	}
}

// watch opens a session's event stream and waits until it is there.
func watch(t testing.TB, g *gateway.Gateway, session string, headers ...string) *client {
	t.Helper()
	c := send(t, g, "GET", "/v1/sessions/"+session+"/events", "", headers...)
	if resp := c.answer(); resp.StatusCode != http.StatusOK {
		t.Fatalf("events of %s: %s", session, resp.Status)
	}
	return c
}

// tokenOf makes a token with the command line and waits until the running
// gateway knows it.
func tokenOf(t testing.TB, g *gateway.Gateway, name, owner, scope string) string {
	t.Helper()
	r := gateway.Command(t, nil, "token", "create", "--data-dir", g.DataDir, "--name", name, "--owner", owner, "--scope", scope)
	if r.Code != 0 {
		t.Fatalf("token create: exit %d: %s", r.Code, r.Stderr)
	}
	token := strings.TrimSpace(r.Stdout)
	eventually(t, "the gateway knows the token "+name, func() bool {
		resp, _ := sendAs(t, g, token, "POST", "/v1/ping", "").whole()
		return resp.StatusCode == http.StatusOK
	})
	return token
}
