package agent

import (
	"context"
	"errors"
	"sync"
	"time"
)

// CatalogOptions configure a [Catalog].
type CatalogOptions struct {
	// TTL is how long a list is served without asking again. 0 means 60 s.
	TTL time.Duration
	// Timeout bounds one asking. 0 means 5 s.
	Timeout time.Duration
}

// staleFor is how long a list is served while no newer one can be had, counted
// from when it came.
const staleFor = 10 * time.Minute

// Catalog remembers what models a provider has. However many callers need the
// list at once, one of them asks for it, and the others wait for what comes of
// that; nothing is asked in the background. When asking fails, the old list is
// served for up to 10 minutes, and the next call asks again.
//
// A Catalog is safe for use by many goroutines at once and needs no closing.
type Catalog struct {
	lister  Lister
	ttl     time.Duration
	timeout time.Duration

	asking chan struct{} // holds one value while somebody asks

	mu     sync.Mutex
	models []Model
	since  time.Time // when models came, zero before
	asked  int       // how often an answer or a failure came
	err    error     // of the last asking
}

// NewCatalog returns a Catalog of what lister lists. It asks nothing yet.
func NewCatalog(lister Lister, o CatalogOptions) *Catalog {
	if o.TTL <= 0 {
		o.TTL = time.Minute
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	return &Catalog{lister: lister, ttl: o.TTL, timeout: o.Timeout, asking: make(chan struct{}, 1)}
}

// Models is the list, in the lister's order. It is shared: callers do not change
// it. The error is the lister's, KindTimeout, or ctx's, and only where there is
// no list to serve.
func (c *Catalog) Models(ctx context.Context) ([]Model, error) {
	c.mu.Lock()
	models, fresh, asked := c.models, c.fresh(), c.asked
	c.mu.Unlock()
	if fresh {
		return models, nil
	}
	select {
	case c.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.asking }()
	c.mu.Lock()
	learnt := c.asked != asked // by another, while this one waited
	c.mu.Unlock()
	if !learnt {
		if err := c.ask(ctx); err != nil {
			return nil, err
		}
	}
	return c.latest()
}

// Model is the entry with that id. If the list has none, the error is
// KindNotFound.
func (c *Catalog) Model(ctx context.Context, id string) (Model, error) {
	models, err := c.Models(ctx)
	if err != nil {
		return Model{}, err
	}
	for _, m := range models {
		if m.ID == id {
			return m, nil
		}
	}
	return Model{}, &Error{Kind: KindNotFound, Message: "no model " + quote(id)}
}

// ask asks once and notes what came of it. Its error is ctx's: then nothing is
// known, and whoever waits asks for itself.
func (c *Catalog) ask(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	models, err := c.lister.Models(limited)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = &Error{Kind: KindTimeout, Message: "no list of models within " + c.timeout.String(), Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.err = err
	if err == nil {
		c.models, c.since = models, time.Now()
	}
	return nil
}

// latest is what the last asking left to be served.
func (c *Catalog) latest() ([]Model, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && (c.since.IsZero() || time.Since(c.since) > staleFor) {
		return nil, c.err
	}
	return c.models, nil
}

func (c *Catalog) fresh() bool { return !c.since.IsZero() && time.Since(c.since) < c.ttl }
