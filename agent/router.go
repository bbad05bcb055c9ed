package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// RouterOptions configure a [Router].
type RouterOptions struct {
	// Agents are the configured providers by name.
	Agents map[string]Agent
	// Default names the provider of models that name none. Empty: there is none.
	Default string
	// DefaultModel is used where a request names no model; empty leaves the
	// choice to the provider. With a Default it is that provider's name for the
	// model; without one it names its provider, as a request does.
	DefaultModel string
}

// Router is the [Agent] that passes each request to one of several providers by
// the model's name: "name/model" asks provider name for model, where one of that
// name is configured; any other model, which may hold slashes of its own, goes
// to the default provider.
type Router struct {
	agents       map[string]Agent
	defaultName  string
	defaultModel string
	names        []string // of agents, sorted
	ready        readiness
}

var (
	_ Agent  = (*Router)(nil)
	_ Lister = (*Router)(nil)
)

// listTimeout bounds how long one provider may take to list its models.
const listTimeout = 3 * time.Second

// NewRouter makes the Router. It calls nothing.
func NewRouter(o RouterOptions) *Router {
	r := &Router{agents: make(map[string]Agent, len(o.Agents)), defaultName: o.Default, defaultModel: o.DefaultModel}
	for name, a := range o.Agents {
		r.agents[name] = a
		r.names = append(r.names, name)
	}
	slices.Sort(r.names)
	return r
}

// Run passes req to its provider. Where there is none to pass it to, the error
// is KindUnavailable.
func (r *Router) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	name, model := r.route(req.Model)
	a := r.agents[name]
	if a == nil {
		return Result{}, r.unavailable(name)
	}
	if model != req.Model {
		routed := *req
		routed.Model = model
		req = &routed
	}
	result, err := a.Run(ctx, req, emit)
	return result, providerNamed(err, name)
}

// route picks the provider, "" if there is none, and its name for the model.
func (r *Router) route(model string) (name, rest string) {
	if model == "" {
		if r.defaultName != "" {
			return r.defaultName, r.defaultModel
		}
		model = r.defaultModel
	}
	if name, rest, found := strings.Cut(model, "/"); found && r.agents[name] != nil {
		return name, rest
	}
	return r.defaultName, model
}

func (r *Router) unavailable(name string) *Error {
	const remedy = "set [agent] provider in agentzero.toml"
	switch {
	case name != "":
		return &Error{Kind: KindUnavailable, Message: "the default provider " + name + " is not configured: " + remedy + " to one that is"}
	case len(r.names) > 0:
		return &Error{Kind: KindUnavailable, Message: "no provider is chosen: " + remedy +
			`, or name one with the model, as in "` + r.names[0] + `/MODEL"`}
	default:
		return &Error{Kind: KindUnavailable, Message: "no provider is configured: " + remedy + ", or start with --demo"}
	}
}

// Models lists what all providers serve, under the names that Run takes: the
// default provider's first, then the others' by provider, each sorted. All are
// asked at once, for at most 3 s; one that fails is left out, and the error is
// the failures' when all fail.
func (r *Router) Models(ctx context.Context) ([]Model, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	lists := make([][]Model, len(r.names))
	errs := make([]error, len(r.names))
	asked := 0
	var wg sync.WaitGroup
	for i, name := range r.names {
		lister, ok := r.agents[name].(Lister)
		if !ok {
			continue
		}
		asked++
		wg.Go(func() {
			models, err := lister.Models(ctx)
			lists[i], errs[i] = r.addressed(name, models), providerNamed(err, name)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil && failures(errs) == asked {
		return nil, err
	}
	if i, ok := slices.BinarySearch(r.names, r.defaultName); ok {
		defaults := lists[i]
		lists = slices.Insert(slices.Delete(lists, i, i+1), 0, defaults)
	}
	return slices.Concat(lists...), nil
}

// addressed sorts a provider's models, under the names that lead to it.
func (r *Router) addressed(provider string, models []Model) []Model {
	named := make([]Model, len(models))
	for i, m := range models {
		if name, rest := r.route(m.ID); name != provider || rest != m.ID {
			m.ID = provider + "/" + m.ID
		}
		named[i] = m
	}
	slices.SortFunc(named, func(a, b Model) int { return cmp.Compare(a.ID, b.ID) })
	return named
}

func failures(errs []error) int {
	n := 0
	for _, err := range errs {
		if err != nil {
			n++
		}
	}
	return n
}

// providerNamed puts the provider's name into err where it is an [*Error]
// without one.
func providerNamed(err error, provider string) error {
	var e *Error
	if errors.As(err, &e) && e.Provider == "" {
		e.Provider = provider
	}
	return err
}
