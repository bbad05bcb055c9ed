package bench

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/goleak"

	"agentzero/bench/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mock serves an upstream until the test's end.
func mock(t *testing.T) (*upstream.Server, Target) {
	t.Helper()
	s, err := upstream.New(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return s, Target{Name: "mock", URL: "http://" + l.Addr().String(), PIDs: []int{os.Getpid()}}
}

// long is a duration that no test waits for: its answers' number ends it.
const long = time.Minute

func mustRun(t *testing.T, target Target, p Plan) *Result {
	t.Helper()
	r, err := Run(context.Background(), target, p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAClosedLoopCountsEveryDelta(t *testing.T) {
	s, target := mock(t)
	r := mustRun(t, target, Plan{
		Door: Completions, Clients: 5, Answers: 40, Duration: long,
		Answer: upstream.Behaviour{Tokens: 25},
	})
	if r.Counts.Begun != 40 || r.Counts.Whole != 40 || r.Counts.Failed != 0 || r.Counts.Deltas != 1000 {
		t.Errorf("counts are %+v, errors %v", r.Counts, r.Errors)
	}
	if r.Added.Count != 1000 || r.First.Count != 40 || r.Between.Count != 960 || r.Whole.Count != 40 {
		t.Errorf("took down %d added, %d first, %d between, %d whole", r.Added.Count, r.First.Count, r.Between.Count, r.Whole.Count)
	}
	if r.Counts.Connections != 5 {
		t.Errorf("%d connections for 5 clients", r.Counts.Connections)
	}
	if got := s.Stats().Deltas; got != 1000 {
		t.Errorf("the upstream sent %d", got)
	}
	if r.Fairness.Min < 25 || r.Fairness.Max > 1000 {
		t.Errorf("deltas per client are %+v", r.Fairness)
	}
}

func TestAnOpenLoopKeepsItsNumberAndItsClients(t *testing.T) {
	_, target := mock(t)
	r := mustRun(t, target, Plan{
		Door: Completions, Clients: 3, Rate: 5000, Answers: 60, Duration: long,
		Answer: upstream.Behaviour{Tokens: 2},
	})
	if r.Counts.Whole != 60 || r.Counts.Connections > 3 {
		t.Errorf("counts are %+v, errors %v", r.Counts, r.Errors)
	}
}

func TestAStalledServerCannotHideWhatItDelays(t *testing.T) {
	// One client, one answer that stalls: those due meanwhile have their wait in
	// their times, though the server answers them at once when it is asked.
	var asked atomic.Int64
	const stall = 200 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			time.Sleep(stall)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: [DONE]\n\n"))
	}))
	t.Cleanup(server.Close)
	r := mustRun(t, Target{Name: "stalls", URL: server.URL}, Plan{
		Door: Completions, Clients: 1, Rate: 1000, Answers: 11, Duration: long,
	})
	if r.Counts.Whole != 11 || r.Late == 0 {
		t.Fatalf("counts are %+v, %d late", r.Counts, r.Late)
	}
	// All eleven were due within 10 ms of the stall's begin.
	if least := time.Duration(r.Whole.Min) * time.Microsecond; least < stall-20*time.Millisecond {
		t.Errorf("an answer took %v from when it was due, though all waited for the stall of %v", least, stall)
	}
}

func TestErrorsAreCountedByKind(t *testing.T) {
	stream := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(text))
		}
	}
	tests := map[string]struct {
		handler http.HandlerFunc
		kind    string
	}{
		"a refusal with a code": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(429)
			_, _ = w.Write([]byte(`{"error":{"code":"queue_full"}}`))
		}, "status 429 queue_full"},
		"a refusal without":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, "status 502"},
		"a truncated stream":   {stream("data: {}\n\n"), "truncated"},
		"an error event":       {stream("data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n"), "error event"},
		"no event stream":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, "protocol"},
		"a dropped connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cut off"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			r := mustRun(t, Target{Name: "bad", URL: server.URL}, Plan{Door: Completions, Clients: 1, Answers: 1, Duration: long})
			if f := r.Errors[test.kind]; len(r.Errors) != 1 || f == nil || f.Count != 1 || strings.HasPrefix(f.Example, test.kind+":") || r.Counts.Failed != 1 || r.Counts.Whole != 0 {
				t.Errorf("counts are %+v, errors are %+v, want one of the kind %q", r.Counts, r.Errors, test.kind)
				for kind, f := range r.Errors {
					t.Logf("%s: %s", kind, f.Example)
				}
			}
		})
	}
}

func TestAnUpstreamThatBreaksOffIsNoWholeAnswer(t *testing.T) {
	_, target := mock(t)
	r := mustRun(t, target, Plan{Door: Completions, Clients: 2, Answers: 10, Duration: long, Answer: upstream.Behaviour{Tokens: 5, Cuts: 1}})
	if r.Counts.Whole != 0 || r.Counts.Failed != 10 {
		t.Errorf("counts are %+v, errors %v", r.Counts, r.Errors)
	}
}

func TestClientsHangUpWhereThePlanSays(t *testing.T) {
	_, target := mock(t)
	r := mustRun(t, target, Plan{Door: Completions, Clients: 2, Answers: 6, Duration: long, HangUpAfter: 3, Answer: upstream.Behaviour{Tokens: 1000, Interval: time.Millisecond}})
	if r.Counts.HungUp != 6 || r.Counts.Deltas != 18 || r.Counts.Failed != 0 || r.Counts.Connections != 6 {
		t.Errorf("counts are %+v, errors %v", r.Counts, r.Errors)
	}
}

func TestSlowReadersAreNotMeasured(t *testing.T) {
	_, target := mock(t)
	r := mustRun(t, target, Plan{
		Door: Completions, Clients: 2, Answers: 2, Duration: long, SlowShare: 0.01, SlowBytes: 1 << 20,
		Answer: upstream.Behaviour{Tokens: 3},
	})
	if r.Counts.Deltas+r.Counts.SlowDeltas != 6 || r.Counts.SlowDeltas == 0 || r.Added.Count != r.Counts.Deltas {
		t.Errorf("counts are %+v, %d measured", r.Counts, r.Added.Count)
	}
}

func TestACancelledRunTellsWhatItMeasured(t *testing.T) {
	_, target := mock(t)
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Run(ctx, target, Plan{
		Door: Completions, Clients: 3, Duration: long, Answer: upstream.Behaviour{Tokens: 1_000_000, Interval: time.Millisecond},
	}, Options{Progress: func(p Progress) {
		if p.Deltas > 0 && p.Phase == "measuring" {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Counts.Deltas == 0 || r.OpenAtEnd != 3 || r.Counts.Failed != 0 {
		t.Errorf("counts are %+v, %d open, errors %v", r.Counts, r.OpenAtEnd, r.Errors)
	}
}

// chatServer answers each message on a WebSocket with frames.
func chatServer(t *testing.T, frames ...string) Target {
	t.Helper()
	var upgrader websocket.Upgrader
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != "/ws/chat" || !strings.HasPrefix(r.URL.Query().Get("session"), "bench-") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
			for _, f := range frames {
				if err := c.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	return Target{Name: "ws", URL: server.URL, Token: "secret"}
}

func TestWebSocketAnswersAreReadToDone(t *testing.T) {
	target := chatServer(t, `{"type":"delta","delta":"@1700000000000000000 @1700000000000000001 "}`, `{"type":"delta","delta":"@1700000000000000002 "}`, `{"type":"done"}`)
	r := mustRun(t, target, Plan{Door: WebSocket, Sessions: SessionEachClient, Clients: 2, Answers: 8, Duration: long})
	if r.Counts.Whole != 8 || r.Counts.Deltas != 24 || r.Counts.Connections != 2 {
		t.Errorf("counts are %+v, errors %v", r.Counts, r.Errors)
	}
}

func TestWebSocketErrorsAreErrors(t *testing.T) {
	plan := Plan{Door: WebSocket, Sessions: SessionEachClient, Clients: 1, Answers: 1, Duration: long}
	if r := mustRun(t, chatServer(t, `{"type":"error","message":"no"}`), plan); r.Errors["error event"] == nil {
		t.Errorf("errors are %v", r.Errors)
	}
	target := chatServer(t)
	target.Token = "wrong"
	if r := mustRun(t, target, plan); r.Errors["status 403"] == nil {
		t.Errorf("errors are %v", r.Errors)
	}
}

func TestOnlyThisMachineIsAskedUnlessSaidOtherwise(t *testing.T) {
	for url, want := range map[string]string{
		"http://192.0.2.1:80": "not this machine",
		"https://127.0.0.1":   "no http://",
		"127.0.0.1:80":        "",
		"http://":             "no http://",
	} {
		_, err := Run(context.Background(), Target{Name: "x", URL: url}, Plan{Door: Completions, Clients: 1, Duration: long}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestPlansOutOfRangeAreNamed(t *testing.T) {
	good := func() Plan { return Plan{Door: Completions, Clients: 1, Duration: time.Second} }
	for want, spoil := range map[string]func(*Plan){
		"door":        func(p *Plan) { p.Door = "window" },
		"sessions":    func(p *Plan) { p.Sessions = "all" },
		"channel":     func(p *Plan) { p.Door = Webhook },
		"clients":     func(p *Plan) { p.Clients = MaxClients + 1 },
		"rate":        func(p *Plan) { p.Rate = -1 },
		"duration":    func(p *Plan) { p.Duration = 0 },
		"ramp":        func(p *Plan) { p.Pause = -1 },
		"the run":     func(p *Plan) { p.Warmup = 3 * time.Hour },
		"answers":     func(p *Plan) { p.Answers = -1 },
		"slow_share":  func(p *Plan) { p.SlowShare = 2 },
		"slow_bytes":  func(p *Plan) { p.SlowShare = 1 },
		"prompt":      func(p *Plan) { p.Prompt = 1 << 30 },
		"answer.cuts": func(p *Plan) { p.Answer.Cuts = 7 },
	} {
		p := good()
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want one about %s", p, err, want)
		}
	}
	p := good()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}
