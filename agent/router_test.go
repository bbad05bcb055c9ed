package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRouterPicksByTheModelsName(t *testing.T) {
	tests := []struct{ name, defaults, defaultModel, model, want string }{
		{"a named provider", "a", "", "b/m", "b m"},
		{"a named provider, and a model with slashes", "a", "", "b/meta/m", "b meta/m"},
		{"the default provider by name", "a", "", "a/m", "a m"},
		{"the default provider", "a", "", "m", "a m"},
		{"a model with slashes", "a", "", "meta-llama/Llama-3", "a meta-llama/Llama-3"},
		{"a slash at the start", "a", "", "/m", "a /m"},
		{"no model", "a", "", "", "a "},
		{"no model, but a default one", "a", "m", "", "a m"},
		{"the default model is the default provider's", "a", "b/m", "", "a b/m"},
		{"a default model that names its provider", "", "b/m", "", "b m"},
		{"a named provider and no model", "a", "m", "b/", "b "},
		{"no default, and none named", "", "", "m", "unavailable"},
		{"no default, and nothing named", "", "", "", "unavailable"},
		{"a default that is not there", "z", "", "m", "unavailable"},
		{"a default that is not there, another named", "z", "", "b/m", "b m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			ask := func(name string) Agent {
				return &fakeAgent{run: func(req *Request) error { got = name + " " + req.Model; return nil }}
			}
			r := NewRouter(RouterOptions{Agents: map[string]Agent{"a": ask("a"), "b": ask("b")}, Default: tt.defaults, DefaultModel: tt.defaultModel})
			req := Request{Model: tt.model}
			_, err := r.Run(t.Context(), &req, func([]Delta) {})
			if err != nil {
				e := asError(t, err)
				if e.Kind != KindUnavailable || !strings.Contains(e.Message, "[agent] provider in agentzero.toml") {
					t.Errorf("got %+v", e)
				}
				got = "unavailable"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if req.Model != tt.model {
				t.Error("the request was changed")
			}
		})
	}
}

func TestRouterWithoutProvidersTellsOfTheDemo(t *testing.T) {
	_, err := NewRouter(RouterOptions{}).Run(t.Context(), &Request{}, func([]Delta) {})
	if e := asError(t, err); e.Kind != KindUnavailable || !strings.Contains(e.Message, "--demo") {
		t.Errorf("got %+v", e)
	}
}

func TestRouterNamesTheProviderInErrors(t *testing.T) {
	for provider, want := range map[string]string{"": "a", "inner": "inner"} {
		failing := &fakeAgent{run: func(*Request) error { return fmt.Errorf("call: %w", &Error{Kind: KindCut, Provider: provider}) }}
		_, err := NewRouter(RouterOptions{Agents: map[string]Agent{"a": failing}, Default: "a"}).Run(t.Context(), &Request{}, nil)
		if e := asError(t, err); e.Provider != want {
			t.Errorf("got %q, want %q", e.Provider, want)
		}
	}
}

func TestRouterListsModelsByTheNamesItTakes(t *testing.T) {
	down := errors.New("down")
	lists := func(ids ...string) Agent { return &fakeLister{ids: ids} }
	fails := &fakeLister{err: down}
	tests := []struct {
		name, defaults string
		agents         map[string]Agent
		want           string
		fails          bool
	}{
		{"the default's are plain and first", "b", map[string]Agent{"a": lists("y", "x"), "b": lists("n", "m"), "c": lists("z")}, "m n a/x a/y c/z", false},
		{"without a default", "", map[string]Agent{"a": lists("x"), "b": lists("m")}, "a/x b/m", false},
		{"a name that would lead elsewhere is written out", "b", map[string]Agent{"a": lists("b/x"), "b": lists("a/m", "b/m", "c/m")}, "b/a/m b/b/m c/m a/b/x", false},
		{"one that fails is left out", "b", map[string]Agent{"a": lists("x"), "b": fails}, "a/x", false},
		{"one that cannot list is left out", "b", map[string]Agent{"a": lists("x"), "b": &fakeAgent{}}, "a/x", false},
		{"all fail", "b", map[string]Agent{"a": fails, "b": fails, "c": &fakeAgent{}}, "", true},
		{"one fails and one has none", "b", map[string]Agent{"a": fails, "b": lists()}, "", false},
		{"no providers", "", nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRouter(RouterOptions{Agents: tt.agents, Default: tt.defaults})
			models, err := r.Models(t.Context())
			if (err != nil) != tt.fails || tt.fails && !errors.Is(err, down) {
				t.Fatalf("got %v", err)
			}
			var ids []string
			for _, m := range models {
				ids = append(ids, m.ID)
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, id := range ids {
				if name, _ := r.route(id); tt.agents[name] == nil {
					t.Errorf("%s leads nowhere", id)
				}
			}
		})
	}
}

func TestRouterAsksAllProvidersAtOnce(t *testing.T) {
	const n = 8
	arrived, all := make(chan struct{}, n), make(chan struct{})
	agents := map[string]Agent{}
	for i := range n {
		agents[fmt.Sprint(i)] = &fakeLister{ids: []string{"m"}, before: func(ctx context.Context) {
			arrived <- struct{}{}
			select {
			case <-all:
			case <-ctx.Done():
				t.Error("the others were not asked meanwhile")
			}
		}}
	}
	go func() {
		for range n {
			<-arrived
		}
		close(all)
	}()
	if models, err := NewRouter(RouterOptions{Agents: agents}).Models(t.Context()); err != nil || len(models) != n {
		t.Errorf("%d models (%v), want %d", len(models), err, n)
	}
}

func TestRouterDoesNotWaitForASlowProvider(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as the time limit does
	slow := &fakeLister{before: func(ctx context.Context) { <-ctx.Done() }, err: context.Canceled}
	quick := &fakeLister{ids: []string{"m"}}
	models, err := NewRouter(RouterOptions{Agents: map[string]Agent{"s": slow, "q": quick}}).Models(ctx)
	if err != nil || tellModels(models) != "q/m 0 " {
		t.Errorf("got %v (%v)", models, err)
	}
}

type fakeAgent struct{ run func(*Request) error }

func (f *fakeAgent) Run(_ context.Context, req *Request, _ func([]Delta)) (Result, error) {
	return Result{}, f.run(req)
}

type fakeLister struct {
	fakeAgent
	ids    []string
	err    error
	before func(context.Context)
}

func (f *fakeLister) Models(ctx context.Context) ([]Model, error) {
	if f.before != nil {
		f.before(ctx)
	}
	var models []Model
	for _, id := range f.ids {
		models = append(models, Model{ID: id})
	}
	return models, f.err
}

func tellModels(models []Model) string {
	var told []string
	for _, m := range models {
		told = append(told, fmt.Sprintf("%s %d %s", m.ID, m.Created, m.OwnedBy))
	}
	return strings.Join(told, ", ")
}
