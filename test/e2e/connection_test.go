package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestAWholeAnswerMayBeLargerThanTheWindow(t *testing.T) {
	const size = 3 << 20 // the window is 1 MiB
	up := upstream.New(t)
	up.Set("large", upstream.Script{Deltas: []string{strings.Repeat("x", size)}})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "large"})
	resp, body := g.Do(t, "POST", "/v1/chat/completions", chat("", "x", false))
	if resp.StatusCode != http.StatusOK || len(body) < size {
		t.Errorf("%s, %d bytes: %.200s", resp.Status, len(body), body)
	}
}

func TestAConnectionServesOnAfterAStream(t *testing.T) {
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	c := dial(t, g)
	request := func(text string, stream bool) string {
		body := chat("", text, stream)
		return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", g.Token(t), len(body), body)
	}
	// The second and the third come while the first is answered.
	if _, err := io.WriteString(c.conn, request("first", true)+request("second", true)+request("third", false)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", "second"} {
		if s := c.read(0); !s.done || s.text != text {
			t.Errorf("%s was answered %+v", text, s)
		}
		c.resp = nil
	}
	if _, body := c.whole(); !strings.Contains(body, "third") {
		t.Errorf("third was answered %s", body)
	}
}

func TestAClientOfHTTP10GetsAStreamToo(t *testing.T) {
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	c := dial(t, g)
	body := chat("", "hello", true)
	if _, err := fmt.Fprintf(c.conn, "POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer %s\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", g.Token(t), len(body), body); err != nil {
		t.Fatal(err)
	}
	if s := c.read(0); !s.done || s.text != "hello" || len(c.resp.TransferEncoding) != 0 {
		t.Errorf("it got %+v, encoded %v", s, c.resp.TransferEncoding)
	}
}
