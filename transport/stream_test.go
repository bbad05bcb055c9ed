package transport

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
)

// chunkID finds what differs from answer to answer in a stream.
var chunkID = regexp.MustCompile(`"id":"chatcmpl-[0-9a-z]{24}"|"created":[0-9]{10}|(?m)^id: [0-9a-z]{8}-`)

// golden puts fixed words in the place of what differs.
func golden(stream string) string {
	return chunkID.ReplaceAllStringFunc(stream, func(s string) string {
		switch s[:4] {
		case `"id"`:
			return `"id":"ID"`
		case `"cre`:
			return `"created":NOW`
		default:
			return "id: EPOCH-"
		}
	})
}

func TestChunksOfAStream(t *testing.T) {
	const chunks = `data: {"id":"ID","object":"chat.completion.chunk","created":NOW,"model":"m","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}

data: {"id":"ID","object":"chat.completion.chunk","created":NOW,"model":"m","choices":[{"index":0,"delta":{"content":"lo \"you\"\n"},"finish_reason":null}]}

`
	const usage = `data: {"id":"ID","object":"chat.completion.chunk","created":NOW,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}

`
	const done = "data: [DONE]\n\n"
	for _, test := range []struct{ name, body, session, want string }{
		{name: "without a session", body: helloStream, want: chunks + done},
		{name: "with the usage asked for", want: chunks + usage + done,
			body: `{"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}`},
		{name: "of a named session", body: helloStream, session: "s",
			want: strings.Replace(strings.Replace(strings.Replace(chunks, "data", "id: EPOCH-2\ndata", 1), "\n\ndata", "\n\nid: EPOCH-3\ndata", 1)+done, "data: [", "id: EPOCH-4\ndata: [", 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			var headers []string
			if test.session != "" {
				headers = append(headers, "X-Session-Id: "+test.session)
			}
			c := r.dial().post("/v1/chat/completions", test.body, headers...)
			turn := r.agent.next()
			turn.says("Hel", "lo \"you\"\n")
			turn.finish()
			got := c.whole()
			if text := golden(got.body); text != test.want {
				t.Errorf("the stream is\n%s\nwant\n%s", text, test.want)
			}
			if ids := regexp.MustCompile(`chatcmpl-[0-9a-z]+`).FindAllString(got.body, -1); !same(ids) {
				t.Errorf("the id changes in the stream: %q", ids)
			}
			checkStreamHeaders(t, got.Header, test.session)
		})
	}
}

func same(texts []string) bool {
	for _, text := range texts {
		if text != texts[0] {
			return false
		}
	}
	return true
}

func checkStreamHeaders(t *testing.T, h http.Header, session string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache, no-transform",
		"X-Accel-Buffering": "no", "X-Queue-Position": "0",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := h.Get("X-Session-Id"); session != "" && got != session || session == "" && !strings.HasPrefix(got, "stateless_") {
		t.Errorf("X-Session-Id is %q", got)
	}
	for _, name := range []string{"X-Request-Id", "X-Turn-Id", "Date"} {
		if h.Get(name) == "" {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestTwoStreamsHaveTwoIDs(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	id := regexp.MustCompile(`chatcmpl-[0-9a-z]+`)
	one := r.ask("POST", "/v1/chat/completions", helloStream).body
	two := r.ask("POST", "/v1/chat/completions", helloStream).body
	if id.FindString(one) == id.FindString(two) {
		t.Errorf("both are %s", id.FindString(one))
	}
}

func TestAWholeAnswer(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	var got struct {
		ID, Object, Model string
		Created           int64
		Choices           []struct {
			Index        int
			Message      agent.Message
			FinishReason string `json:"finish_reason"`
		}
		Usage map[string]int
	}
	r.ask("POST", "/v1/chat/completions", hello).into(t, &got)
	if !strings.HasPrefix(got.ID, "chatcmpl-") || got.Object != "chat.completion" || got.Model != "m" || got.Created == 0 || got.Usage["total_tokens"] != 5 ||
		len(got.Choices) != 1 || got.Choices[0].Message.Text != "Hi" || got.Choices[0].FinishReason != "stop" {
		t.Errorf("%+v", got)
	}
}

// A model's name is the upstream's to choose, and need not be printable.
func TestNamesOfModelsAreWrittenAsJSON(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", `{"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`)
	turn := r.agent.next()
	odd := finished
	odd.Model = "m\x7f\u202e\U0001f600"
	turn.end <- outcome{result: odd}
	for _, e := range c.stream().rest() {
		if e.data != "[DONE]" && !json.Valid([]byte(e.data)) {
			t.Errorf("no JSON: %s", e.data)
		}
	}
}

func TestAStreamThatFailsEndsWithTheError(t *testing.T) {
	for name, session := range map[string]string{"without a session": "", "in a session": "s"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			path, body := "/v1/chat/completions", helloStream
			c := r.dial()
			if session != "" {
				c.post(path, body, "X-Session-Id: "+session)
			} else {
				c.post(path, body)
			}
			turn := r.agent.next()
			turn.says("Hel")
			s := c.stream()
			s.event()
			turn.fail(&agent.Error{Kind: agent.KindCut, Message: "the answer broke off"})
			rest := s.rest()
			if len(rest) != 1 {
				t.Fatalf("after the delta came %v", rest)
			}
			if e := errorIn(t, rest[0].data); e.Code != CodeAgentFailed {
				t.Errorf("the error is %s", e.Code)
			}
			// The connection is in order; the stream has ended as HTTP wants it.
			r.agent.always("Hi")
			if got := c.post(path, hello).whole(); got.StatusCode != 200 {
				t.Errorf("the next request: %s", got.Status)
			}
		})
	}
}

func TestAnEarlyFailureKeepsItsStatus(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	turn.fail(&agent.Error{Kind: agent.KindStatus, Status: 401, Message: "wrong key"})
	got := c.whole()
	if e := got.failure(t); got.StatusCode != 401 || e.Code != CodeAgentFailed {
		t.Errorf("%s %s", got.Status, e.Code)
	}
}

func TestALateFailureIsAnEvent(t *testing.T) {
	r := newRig(t, func(s *settings) { s.StatusWait = time.Millisecond })
	c := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	s := c.stream() // the status did not wait for the model
	turn.fail(&agent.Error{Kind: agent.KindStatus, Status: 429, Message: "slow down"})
	rest := s.rest()
	if len(rest) != 1 || errorIn(t, rest[0].data).Type != "rate_limit_error" {
		t.Errorf("%v", rest)
	}
}

func TestSilenceIsFilledWithComments(t *testing.T) {
	short := func(s *settings) { s.StatusWait, s.KeepAlive = time.Millisecond, 5*time.Millisecond }
	comments := func(s *sse) {
		for range 3 {
			if e, ok := s.next(); !ok || e.comment != "keep-alive" {
				s.t.Fatalf("%+v", e)
			}
		}
	}
	t.Run("while the model is silent", func(t *testing.T) {
		r := newRig(t, short)
		c := r.dial().post("/v1/chat/completions", helloStream)
		turn := r.agent.next()
		s := c.stream()
		comments(s)
		turn.says("Hi")
		if e := s.event(); !strings.Contains(e.data, "Hi") {
			t.Errorf("%+v", e)
		}
		comments(s)
		turn.finish()
		if rest := s.rest(); len(rest) != 1 || rest[0].data != "[DONE]" {
			t.Errorf("%v", rest)
		}
	})
	t.Run("while the message waits its turn", func(t *testing.T) {
		r := newRig(t, short)
		r.ask("POST", "/v1/sessions/s/messages", `{"content":"one"}`)
		first := r.agent.next()
		c := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s")
		s := c.stream()
		if got := s.Header.Get("X-Queue-Position"); got != "1" {
			t.Errorf("X-Queue-Position is %q", got)
		}
		comments(s)
		first.finish()
		r.agent.next().finish()
		if rest := s.rest(); len(rest) != 1 || rest[0].data != "[DONE]" {
			t.Errorf("%v", rest)
		}
	})
	t.Run("while nothing happens in a session", func(t *testing.T) {
		r := newRig(t, short)
		r.ask("POST", "/v1/sessions", `{"id":"s"}`)
		s := r.dial().get("/v1/sessions/s/events").stream()
		s.event()
		comments(s)
	})
}

func TestAConnectionServesOnAfterAStream(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	c := r.dial()
	for range 3 {
		if rest := c.post("/v1/chat/completions", helloStream).stream().rest(); len(rest) != 2 {
			t.Fatalf("%v", rest)
		}
		if got := c.get("/health").whole(); got.StatusCode != 200 {
			t.Fatalf("%s", got.Status)
		}
	}
}

func TestRequestsSentInOneGoAreAnsweredInTurn(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	all := request11("GET", "/health", "") + request11("POST", "/v1/chat/completions", helloStream) +
		request11("POST", "/v1/chat/completions", hello) + request11("POST", "/v1/chat/completions", helloStream) + request11("POST", "/v1/ping", `{"message":"the last"}`)
	for name, cut := range map[string]int{"at once": len(all), "in two pieces": len(all) / 2, "byte by byte": 1} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			go func() {
				for rest := all; rest != ""; {
					n := min(cut, len(rest))
					if _, err := io.WriteString(c.Conn, rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
			}()
			c.whole()
			c.stream().rest()
			c.whole()
			c.stream().rest()
			if got := c.whole(); !strings.Contains(got.body, "the last") {
				t.Errorf("%s", got.body)
			}
		})
	}
}

// What a client sends during its stream is its next request.
func TestBytesThatComeDuringAStreamAreNotLost(t *testing.T) {
	r := newRig(t)
	c := r.dial().post("/v1/chat/completions", helloStream)
	turn := r.agent.next()
	turn.says("Hel")
	s := c.stream()
	s.event()
	next := request11("POST", "/v1/ping", `{"message":"`+strings.Repeat("x", 3000)+`"}`)
	c.send(next[:10])
	turn.says("lo")
	s.event()
	c.send(next[10:2000])
	turn.finish()
	s.rest()
	c.send(next[2000:])
	if got := c.whole(); !strings.Contains(got.body, strings.Repeat("x", 3000)) {
		t.Errorf("%s", got.body)
	}
}

func TestAnOlderClientGetsAStreamToTheEndOfItsConnection(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	for name, head := range map[string]string{
		"HTTP/1.0":                   "POST /v1/chat/completions HTTP/1.0\r\n",
		"HTTP/1.0 with a host":       "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n",
		"HTTP/1.0 with keep-alive":   "POST /v1/chat/completions HTTP/1.0\r\nConnection: keep-alive\r\n",
		"HTTP/1.1 that wants to end": "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial().send(head + "Authorization: Bearer " + chatToken + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(helloStream)) + "\r\n\r\n" + helloStream)
			s := c.stream()
			if !s.Close {
				t.Error("the connection is not said to be closed")
			}
			if chunked := len(s.TransferEncoding) > 0; chunked != strings.Contains(head, "1.1") {
				t.Errorf("chunked: %v", chunked)
			}
			if rest := s.rest(); len(rest) != 2 || rest[1].data != "[DONE]" {
				t.Errorf("%v", rest)
			}
			c.closed()
		})
	}
}

// The time limit of reading a request is not one of answering it.
func TestASlowAnswerIsNotCut(t *testing.T) {
	r := newRig(t, func(s *settings) { s.ReadTimeout = 300 * time.Millisecond })
	for _, body := range []string{hello, helloStream} {
		c := r.dial().post("/v1/chat/completions", body)
		turn := r.agent.next()
		select {
		case <-turn.cancelled:
			t.Fatal("the call was cancelled")
		case <-time.After(700 * time.Millisecond): // the time limit must have passed
		}
		turn.finish()
		if got := c.whole(); got.StatusCode != 200 {
			t.Errorf("%s", got.Status)
		}
	}
}

// A client may leave in the very moment in which its answer begins.
func TestAHandOverThatFailsLeavesNothingBehind(t *testing.T) {
	r := newRig(t)
	for range 50 {
		c := r.dial()
		_ = c.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
		// The pipelined answer is owed before the stream can begin.
		c.send(request11("GET", "/metrics", "") + request11("POST", "/v1/chat/completions", helloStream))
		turn := r.agent.next()
		turn.says("Hi")
		c.hangUp()
		closes(t, "the call ends", turn.cancelled)
	}
	r.eventually("no stream is counted", func() bool { return r.server.options.Metrics.streams.Get() == 0 })
}
