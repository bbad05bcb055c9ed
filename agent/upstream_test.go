package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testKey = "sk-test-secret-0123456789"
	// safetyNet ends a test that would hang.
	safetyNet = 20 * time.Second
)

// exchange is what a test's upstream does with one call.
type exchange func(t *testing.T, w http.ResponseWriter, r *http.Request)

func TestUpstreamFailures(t *testing.T) {
	hello := `data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}` + "\n\n"
	finish := `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done := "data: [DONE]\n\n"
	ok := sends(200, sseType, hello+finish+done)
	tests := []struct {
		name     string
		serves   []exchange // the last one again and again
		timeouts Timeouts
		// What is wanted; calls 0 means one.
		kind    Kind
		status  int
		message string
		text    string
		calls   int
		after   time.Duration
		code    string
	}{
		{name: "an answer", serves: []exchange{ok}, text: "Hel"},
		{name: "401", serves: []exchange{sends(401, jsonType, `{"error":{"message":"Incorrect API key provided: `+testKey+`.","type":"invalid_request_error","code":"invalid_api_key"}}`)},
			kind: KindStatus, status: 401, message: "Incorrect API key provided: [redacted].", code: "invalid_api_key"},
		{name: "429 with a short Retry-After is waited out", serves: []exchange{retryAfter("1"), ok}, text: "Hel", calls: 2},
		{name: "429 with a long Retry-After is returned", serves: []exchange{retryAfter("31"), ok},
			kind: KindStatus, status: 429, message: "slow down", after: 31 * time.Second},
		{name: "500 then an answer", serves: []exchange{sends(500, "", "oops"), ok}, text: "Hel", calls: 2},
		{name: "500 always", serves: []exchange{sends(500, "text/plain", "oops\n")},
			kind: KindStatus, status: 500, message: "oops", calls: 3},
		{name: "529 then an answer", serves: []exchange{sends(529, "", ""), ok}, text: "Hel", calls: 2},
		{name: "400 is not tried again", serves: []exchange{sends(400, jsonType, `{"error":"bad model"}`), ok},
			kind: KindStatus, status: 400, message: "bad model"},
		{name: "an error without a body", serves: []exchange{sends(404, "", "")},
			kind: KindStatus, status: 404, message: "404 Not Found"},
		{name: "an error as a page", serves: []exchange{sends(403, "text/html", "<html><TITLE>Access denied</TITLE>...")},
			kind: KindStatus, status: 403, message: "it answered with an HTML page: Access denied"},
		{name: "a redirect to another host", serves: []exchange{redirects("http://192.0.2.1/v1/")},
			kind: KindStatus, status: 307, message: "http://192.0.2.1/v1/"},
		{name: "a redirect that would lose the body", serves: []exchange{sendsHeader(301, "Location", "/elsewhere")},
			kind: KindStatus, status: 301, message: "/elsewhere"},
		{name: "cut before any byte", serves: []exchange{cuts(""), ok},
			kind: KindCut, message: "without an answer"},
		{name: "cut in the middle of a delta", serves: []exchange{cuts("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n" + hello + `data: {"choi`)},
			kind: KindCut, message: "broke off", text: "Hel"},
		{name: "cut between two deltas", serves: []exchange{cuts("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(hello))},
			kind: KindCut, message: "broke off", text: "Hel"},
		{name: "no HTTP at all", serves: []exchange{cuts("220 mail.example ESMTP\r\n")},
			kind: KindMalformed, message: "no proper HTTP answer"},
		{name: "garbage for a chunk", serves: []exchange{sends(200, sseType, hello+"data: garbage\n\n"+hello)},
			kind: KindMalformed, message: "not a JSON object", text: "Hel"},
		{name: "garbage instead of a stream", serves: []exchange{sends(200, sseType, "garbage\nand more of it\n")},
			kind: KindCut, message: "ended before its end was told"},
		{name: "a page instead of a stream", serves: []exchange{sends(200, "text/html; charset=utf-8", "<html><title>Welcome</title>")},
			kind: KindMalformed, message: "Welcome"},
		{name: "a page without a content type", serves: []exchange{sends(200, "", "\n <html><title>Welcome</title>")},
			kind: KindMalformed, message: "Welcome"},
		{name: "a line of 50 MB", serves: []exchange{sendsLongLine},
			kind: KindMalformed, message: "line too long", text: "Hel"},
		{name: "silence before the headers", serves: []exchange{isSilent, ok},
			timeouts: Timeouts{FirstByte: 30 * time.Millisecond},
			kind:     KindTimeout, message: "no answer"},
		{name: "silence in the middle", serves: []exchange{all(sendsPart(hello), isSilent), ok},
			timeouts: Timeouts{Idle: 30 * time.Millisecond},
			kind:     KindTimeout, message: "no byte for", text: "Hel"},
		{name: "silence after the headers", serves: []exchange{all(sendsPart(""), isSilent), ok},
			timeouts: Timeouts{Idle: 30 * time.Millisecond},
			kind:     KindTimeout, message: "no byte for"},
		{name: "an error object in the stream", serves: []exchange{sends(200, sseType, hello+`data: {"error":{"message":"boom `+testKey+`","type":"server_error","code":null}}`+"\n\n"+done)},
			kind: KindCut, message: "boom [redacted]", text: "Hel"},
		{name: "an error object with a status in the stream", serves: []exchange{sends(200, sseType, `data: {"error":{"message":"too many tokens","type":"BadRequestError","code":400}}`+"\n\n"+done)},
			kind: KindStatus, status: 400, message: "too many tokens", code: "400"},
		{name: "an error event in the stream", serves: []exchange{sends(200, sseType, hello+"event: error\ndata: {\"message\":\"boom\"}\n\n")},
			kind: KindCut, message: "boom", text: "Hel"},
		{name: "no [DONE] after a finish reason", serves: []exchange{sends(200, sseType, hello+finish)}, text: "Hel"},
		{name: "cut after a finish reason", serves: []exchange{cuts("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(hello+finish))},
			text: "Hel"},
		{name: "silence after a finish reason", serves: []exchange{all(sendsPart(hello+finish), isSilent)},
			timeouts: Timeouts{Idle: timeoutUnderTest}, text: "Hel"},
		{name: "no [DONE], and one of two choices is not finished", serves: []exchange{sends(200, sseType, hello+`data: {"choices":[{"index":1,"delta":{"content":"x"}}]}`+"\n\n"+finish)},
			kind: KindCut, message: "ended before its end was told", text: "Hel"},
		{name: "no [DONE], and both of two choices are finished", serves: []exchange{sends(200, sseType, hello+finish+`data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}`+"\n\n")},
			text: "Hel"},
		{name: "a chunk that is an error", serves: []exchange{sends(200, sseType, hello+`data: {"object":"error","message":"boom","type":"BadRequestError","code":400}`+"\n\n"+done)},
			kind: KindStatus, status: 400, message: "boom", text: "Hel", code: "400"},
		{name: "an error of a known type in the stream", serves: []exchange{sends(200, sseType, hello+`data: {"error":{"message":"boom","type":"overloaded_error"}}`+"\n\n")},
			kind: KindStatus, status: 529, message: "boom", text: "Hel"},
		{name: "data without a space, lines with CRLF", serves: []exchange{sends(200, sseType, strings.NewReplacer("data: ", "data:", "\n", "\r\n").Replace(hello+finish+done))}, text: "Hel"},
		{name: "usage after the finish reason", serves: []exchange{sends(200, sseType, hello+finish+`data: {"choices":[],"usage":{"total_tokens":1}}`+"\n\n"+done)}, text: "Hel"},
		{name: "no [DONE] and no finish reason", serves: []exchange{sends(200, sseType, hello)},
			kind: KindCut, message: "ended before its end was told", text: "Hel"},
		{name: "an empty stream", serves: []exchange{sends(200, sseType, "")},
			kind: KindCut, message: "ended before its end was told"},
		{name: "no content type", serves: []exchange{sends(200, "", ": hello\n\n"+hello+finish+done)}, text: "Hel"},
		{name: "an error object answered with 200", serves: []exchange{sends(200, jsonType, `{"error":{"message":"boom","code":"bad"}}`)},
			kind: KindCut, message: "boom", code: "bad"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls, url := serve(t, tt.serves...)
			o := testOpenAI(t, url, tt.timeouts, nil)
			text, result, err := run(t, o, &Request{Model: "m"})
			if text != tt.text {
				t.Errorf("text %q, want %q", text, tt.text)
			}
			if want := max(tt.calls, 1); int(calls.Load()) != want {
				t.Errorf("the upstream was called %d times, want %d", calls.Load(), want)
			}
			if tt.kind == "" {
				if err != nil || result.FinishReason != "stop" {
					t.Fatalf("it failed: %v, finish reason %q", err, result.FinishReason)
				}
				return
			}
			e := asError(t, err)
			if e.Kind != tt.kind || e.Status != tt.status || e.Provider != "test" || e.RetryAfter != tt.after || e.UpstreamCode != tt.code {
				t.Errorf("got %+v", e)
			}
			if !strings.Contains(e.Message, tt.message) {
				t.Errorf("message %q, want %q in it", e.Message, tt.message)
			}
		})
	}
}

func TestUpstreamRefusesTheConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	seen := &countingObserver{}
	_, _, err = run(t, testOpenAI(t, "http://"+l.Addr().String(), Timeouts{}, seen), &Request{Model: "m"})
	if e := asError(t, err); e.Kind != KindConnect {
		t.Errorf("got %+v, want KindConnect", e)
	}
	if seen.retries.Load() != 2 {
		t.Errorf("%d retries were told, want 2", seen.retries.Load())
	}
}

func TestUpstreamConnectTimeout(t *testing.T) {
	// A listener that is never accepted from: TCP connects, TLS does not.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: "https://" + l.Addr().String(),
		Timeouts: Timeouts{Connect: 20 * time.Millisecond}, Retry: Retry{Max: -1}})
	defer o.Close()
	_, _, err = run(t, o, &Request{Model: "m"})
	if e := asError(t, err); e.Kind != KindTimeout || !strings.Contains(e.Message, "no connection") {
		t.Errorf("got %+v, want KindTimeout", e)
	}
}

func TestBaseURLs(t *testing.T) {
	for _, base := range []string{"", "host/v1", "ftp://host", "http://", "http://[", "http://a b/"} {
		o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: base})
		_, _, err := run(t, o, &Request{Model: "m"})
		if e := asError(t, err); e.Kind != KindInvalid || !strings.Contains(e.Message, "base_url") {
			t.Errorf("%q: got %+v, want KindInvalid", base, e)
		}
	}
	up := newUpstream(upstreamOptions{BaseURL: " https://host/openai/v1/?api-version=7 "})
	if got := up.url("/models"); got != "https://host/openai/v1/models?api-version=7" {
		t.Errorf("got %s", got)
	}
}

// TestUpstreamThatDoesNotRead is about a request larger than what lies between.
func TestUpstreamThatDoesNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := testOpenAI(t, "http://"+l.Addr().String(), Timeouts{FirstByte: timeoutUnderTest}, nil)
	_, _, err = run(t, o, &Request{Model: "m", Messages: []Message{{Role: "user", Text: strings.Repeat("x", 32<<20)}}})
	if e := asError(t, err); e.Kind != KindTimeout || !strings.Contains(e.Message, "no answer") {
		t.Errorf("got %+v, want KindTimeout", e)
	}
}

func TestURLsWithQueries(t *testing.T) {
	tests := []struct{ base, path, want string }{
		{"http://h/v1", "/models", "http://h/v1/models"},
		{"http://h/v1", "/models?limit=5", "http://h/v1/models?limit=5"},
		{"http://h/v1?key=a%20b", "/models", "http://h/v1/models?key=a%20b"},
		{"http://h/v1?key=a", "/models?limit=5&after=x%2Fy", "http://h/v1/models?key=a&limit=5&after=x%2Fy"},
	}
	for _, tt := range tests {
		if got := newUpstream(upstreamOptions{BaseURL: tt.base}).url(tt.path); got != tt.want {
			t.Errorf("%s and %s: got %s, want %s", tt.base, tt.path, got, tt.want)
		}
	}
}

func TestCancelReachesTheUpstream(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, when := range []string{"before the headers", "in the middle", "while waiting to retry"} {
			t.Run(protocol+" "+when, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(ended)
					if r.Proto != protocol {
						t.Errorf("it came by %s", r.Proto)
					}
					io.Copy(io.Discard, r.Body)
					switch when {
					case "before the headers":
						cancel()
					case "in the middle":
						sendsPart(`data: {"choices":[{"delta":{"content":"a"}}]}`+"\n\n")(t, w, r)
					default:
						retryAfter("30")(t, w, r)
						return
					}
					waitFor(t, r.Context().Done(), "the end of the call at the upstream")
				})
				o := protocolOpenAI(t, handler, protocol == "HTTP/2.0")
				if when == "while waiting to retry" {
					go func() { <-ended; cancel() }()
				}
				_, err := o.Run(ctx, &Request{Model: "m"}, func([]Delta) { cancel() })
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want the context's error", err)
				}
				waitFor(t, ended, "the upstream")
			})
		}
	}
}

func TestHTTP2Stream(t *testing.T) {
	o := protocolOpenAI(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("it came by %s", r.Proto)
		}
		sends(200, sseType, string(testStream(100)))(t, w, r)
	}), true)
	text, result, err := run(t, o, &Request{Model: "m"})
	if err != nil || text != strings.Repeat(" token", 99) || result.FinishReason != "stop" {
		t.Fatalf("got %q, %+v, %v", text, result, err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	tests := map[string]exchange{
		"after a stream": sends(200, sseType, string(testStream(3))),
		"after an error": sends(400, jsonType, `{"error":"no"}`),
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(t, w, r) }))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			o := testOpenAI(t, server.URL, Timeouts{}, nil)
			for range 3 {
				run(t, o, &Request{Model: "m"})
			}
			if connections.Load() != 1 {
				t.Errorf("3 calls took %d connections", connections.Load())
			}
		})
	}
}

func TestACallLostOnAKeptConnectionIsMadeAgain(t *testing.T) {
	answer := sends(200, sseType, string(testStream(2)))
	calls, url := serve(t, answer, cuts(""), answer)
	o := testOpenAI(t, url, Timeouts{}, nil)
	for range 2 {
		if _, _, err := run(t, o, &Request{Model: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("the upstream was called %d times, want 3", calls.Load())
	}
}

// TestProxyFromEnvironment runs itself in a process of its own, because net/http
// reads the environment once.
func TestProxyFromEnvironment(t *testing.T) {
	const child = "AGENTZERO_TEST_PROXY_CHILD"
	if os.Getenv(child) != "" {
		o := testOpenAI(t, "http://model.invalid/v1", Timeouts{}, nil)
		text, _, err := run(t, o, &Request{Model: "m"})
		if err != nil || text != " token" {
			t.Fatalf("got %q, %v", text, err)
		}
		return
	}
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		sends(200, sseType, string(testStream(2)))(t, w, r)
	}))
	defer proxy.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyFromEnvironment$")
	cmd.Env = append(os.Environ(), child+"=1", "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := asked.Load(); got != "http://model.invalid/v1/chat/completions" {
		t.Errorf("the proxy was asked for %v", got)
	}
}

// run makes a call, and returns the text that came. It checks the deltas.
func run(t *testing.T, a Agent, req *Request) (string, Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), safetyNet)
	defer cancel()
	var whole Assembler
	result, err := a.Run(ctx, req, func(deltas []Delta) {
		if len(deltas) == 0 {
			t.Error("an emit brought nothing")
		}
		for _, d := range deltas {
			checkDelta(t, d)
			whole.Add(d)
		}
	})
	if ctx.Err() != nil {
		t.Fatal("the call did not end")
	}
	if told := tellError(err); strings.Contains(told, testKey) {
		t.Errorf("the key stands in the error: %s", told)
	}
	return whole.Text(), result, err
}

// tellError is all that an error and its causes say.
func tellError(err error) string {
	told := ""
	for ; err != nil; err = errors.Unwrap(err) {
		told += fmt.Sprintf("%v %+v %#v\n", err, err, err)
	}
	return told
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return e
}

func testOpenAI(t *testing.T, url string, timeouts Timeouts, observer Observer) *OpenAI {
	o := NewOpenAI(OpenAIOptions{
		Name: "test", BaseURL: url, APIKey: testKey, Observer: observer,
		Timeouts: timeouts,
		Retry:    Retry{Base: time.Millisecond},
	})
	t.Cleanup(o.Close)
	return o
}

// protocolOpenAI is a provider in front of handler, over HTTP/1.1, or over TLS
// and HTTP/2.
func protocolOpenAI(t *testing.T, handler http.Handler, http2 bool) *OpenAI {
	server := httptest.NewUnstartedServer(handler)
	if !http2 {
		server.Start()
		t.Cleanup(server.Close)
		o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: server.URL})
		t.Cleanup(o.Close)
		return o
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: server.URL})
	o.up.client.Transport.(*plainTransport).other.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	t.Cleanup(o.Close)
	return o
}

// serve starts an upstream that does one exchange after the other, and the last
// of them for ever.
func serve(t *testing.T, exchanges ...exchange) (calls *atomic.Int32, url string) {
	calls = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		io.Copy(io.Discard, r.Body)
		exchanges[min(n, len(exchanges))-1](t, w, r)
	}))
	t.Cleanup(server.Close)
	return calls, server.URL
}

// testServer starts a server for handler, and returns its address.
func testServer(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func sends(status int, contentType, body string) exchange {
	return func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // or net/http guesses one
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func sendsHeader(status int, name, value string) exchange {
	return func(t *testing.T, w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		sends(status, jsonType, `{"error":{"message":"slow down"}}`)(t, w, r)
	}
}

func retryAfter(value string) exchange { return sendsHeader(429, "Retry-After", value) }

func redirects(to string) exchange { return sendsHeader(307, "Location", to) }

func sendsPart(body string) exchange {
	return func(t *testing.T, w http.ResponseWriter, r *http.Request) {
		sends(200, sseType, body)(t, w, r)
		w.(http.Flusher).Flush()
	}
}

// isSilent waits until the caller has gone.
func isSilent(t *testing.T, _ http.ResponseWriter, r *http.Request) {
	waitFor(t, r.Context().Done(), "the caller to give up")
}

func sendsLongLine(t *testing.T, w http.ResponseWriter, r *http.Request) {
	sendsPart(`data: {"choices":[{"delta":{"content":"Hel"}}]}`+"\n\n")(t, w, r)
	io.WriteString(w, "data: ")
	io.Copy(w, &endless{text: "x", left: 50 << 20})
}

// cuts writes raw bytes to the connection, and closes it.
func cuts(raw string) exchange {
	return func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, raw)
		conn.Close()
	}
}

func chunked(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

func all(exchanges ...exchange) exchange {
	return func(t *testing.T, w http.ResponseWriter, r *http.Request) {
		for _, e := range exchanges {
			e(t, w, r)
		}
	}
}

func waitFor[T any](t *testing.T, signal <-chan T, what string) {
	select {
	case <-signal:
	case <-time.After(safetyNet):
		t.Errorf("waited in vain for %s", what)
	}
}

type countingObserver struct{ retries atomic.Int32 }

func (o *countingObserver) UpstreamRetry(provider string) {
	if provider == "test" {
		o.retries.Add(1)
	}
}

// timeoutUnderTest is short, and longer than a loopback needs.
const timeoutUnderTest = 30 * time.Millisecond
