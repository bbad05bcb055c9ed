package transport

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
)

// client is one connection of a client, in the bare.
type client struct {
	t testing.TB
	net.Conn
	read *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{t: r.t, Conn: c, read: bufio.NewReaderSize(c, 16)}
}

// send writes raw bytes.
func (c *client) send(raw string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// get and post write a request with a token; headers are lines such as "A: b".
func (c *client) get(path string, headers ...string) *client {
	c.t.Helper()
	return c.send(request11("GET", path, "", headers...))
}

func (c *client) post(path, body string, headers ...string) *client {
	c.t.Helper()
	return c.send(request11("POST", path, body, headers...))
}

// request11 is a request as bytes. It carries the chat token unless the headers
// say something about Authorization; an empty "Authorization:" sends none.
func request11(method, path, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	has := func(name string) bool {
		for _, h := range headers {
			if strings.HasPrefix(strings.ToLower(h), strings.ToLower(name)+":") {
				return true
			}
		}
		return false
	}
	if !has("Host") {
		b.WriteString("Host: localhost\r\n")
	}
	if !has("Authorization") {
		b.WriteString("Authorization: Bearer " + chatToken + "\r\n")
	}
	if method == "POST" && !has("Content-Length") && !has("Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	if body != "" && !has("Content-Type") {
		b.WriteString("Content-Type: application/json\r\n")
	}
	for _, h := range headers {
		if h != "Authorization:" {
			b.WriteString(h + "\r\n")
		}
	}
	return b.String() + "\r\n" + body
}

// response reads the head of an answer; its body is read by the caller.
func (c *client) response(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading the answer: %v", err)
	}
	return resp
}

// reply is an answer that has been read to its end.
type reply struct {
	*http.Response
	body string
}

// whole reads an answer to its end.
func (c *client) whole() reply {
	c.t.Helper()
	resp := c.response("GET")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("reading the body after %q: %v", body, err)
	}
	return reply{resp, string(body)}
}

// closed waits until the gateway has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.read)
	if len(rest) > 0 {
		c.t.Errorf("the connection ended with %q", rest)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection was never closed")
	}
}

// hangUp closes the connection as a killed client does.
func (c *client) hangUp() { _ = c.Close() }

// ask makes one request on a connection of its own.
func (r *rig) ask(method, path, body string, headers ...string) reply {
	r.t.Helper()
	c := r.dial().send(request11(method, path, body, headers...))
	resp := c.response(method)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	c.hangUp()
	return reply{resp, string(text)}
}

// into decodes the body.
func (p reply) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.body), v); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
}

// wireError is what the wire tells of an error.
type wireError struct {
	Message *string
	Type    string
	Code    Code
	Param   *string
}

// failure reads an error's body and checks that all four keys are there.
func (p reply) failure(t testing.TB) wireError {
	t.Helper()
	return errorIn(t, p.body)
}

func errorIn(t testing.TB, data string) wireError {
	t.Helper()
	var keys struct{ Error map[string]json.RawMessage }
	var body struct{ Error wireError }
	for _, v := range []any{&keys, &body} {
		if err := json.Unmarshal([]byte(data), v); err != nil {
			t.Fatalf("%v in %q", err, data)
		}
	}
	for _, key := range []string{"message", "type", "code", "param"} {
		if _, there := keys.Error[key]; !there {
			t.Errorf("the error has no %s: %s", key, data)
		}
	}
	if body.Error.Message == nil || *body.Error.Message == "" {
		t.Errorf("the error says nothing: %s", data)
	}
	return body.Error
}

const hello = `{"messages":[{"role":"user","content":"Hello"}]}`
const helloStream = `{"stream":true,"messages":[{"role":"user","content":"Hello"}]}`
