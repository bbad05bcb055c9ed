package discovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
)

// house is a machine whose servers come and go.
type house struct {
	mu     sync.Mutex
	up     []Server
	gone   map[string]bool // addresses that cannot be reached
	closed []string
	asked  []string // "address model" of each call
}

func (h *house) set(servers ...Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up = servers
}

func (h *house) find(context.Context) []Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.up)
}

func (h *house) open(s Server) Provider { return &tenant{h, s.Address} }

// tenant is the agent of one of the house's servers.
type tenant struct {
	house   *house
	address string
}

func (p *tenant) Run(_ context.Context, req *agent.Request, _ func([]agent.Delta)) (agent.Result, error) {
	p.house.mu.Lock()
	defer p.house.mu.Unlock()
	p.house.asked = append(p.house.asked, p.address+" "+req.Model)
	if p.house.gone[p.address] {
		return agent.Result{}, &agent.Error{Kind: agent.KindConnect, Message: "refused"}
	}
	return agent.Result{Model: p.address}, nil
}

func (p *tenant) Models(context.Context) ([]agent.Model, error) { return nil, nil }

func (p *tenant) Close() {
	p.house.mu.Lock()
	defer p.house.mu.Unlock()
	p.house.closed = append(p.house.closed, p.address)
}

func server(kind Kind, address string, models ...string) Server {
	s := Server{Kind: kind, Address: address}
	for _, m := range models {
		id, loaded := strings.CutSuffix(m, "*")
		s.Models = append(s.Models, Model{ID: id, Loaded: loaded})
	}
	return s
}

func newAuto(t *testing.T, h *house, every time.Duration) *Auto {
	t.Helper()
	a := NewAuto(AutoOptions{Find: h.find, Open: h.open, Every: every})
	t.Cleanup(a.Close)
	return a
}

func ask(t *testing.T, a *Auto, model string) (answered string, err error) {
	t.Helper()
	r, err := a.Run(t.Context(), &agent.Request{Model: model}, func([]agent.Delta) {})
	return r.Model, err
}

func TestAModelIsFoundByItsName(t *testing.T) {
	h := &house{}
	h.set(server(VLLM, "v", "org/big"), server(Ollama, "o", "small", "loaded*", "org/big"), server(Ollama, "p", "other"), Server{Kind: Jan, Address: "locked", NeedsKey: true})
	a := newAuto(t, h, time.Hour)
	for model, want := range map[string]string{
		"":               "v org/big",
		"org/big":        "v org/big",
		"small":          "o small",
		"ollama/org/big": "o org/big",
		"ollama/none":    "o none",
		"ollama-2/other": "p other",
		"other":          "p other",
		"nobody's":       "v nobody's",
	} {
		if _, err := ask(t, a, model); err != nil {
			t.Fatal(err)
		}
		if got := h.asked[len(h.asked)-1]; got != want {
			t.Errorf("%q went to %q, want %q", model, got, want)
		}
	}
	models, err := a.Models(t.Context())
	var ids []string
	for _, m := range models {
		ids = append(ids, m.ID)
	}
	if want := "org/big ollama/small ollama/loaded ollama/org/big ollama-2/other"; err != nil || strings.Join(ids, " ") != want {
		t.Errorf("models %v, %v; want %s", ids, err, want)
	}
	h.set(server(Ollama, "o", "small", "loaded*"))
	a.search(t.Context(), 1)
	if _, err := ask(t, a, ""); err != nil || h.asked[len(h.asked)-1] != "o loaded" {
		t.Errorf("the default is %q, %v", h.asked[len(h.asked)-1], err)
	}
}

func TestAServerThatGoesAwayIsReplacedWithinTheCall(t *testing.T) {
	h := &house{gone: map[string]bool{}}
	h.set(server(VLLM, "v", "big"), server(Ollama, "o", "small"))
	a := newAuto(t, h, time.Hour)
	h.set(server(Ollama, "o", "small"))
	h.gone["v"] = true
	if got, err := ask(t, a, ""); err != nil || got != "o" {
		t.Errorf("answered by %q, %v", got, err)
	}
	if !slices.Equal(h.closed, []string{"v"}) {
		t.Errorf("closed are %v", h.closed)
	}
	h.set()
	h.gone["o"] = true
	var failed *agent.Error
	if _, err := ask(t, a, ""); !errors.As(err, &failed) || failed.Kind != agent.KindConnect {
		t.Errorf("with none left: %v", err)
	}
	if _, err := ask(t, a, ""); !errors.As(err, &failed) || failed.Kind != agent.KindUnavailable || !strings.Contains(failed.Message, "discover") {
		t.Errorf("and then: %v", err)
	}
	if _, err := a.Models(t.Context()); !errors.As(err, &failed) || failed.Kind != agent.KindUnavailable {
		t.Errorf("its models: %v", err)
	}
	// One that comes is found by the next request.
	h.set(server(Jan, "j", "m"))
	if got, err := ask(t, a, ""); err != nil || got != "j" {
		t.Errorf("answered by %q, %v", got, err)
	}
}

func TestTheBestServerIsUsedAgainWhenItIsBack(t *testing.T) {
	h := &house{}
	h.set(server(Ollama, "o", "small"))
	a := newAuto(t, h, 5*time.Millisecond)
	h.set(server(VLLM, "v", "big"), server(Ollama, "o", "small"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if s := a.Servers(); len(s) == 2 && s[0].Address == "v" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("served are %+v", a.Servers())
		}
	}
	if got, err := ask(t, a, ""); err != nil || got != "v" {
		t.Errorf("answered by %q, %v", got, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.closed) != 0 {
		t.Errorf("%v were closed", h.closed)
	}
}

func TestAFailureOfAServerThatAnswersIsTheAnswer(t *testing.T) {
	h := &house{}
	h.set(server(VLLM, "v", "m"), server(Ollama, "o", "m"))
	calls := 0
	a := NewAuto(AutoOptions{Find: h.find, Every: time.Hour, Open: func(s Server) Provider { return &failing{tenant{h, s.Address}, &calls} }})
	defer a.Close()
	var failed *agent.Error
	if _, err := ask(t, a, "m"); !errors.As(err, &failed) || failed.Kind != agent.KindStatus || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

type failing struct {
	tenant
	calls *int
}

func (p *failing) Run(context.Context, *agent.Request, func([]agent.Delta)) (agent.Result, error) {
	*p.calls++
	return agent.Result{}, &agent.Error{Kind: agent.KindStatus, Status: 500}
}
