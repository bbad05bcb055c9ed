package transport

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"agentzero/actors"
)

var sample = regexp.MustCompile(`^([a-z_]+)(\{.*\})? [^ ]+$`)

func TestNoLabelIsAClientsToChoose(t *testing.T) {
	r := newRig(t)
	for _, raw := range []string{
		request11("GET", "/secret-path", ""), request11("SECRETMETHOD", "/health", ""), request11("GET", "/v1/sessions/secret-session", ""),
		request11("GET", "/v1/models/secret-model", ""), request11("GET", "/v1/models?secret=query", ""), "SECRETNONSENSE\r\n\r\n",
		request11("PROPFIND", "/secret-path", ""),
	} {
		r.dial().send(raw).whole()
	}
	text := r.ask("GET", "/metrics", "").body
	if strings.Contains(strings.ToLower(text), "secret") {
		t.Errorf("a client's words are among the metrics:\n%s", text)
	}
	for _, want := range []string{
		`agentzero_gateway_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`agentzero_gateway_requests_total{method="other",route="unmatched",status="404"} 1`,
		`agentzero_gateway_requests_total{method="other",route="unmatched",status="405"} 1`,
		`agentzero_gateway_requests_total{method="GET",route="/v1/sessions/{id}",status="404"} 1`,
		`agentzero_gateway_errors_total{code="not_found"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

func TestEveryFamilyIsDescribedOnceBeforeItsSamples(t *testing.T) {
	r := newRig(t, withChannel(hooks))
	r.agent.always("Hi")
	r.ask("POST", "/v1/chat/completions", hello)
	r.socket("")
	m := r.server.options.Metrics
	m.ProviderCall("p", "cut", time.Second, 1, 2)
	m.UpstreamRetry("p")
	m.delivery("hooks", "accepted")
	m.DeliveryEnded("hooks", "answered", time.Second)
	m.ReplySent("hooks", "sent")
	m.FirstDelta(time.Second)
	m.TurnEnded(actors.FateAnswered, time.Second)
	m.request("GET", "/health", 200, time.Second)

	described := map[string]bool{}
	family := ""
	for line := range strings.Lines(r.ask("GET", "/metrics", "").body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(rest, " ")
			if described[family] {
				t.Errorf("%s is described twice", family)
			}
			described[family] = true
			continue
		}
		if strings.HasPrefix(line, "# TYPE "+family+" ") {
			continue
		}
		parts := sample.FindStringSubmatch(line)
		if parts == nil || !strings.HasPrefix(parts[1], family) {
			t.Errorf("%q stands under %s", line, family)
		}
	}
	for name := range families {
		if !described[name] {
			t.Errorf("%s never comes", name)
		}
	}
}

func TestUndescribedSamplesAreLeftOut(t *testing.T) {
	var out bytes.Buffer
	describe(&out, []byte("go_goroutines 5\nunknown_thing 7\nagentzero_deltas_total 3\n"))
	want := "# HELP go_goroutines Goroutines.\n# TYPE go_goroutines gauge\ngo_goroutines 5\n" +
		"# HELP agentzero_deltas_total Deltas logged.\n# TYPE agentzero_deltas_total counter\nagentzero_deltas_total 3\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

func TestStreamsAndSocketsAreCounted(t *testing.T) {
	r := newRig(t)
	m := r.server.options.Metrics
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	stream := r.dial().get("/v1/sessions/s/events")
	stream.stream().event()
	ws := r.socket("?session=s")
	r.eventually("both are counted", func() bool { return m.streams.Get() == 1 && m.webSocketsOpen.Get() == 1 && m.webSockets.Get() == 1 })
	stream.hangUp()
	_ = ws.Conn.Close()
	r.eventually("neither is", func() bool {
		return m.streams.Get() == 0 && m.webSocketsOpen.Get() == 0 && r.server.connections.open.Load() == 0
	})
}
