package agent

import (
	"context"
	"sync"
	"time"
)

// Health is what a provider says when it is asked for its models.
type Health struct {
	Name string
	// Default tells that it answers where a request names no other.
	Default bool
	// Models are under the names that [Router.Run] takes.
	Models []Model
	// Err is why it does not answer, or nil.
	Err  error
	Took time.Duration
}

// Health asks all providers at once, for at most 3 s each, and tells of them by
// name.
func (r *Router) Health(ctx context.Context) []Health {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list := make([]Health, len(r.names))
	var wg sync.WaitGroup
	for i, name := range r.names {
		list[i] = Health{Name: name, Default: name == r.defaultName}
		lister, ok := r.agents[name].(Lister)
		if !ok {
			continue
		}
		wg.Go(func() {
			began := time.Now()
			models, err := lister.Models(ctx)
			list[i].Models, list[i].Err, list[i].Took = r.addressed(name, models), providerNamed(err, name), time.Since(began)
		})
	}
	wg.Wait()
	return list
}
