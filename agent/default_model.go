package agent

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// listedFor is how long the first model of an upstream's list is remembered.
const listedFor = 5 * time.Minute

// defaultModel picks the model of requests that name none: the configured one,
// or, as users of a local server with one model expect, the first that the
// upstream lists.
type defaultModel struct {
	configured string

	mu     sync.Mutex
	listed string
	until  time.Time
}

// pick returns named, if it is not empty, or the default. list asks the
// upstream.
func (d *defaultModel) pick(ctx context.Context, up *upstream, named string, list func(context.Context) ([]Model, error)) (string, error) {
	if named != "" {
		return named, nil
	}
	if d.configured != "" {
		return d.configured, nil
	}
	if id := d.remembered(time.Now()); id != "" {
		return id, nil
	}
	models, err := list(ctx)
	if err != nil && !hasNoList(err) {
		return "", err
	}
	if len(models) == 0 {
		return "", up.errorf(KindInvalid, err,
			"no model: name one in the request, or set default_model of this provider (its server lists none)")
	}
	d.remember(models[0].ID, time.Now().Add(listedFor))
	return models[0].ID, nil
}

// hasNoList tells that a server answered, but not with a list of models.
func hasNoList(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Kind == KindMalformed || e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed
}

func (d *defaultModel) remembered(now time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.After(d.until) {
		return ""
	}
	return d.listed
}

func (d *defaultModel) remember(id string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listed, d.until = id, until
}
