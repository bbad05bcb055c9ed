package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// failing is a way for the upstream to fail, and what the gateway's client is
// told. All answers have three deltas.
type failing struct {
	script upstream.Script
	down   bool // nobody listens

	// stream and whole are the statuses of a call that streams and of one that
	// does not; 200 for a stream means that the error comes as an event. whole
	// is 0 where the failure can only be one of a stream.
	stream, whole int
	text          string // that came before the failure
	code          string // of the error
	kind          string // of the provider's error in the metrics
	retryAfter    string
	timeout       string // X-Request-Timeout of the call that does not stream
	says          string // a part of the message
}

func failures() map[string]failing {
	const agentFailed = "agent_execution_failed"
	const never = time.Hour
	count := func(s upstream.Script) upstream.Script {
		s.Deltas = upstream.Count(3)
		return s
	}
	m := map[string]failing{
		"refuses the connection": {down: true, stream: 502, whole: 502, code: agentFailed, kind: "connect"},
		"answers 401": {script: upstream.Script{Fault: upstream.FaultStatus, Status: 401, ErrorMessage: "Incorrect API key provided."},
			stream: 401, whole: 401, code: agentFailed, kind: "status", says: "Incorrect API key provided."},
		"answers 403": {script: upstream.Script{Fault: upstream.FaultStatus, Status: 403},
			stream: 403, whole: 403, code: agentFailed, kind: "status"},
		"answers 429 with Retry-After": {script: upstream.Script{Fault: upstream.FaultStatus, Status: 429, RetryAfter: 7, ErrorMessage: "Slow down."},
			stream: 429, whole: 429, code: agentFailed, kind: "status", retryAfter: "7", says: "Slow down."},
		"answers 500": {script: upstream.Script{Fault: upstream.FaultStatus, Status: 500, ErrorMessage: "Out of memory."},
			stream: 500, whole: 500, code: agentFailed, kind: "status", says: "Out of memory."},
		"drops the connection": {script: upstream.Script{Fault: upstream.FaultDrop},
			stream: 502, whole: 502, code: agentFailed, kind: "cut"},
		"answers with a web page": {script: upstream.Script{Fault: upstream.FaultHTML},
			stream: 502, whole: 502, code: agentFailed, kind: "malformed"},
		"says nothing at all": {script: upstream.Script{Wait: never},
			stream: 504, whole: 504, code: "timeout", kind: "timeout", timeout: "300ms"},
	}
	// What can go wrong within a stream goes wrong at its beginning (the status
	// is still open), in its middle, and when all but the end has been said.
	for fault, f := range map[upstream.Fault]failing{
		upstream.FaultCut:      {whole: 502, code: agentFailed, kind: "cut"},
		upstream.FaultEnd:      {whole: 502, code: agentFailed, kind: "cut"},
		upstream.FaultGarbage:  {whole: 502, code: agentFailed, kind: "malformed"},
		upstream.FaultError:    {whole: 502, code: agentFailed, kind: "cut", says: "The upstream was told to fail."},
		upstream.FaultSilence:  {whole: 504, code: "timeout", kind: "timeout", timeout: "300ms"},
		upstream.FaultHugeLine: {code: agentFailed, kind: "malformed"},
	} {
		for after, when := range map[int]string{0: "at the beginning", 1: "in the middle", 3: "at the end"} {
			f := f
			f.script = count(upstream.Script{Fault: fault, After: after})
			f.text = joined(after)
			f.stream = http.StatusOK
			if after == 0 {
				f.stream = http.StatusBadGateway
				if f.code == "timeout" {
					f.stream = http.StatusGatewayTimeout
				}
			} else {
				f.whole = 0 // a call that does not stream has one place to fail
			}
			m[fmt.Sprintf("%s %s", fault, when)] = f
		}
	}
	return m
}

func TestEveryFailureOfTheUpstreamIsTold(t *testing.T) {
	up := upstream.New(t)
	dead := upstream.New(t)
	dead.Down()
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Config: fmt.Sprintf(`
[providers.mock]
max_retries = 0
first_byte_timeout = "300ms"
idle_timeout = "300ms"
[providers.dead]
kind = "openai"
base_url = %q
max_retries = 0
`, dead.URL())})
	g.Token(t)
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			model, provider := "m-"+letters(name), "mock"
			up.Set(model, f.script)
			if f.down {
				model, provider = "dead/"+model, "dead"
			}
			session := letters(name)
			before := metricsOf(t, g)
			f.checkStream(t, send(t, g, "POST", "/v1/chat/completions", chat(model, "x", true), "X-Session-Id: "+session+"-stream"))
			f.checkKept(t, g, session+"-stream")

			s := connect(t, g, "session="+session+"-ws")
			s.ask(model, "x")
			f.checkSocket(t, s)
			f.checkKept(t, g, session+"-ws")

			failed := 2.0
			if f.whole != 0 {
				failed++
				var headers []string
				if f.timeout != "" {
					headers = append(headers, "X-Request-Timeout: "+f.timeout)
				}
				resp, body := send(t, g, "POST", "/v1/chat/completions", chat(model, "x", false), headers...).whole()
				f.checkAnswer(t, f.whole, resp, body)
			}
			for _, metric := range []string{
				fmt.Sprintf("agentzero_provider_errors_total{provider=%q,kind=%q}", provider, f.kind),
				fmt.Sprintf("agentzero_gateway_errors_total{code=%q}", f.code),
			} {
				waitMetric(t, g, metric, before[metric]+failed)
			}
		})
	}
	checkFates(t, g)
}

// checkStream reads the answer of a call that streams.
func (f failing) checkStream(t *testing.T, c *client) {
	t.Helper()
	if f.stream != http.StatusOK {
		resp, body := c.whole()
		f.checkAnswer(t, f.stream, resp, body)
		return
	}
	resp := c.answer()
	s := c.read(0)
	if resp.StatusCode != http.StatusOK || s.text != f.text || s.err != nil {
		t.Errorf("the stream: %s, %+v, want the text %q", resp.Status, s, f.text)
	}
	if s.done {
		t.Error("the stream of an upstream that failed ended with [DONE]")
	}
	if s.failure == nil || s.failure.Code != f.code || !strings.Contains(s.failure.Message, f.says) {
		t.Errorf("the stream ended with the error %+v, want %s", s.failure, f.code)
	}
}

// checkAnswer looks at an answer with a status of its own.
func (f failing) checkAnswer(t *testing.T, status int, resp *http.Response, body string) {
	t.Helper()
	e := failureOf(t, body)
	if resp.StatusCode != status || e.Code != f.code || e.Message == "" || e.Type == "" || !strings.Contains(e.Message, f.says) {
		t.Errorf("%s: %s; want %d %s", resp.Status, body, status, f.code)
	}
	if got := resp.Header.Get("Retry-After"); got != f.retryAfter {
		t.Errorf("Retry-After is %q, want %q", got, f.retryAfter)
	}
}

// checkSocket reads a turn's end from a WebSocket.
func (f failing) checkSocket(t *testing.T, s *socket) {
	t.Helper()
	text, last := s.hearTurn()
	if text != f.text || last.Type != "error" || last.Code != f.code || last.Message == "" || !strings.Contains(last.Message, f.says) {
		t.Errorf("the WebSocket heard %q and %+v, want %q and the error %s", text, last, f.text, f.code)
	}
}

// checkKept looks whether the partial answer is kept, and nothing where there
// is none.
func (f failing) checkKept(t *testing.T, g *gateway.Gateway, session string) {
	t.Helper()
	got := messages(t, g, session)
	if f.text == "" {
		if len(got) != 0 {
			t.Errorf("a message that nothing was said to is kept: %+v", got)
		}
		return
	}
	if len(got) != 2 || got[1].Role != "assistant" || got[1].Content != f.text || !got[1].Interrupted {
		t.Errorf("kept are %+v, want the partial answer %q", got, f.text)
	}
}

func TestASilentUpstreamYieldsKeepAlives(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("m", upstream.Script{Deltas: upstream.Count(2), Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m",
		Config: "[gateway]\nkeep_alive = \"50ms\"\nstatus_wait = \"50ms\"\n"})
	ask := func() *client {
		return send(t, g, "POST", "/v1/chat/completions", chat("m", "x", true), "X-Session-Id: s")
	}
	running, waiting := ask(), ask() // the other is silent because it waits in the queue
	for _, c := range []*client{running, waiting} {
		if resp := c.answer(); resp.StatusCode != http.StatusOK {
			t.Fatalf("the status of a silent stream is %s", resp.Status)
		}
		for range 3 {
			if line, err := c.body.ReadString('\n'); line != ": keep-alive\n" {
				t.Fatalf("read %q, %v, want a keep-alive", line, err)
			}
		}
	}
	close(gate)
	for _, c := range []*client{running, waiting} {
		if s := c.read(0); !s.done || s.text != "1 2 " {
			t.Errorf("after the silence came %+v", s)
		}
	}
}

func TestAnUpstreamThatFailsAfterTheStatusTellsItInTheStream(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("m", upstream.Script{Gate: gate, Fault: upstream.FaultStatus, Status: 401, ErrorMessage: "No."})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Config: "[gateway]\nstatus_wait = \"20ms\"\n"})
	c := send(t, g, "POST", "/v1/chat/completions", chat("m", "x", true))
	if resp := c.answer(); resp.StatusCode != http.StatusOK {
		t.Fatalf("the status is %s", resp.Status)
	}
	close(gate)
	if s := c.read(0); s.done || s.failure == nil || s.failure.Type != "authentication_error" || !strings.Contains(s.failure.Message, "No.") {
		t.Errorf("the stream ended with %+v", s)
	}
}

func TestWithoutAnAgentTheGatewaySaysSo(t *testing.T) {
	g := gateway.Start(t, gateway.Options{Upstream: "http://127.0.0.1:9/v1", Env: []string{"AGENTZERO_AGENT__PROVIDER="}})
	for path, body := range map[string]string{
		"/v1/chat/completions": chat("", "x", true),
		"/api/chat":            `{"message":"x"}`,
		"/webhook":             `{"message":"x"}`,
	} {
		resp, answer := g.Do(t, "POST", path, body)
		if f := failureOf(t, answer); resp.StatusCode != http.StatusServiceUnavailable || f.Code != "agent_unavailable" {
			t.Errorf("%s: %s: %s", path, resp.Status, answer)
		}
	}
}
