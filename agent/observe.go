package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Provider is an Agent that can list its models, as all that are configured can.
type Provider interface {
	Agent
	Lister
}

// CallObserver hears of the calls of providers. Its methods are called from many
// goroutines at once.
type CallObserver interface {
	// ProviderCall tells that a call has ended. kind is "" where it succeeded,
	// else that of its [*Error], or "cancelled" where its caller ended it. The
	// tokens are the provider's own count, 0 where it does not tell.
	ProviderCall(provider, kind string, took time.Duration, promptTokens, completionTokens int64)
}

// Observe returns a Provider that does what p does, and tells o of each call
// under p's configured name.
func Observe(name string, p Provider, o CallObserver) Provider {
	return &observed{Provider: p, name: name, observer: o}
}

type observed struct {
	Provider
	name     string
	observer CallObserver
}

func (p *observed) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	began := time.Now()
	result, err := p.Provider.Run(ctx, req, emit)
	var tokens struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
	}
	if result.Usage != nil {
		_ = json.Unmarshal(result.Usage, &tokens) // an odd usage object counts as none
	}
	p.observer.ProviderCall(p.name, outcome(err), time.Since(began), max(0, tokens.Prompt), max(0, tokens.Completion))
	return result, err
}

// outcome is the kind of a failure, of a closed set that a metric can bear.
func outcome(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return string(e.Kind)
	case errors.Is(err, context.DeadlineExceeded):
		return string(KindTimeout)
	default:
		return "cancelled"
	}
}
