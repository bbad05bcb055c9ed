package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"agentzero/agent"
)

// Provider is the agent of one server.
type Provider interface {
	agent.Provider
	Close()
}

// AutoOptions configure an [Auto].
type AutoOptions struct {
	// Find searches; required.
	Find func(context.Context) []Server
	// Open makes the agent of a server; required.
	Open func(Server) Provider
	// Every is the time between two searches. 0 means 10 s.
	Every time.Duration
	// Logger hears of servers that come and go. Nil discards it.
	Logger *slog.Logger
}

// Auto is the agent behind `provider = "auto"`: it answers with the best server
// there is. It searches when it is made, at intervals, and when a server cannot be
// reached; a request that could not reach one is put to the next best, once.
//
// A model is named as the best server does. The others' have the server's kind
// before them, as in "ollama/llama3.2"; where the best has no model of a name, it
// is taken from the first that has it.
//
// Auto is safe for use by many goroutines. Close ends its own.
type Auto struct {
	options AutoOptions
	log     *slog.Logger
	cancel  context.CancelFunc
	ended   chan struct{}

	searching chan struct{} // holds one value while somebody searches

	mu       sync.Mutex
	served   []served
	searches int
}

// served is a server, with the name of it that stands before its models'.
type served struct {
	Server
	name     string
	provider Provider
}

var (
	_ agent.Agent  = (*Auto)(nil)
	_ agent.Lister = (*Auto)(nil)
)

// NewAuto searches a first time and starts to search at intervals.
func NewAuto(o AutoOptions) *Auto {
	if o.Every <= 0 {
		o.Every = 10 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &Auto{options: o, log: o.Logger, cancel: cancel, ended: make(chan struct{}), searching: make(chan struct{}, 1)}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.search(ctx, 0)
	go func() {
		defer close(a.ended)
		a.watch(ctx)
	}()
	return a
}

func (a *Auto) watch(ctx context.Context) {
	tick := time.NewTicker(a.options.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, searches := a.now()
			a.search(ctx, searches)
		}
	}
}

// Close ends the searches; calls in flight go on.
func (a *Auto) Close() {
	a.cancel()
	<-a.ended
	served, _ := a.now()
	for _, s := range served {
		s.provider.Close()
	}
}

// Servers are those found by the last search, the best first.
func (a *Auto) Servers() []Server {
	now, _ := a.now()
	servers := make([]Server, len(now))
	for i, s := range now {
		servers[i] = s.Server
	}
	return servers
}

func (a *Auto) now() ([]served, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.served, a.searches
}

// search looks for servers, unless somebody has done so since the search that the
// caller knows of.
func (a *Auto) search(ctx context.Context, known int) {
	select {
	case a.searching <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-a.searching }()
	before, searches := a.now()
	if searches != known {
		return
	}
	found := a.options.Find(ctx)
	if ctx.Err() != nil {
		return // it was cut short, and knows nothing
	}
	after := a.adopt(before, found)
	a.mu.Lock()
	a.served, a.searches = after, searches+1
	a.mu.Unlock()
	a.tell(before, after, searches == 0)
}

// adopt keeps the agents of servers that are still there, and makes and closes
// the others.
func (a *Auto) adopt(before []served, found []Server) []served {
	var after []served
	names := make(map[string]bool)
	for _, s := range found {
		if !s.Usable() {
			continue
		}
		name := string(s.Kind)
		for n := 2; names[name]; n++ {
			name = fmt.Sprintf("%s-%d", s.Kind, n)
		}
		names[name] = true
		next := served{Server: s, name: name}
		if i := slices.IndexFunc(before, func(b served) bool { return same(b.Server, s) }); i >= 0 {
			next.provider = before[i].provider
		} else {
			next.provider = a.options.Open(s)
		}
		after = append(after, next)
	}
	for _, b := range before {
		if !slices.ContainsFunc(after, func(s served) bool { return same(b.Server, s.Server) }) {
			b.provider.Close()
		}
	}
	return after
}

func same(a, b Server) bool { return a.Kind == b.Kind && a.Address == b.Address }

// tell logs what has changed.
func (a *Auto) tell(before, after []served, first bool) {
	was, is := best(before), best(after)
	switch {
	case is == nil && (was != nil || first):
		a.log.Warn("no local model server answers; it is used when there is one")
	case is != nil && (was == nil || !same(was.Server, is.Server)):
		a.log.Info("a local model server is used", "server", string(is.Kind), "address", is.Address, "model", is.Default())
	}
}

func best(list []served) *served {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// Run answers with the server that has the model.
func (a *Auto) Run(ctx context.Context, req *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	now, searches := a.now()
	s, model := pick(now, req.Model)
	if s == nil {
		a.search(ctx, searches)
		now, searches = a.now()
		if s, model = pick(now, req.Model); s == nil {
			return agent.Result{}, unavailable(ctx)
		}
	}
	result, err := s.run(ctx, req, model, emit)
	var failed *agent.Error
	if !errors.As(err, &failed) || failed.Kind != agent.KindConnect {
		return result, err
	}
	// It is gone, and has said nothing.
	a.search(ctx, searches)
	now, _ = a.now()
	next, model := pick(now, req.Model)
	if next == nil {
		return agent.Result{}, cmp.Or(ctx.Err(), err)
	}
	return next.run(ctx, req, model, emit)
}

func (s *served) run(ctx context.Context, req *agent.Request, model string, emit func([]agent.Delta)) (agent.Result, error) {
	routed := *req
	routed.Model = model
	return s.provider.Run(ctx, &routed, emit)
}

func unavailable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return &agent.Error{Kind: agent.KindUnavailable, Message: `no local model server answers (agent.provider = "auto"): start one, or name its address in agent.local_servers; "agentzero discover" shows what is found`}
}

// pick chooses the server for a model, and that server's name for it.
func pick(list []served, model string) (*served, string) {
	if len(list) == 0 {
		return nil, ""
	}
	if model == "" {
		return &list[0], list[0].Default()
	}
	if list[0].has(model) {
		return &list[0], model
	}
	if name, rest, ok := strings.Cut(model, "/"); ok {
		for i := range list {
			if list[i].name == name {
				return &list[i], rest
			}
		}
	}
	for i := range list {
		if list[i].has(model) {
			return &list[i], model
		}
	}
	return &list[0], model // which knows best why not
}

func (s *served) has(model string) bool {
	return slices.ContainsFunc(s.Models, func(m Model) bool { return m.ID == model })
}

// Models lists the best server's models, then the others' under the names that
// lead to them, as the last search found them.
func (a *Auto) Models(ctx context.Context) ([]agent.Model, error) {
	now, searches := a.now()
	if len(now) == 0 {
		a.search(ctx, searches)
		if now, _ = a.now(); len(now) == 0 {
			return nil, unavailable(ctx)
		}
	}
	var models []agent.Model
	for i, s := range now {
		for _, m := range s.Models {
			id := m.ID
			if i > 0 {
				id = s.name + "/" + id
			}
			models = append(models, agent.Model{ID: id, Created: m.Created, OwnedBy: m.OwnedBy})
		}
	}
	return models, nil
}
