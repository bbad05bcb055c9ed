package transport

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestABodyThatIsTooLargeIsNotRead(t *testing.T) {
	r := newRig(t, func(s *settings) { s.MaxBodyBytes = 100_000 })
	for _, test := range []struct {
		name    string
		headers []string
		body    string // what is sent of it
		status  int
	}{
		{"told by its length", []string{"Content-Length: 100001"}, "", 413},
		{"told by its length, waiting for leave", []string{"Content-Length: 100001", "Expect: 100-continue"}, "", 413},
		{"in chunks", []string{"Transfer-Encoding: chunked"}, "186a1\r\n" + strings.Repeat("x", 100_001), 413},
		{"of a stranger", []string{"Content-Length: 65537", "Authorization:"}, "", 401},
		{"of a stranger, waiting for leave", []string{"Content-Length: 65537", "Authorization:", "Expect: 100-continue"}, "", 401},
		{"of a stranger in chunks", []string{"Transfer-Encoding: chunked", "Authorization:"}, "10001\r\n" + strings.Repeat("x", 65537), 413},
		{"of somebody with a wrong token", []string{"Content-Length: 65537", "Authorization: Bearer nobody"}, "", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			head, _, _ := strings.Cut(request11("POST", "/v1/chat/completions", "", append(test.headers, "Content-Type: application/json")...), "\r\n\r\n")
			got := r.dial().send(head + "\r\n\r\n" + test.body).whole()
			if got.failure(t); got.StatusCode != test.status || !got.Close {
				t.Errorf("%s, closed: %v", got.Status, got.Close)
			}
			checkErrorHeaders(t, got, got.failure(t).Code)
		})
	}
}

func TestABodyThatWaitsForLeaveGetsIt(t *testing.T) {
	r := newRig(t)
	c := r.dial().send(request11("POST", "/v1/ping", "", "Content-Length: 15", "Content-Type: application/json", "Expect: 100-continue"))
	if line, err := c.read.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	if line, err := c.read.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	c.send(`{"message":"x"}`)
	if got := c.whole(); got.StatusCode != 200 {
		t.Errorf("%s", got.Status)
	}
}

func TestABodyOfTheLargestSizeIsTaken(t *testing.T) {
	r := newRig(t, func(s *settings) { s.MaxBodyBytes = 1000 })
	body := `{"message":"` + strings.Repeat("x", 1000-14) + `"}`
	chunked := strconv.FormatInt(int64(len(body)), 16) + "\r\n" + body + "\r\n0\r\n\r\n"
	if got := r.ask("POST", "/v1/ping", body); got.StatusCode != 200 {
		t.Errorf("%s", got.Status)
	}
	if got := r.ask("POST", "/v1/ping", chunked, "Transfer-Encoding: chunked"); got.StatusCode != 200 {
		t.Errorf("in chunks: %s", got.Status)
	}
}

func TestMediaTypes(t *testing.T) {
	r := newRig(t)
	for kind, status := range map[string]int{
		"application/json": 200, "Application/JSON; charset=utf-8": 200, "application/vnd.api+json": 200,
		"text/plain": 415, "multipart/form-data; boundary=x": 415, "application/x-www-form-urlencoded": 415, "json": 415,
	} {
		if got := r.ask("POST", "/v1/ping", `{"message":"x"}`, "Content-Type: "+kind); got.StatusCode != status {
			t.Errorf("%s: %s", kind, got.Status)
		}
	}
	c := r.dial().send("POST /v1/ping HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + chatToken + "\r\nContent-Length: 2\r\n\r\n{}")
	if got := c.whole(); got.StatusCode != 200 {
		t.Errorf("none: %s", got.Status)
	}
}

func TestRequestsThatDoNotArriveInTimeAreCut(t *testing.T) {
	r := newRig(t, func(s *settings) { s.ReadTimeout = 300 * time.Millisecond })
	for name, part := range map[string]string{
		"in the header": "GET /health HTTP/1.1\r\nHost: loc",
		"in the body":   request11("POST", "/v1/ping", "", "Content-Length: 100") + `{"mess`,
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial().send(part)
			if got := c.whole(); got.StatusCode != 408 || got.failure(t).Code != CodeTimeout {
				t.Errorf("%s: %s", got.Status, got.body)
			}
			c.closed()
		})
	}
	t.Run("without a byte there is no answer", func(t *testing.T) { r.dial().closed() })
	t.Run("after a stream there is time, but not within a request", func(t *testing.T) {
		r.agent.always("Hi")
		c := r.dial().post("/v1/chat/completions", helloStream)
		c.stream().rest()
		time.Sleep(700 * time.Millisecond) // the time limit must have passed
		if got := c.get("/health").whole(); got.StatusCode != 200 {
			t.Errorf("%s", got.Status)
		}
		c.post("/v1/chat/completions", helloStream).stream().rest()
		if got := c.send("GET /health HTTP/1.1\r\nHost: loc").whole(); got.StatusCode != 408 {
			t.Errorf("%s", got.Status)
		}
	})
	t.Run("but a stream goes on", func(t *testing.T) {
		r := newRig(t, func(s *settings) { s.ReadTimeout, s.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond })
		c := r.dial().post("/v1/chat/completions", helloStream)
		turn := r.agent.next()
		turn.says("Hel")
		s := c.stream()
		s.event()
		time.Sleep(700 * time.Millisecond) // the time limits must have passed
		turn.says("lo")
		turn.finish()
		if rest := s.rest(); len(rest) != 2 {
			t.Errorf("%v", rest)
		}
	})
}

// A client that takes nothing at all is given up, so that it holds no buffer.
func TestAStreamWhoseClientTakesNothingIsGivenUp(t *testing.T) {
	r := newRig(t, narrow, func(s *settings) {
		s.WriteTimeout = 50 * time.Millisecond
		s.actors.LogWindow = 64 << 20
	})
	r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	for range 64 {
		select {
		case turn.say <- delta(strings.Repeat("x", 128<<10)):
		case <-turn.cancelled:
			return
		}
	}
	turn.mustBeCancelled()
}

func TestRateLimitHeaders(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 2, time.Hour })
	for i, want := range []struct {
		status    int
		remaining string
	}{{200, "1"}, {200, "0"}, {429, "0"}} {
		got := r.ask("GET", "/v1/models", "")
		h := got.Header
		if got.StatusCode != want.status || h.Get("X-Ratelimit-Limit-Requests") != "2" || h.Get("X-Ratelimit-Remaining-Requests") != want.remaining {
			t.Errorf("request %d: %s %v", i, got.Status, h)
		}
		if reset := h.Get("X-Ratelimit-Reset-Requests"); !strings.HasSuffix(reset, "s") {
			t.Errorf("request %d: reset %q", i, reset)
		}
	}
	if seconds, err := strconv.Atoi(r.ask("GET", "/v1/models", "").Header.Get("Retry-After")); err != nil || seconds < 3000 || seconds > 3600 {
		t.Errorf("Retry-After %d", seconds)
	}
	for name, got := range map[string]reply{
		"another token":   r.ask("GET", "/v1/models", "", "Authorization: Bearer "+otherToken),
		"no token":        r.ask("GET", "/", "", "Authorization:"),
		"what is watched": r.ask("GET", "/health", ""),
	} {
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, got.Status)
		}
	}
	r.server.Reload(Live{})
	if got := r.ask("GET", "/v1/models", ""); got.StatusCode != 200 || got.Header.Get("X-Ratelimit-Limit-Requests") != "" {
		t.Errorf("without a limit: %s %v", got.Status, got.Header)
	}
}

// Guessing tokens counts against the guesser's address.
func TestWrongTokensAreLimitedByAddress(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 2, time.Hour })
	for i, want := range []int{403, 403, 429} {
		if got := r.ask("GET", "/v1/models", "", "Authorization: Bearer guess-"+strconv.Itoa(i)); got.StatusCode != want {
			t.Errorf("guess %d: %s", i, got.Status)
		}
	}
}
