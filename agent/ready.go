package agent

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// readyTTL is how long an answer of Ready is given again without asking.
const readyTTL = 5 * time.Second

// readiness is what is known of the default provider.
type readiness struct {
	mu  sync.Mutex // held while somebody asks
	at  time.Time
	err error
}

// Ready tells whether the default provider answers: whether it lists its models
// within 3 s, or has no such list. What it was a few seconds ago is told again. The
// error is KindUnavailable where there is no such provider.
func (r *Router) Ready(ctx context.Context) error {
	a := r.agents[r.defaultName]
	if a == nil {
		return r.unavailable(r.defaultName)
	}
	lister, ok := a.(Lister)
	if !ok {
		return nil
	}
	r.ready.mu.Lock()
	defer r.ready.mu.Unlock()
	if !r.ready.at.IsZero() && time.Since(r.ready.at) < readyTTL {
		return r.ready.err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	_, err := lister.Models(ctx)
	var failed *Error
	if errors.As(err, &failed) && (failed.Status == http.StatusNotFound || failed.Status == http.StatusMethodNotAllowed) {
		err = nil // it answers, and keeps no list
	}
	r.ready.at, r.ready.err = time.Now(), providerNamed(err, r.defaultName)
	return r.ready.err
}
