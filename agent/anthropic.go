package agent

import (
	"context"
	"net/http"
	"strings"
)

// AnthropicOptions configure a provider that speaks Anthropic's Messages API
// (https://docs.anthropic.com/en/api/messages).
type AnthropicOptions struct {
	// Name is the provider's configured name, for errors.
	Name string
	// BaseURL is the server's address; empty means https://api.anthropic.com. A
	// trailing /v1 is left off.
	BaseURL string
	// APIKey is sent as x-api-key; empty sends none.
	APIKey string
	// Headers are further request headers, sent with every call. Their values may
	// be secrets and never stand in an error's text.
	Headers map[string]string
	// DefaultModel answers requests that name no model. Empty: the first one of
	// the upstream's list, remembered for 5 minutes.
	DefaultModel string
	// MaxTokens is the max_tokens of requests that give none, which the API
	// insists on. 0 means 4096, which every model of theirs allows.
	MaxTokens int
	// MaxLine bounds one line of a stream, in bytes. 0 means 8 MiB.
	MaxLine  int
	Timeouts Timeouts
	Retry    Retry
	Observer Observer // may be nil
}

// Anthropic is the [Agent] behind the Messages API.
type Anthropic struct {
	up        *upstream
	models    defaultModel
	maxTokens int
	maxLine   int
}

var (
	_ Agent  = (*Anthropic)(nil)
	_ Lister = (*Anthropic)(nil)
)

const (
	anthropicBaseURL   = "https://api.anthropic.com"
	anthropicVersion   = "2023-06-01"
	anthropicMaxTokens = 4096
)

// NewAnthropic makes the provider. It calls nothing.
func NewAnthropic(o AnthropicOptions) *Anthropic {
	if o.MaxTokens <= 0 {
		o.MaxTokens = anthropicMaxTokens
	}
	header := http.Header{"Anthropic-Version": {anthropicVersion}}
	if o.APIKey != "" {
		header.Set("X-Api-Key", o.APIKey)
	}
	return &Anthropic{
		up: newUpstream(upstreamOptions{
			Provider: o.Name,
			BaseURL:  anthropicBase(o.BaseURL),
			Header:   header,
			Headers:  o.Headers,
			Secrets:  []string{o.APIKey},
			Timeouts: o.Timeouts,
			Retry:    o.Retry,
			Observer: o.Observer,
		}),
		models:    defaultModel{configured: o.DefaultModel},
		maxTokens: o.MaxTokens,
		maxLine:   o.MaxLine,
	}
}

func anthropicBase(url string) string {
	url = strings.TrimRight(strings.TrimSpace(url), "/")
	if url == "" {
		return anthropicBaseURL
	}
	return strings.TrimSuffix(url, "/v1")
}

// Run answers req by POST /v1/messages.
func (a *Anthropic) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	return Result{}, a.up.errorf(KindInvalid, nil, "not built yet")
}

// Models asks GET /v1/models.
func (a *Anthropic) Models(ctx context.Context) ([]Model, error) {
	return nil, a.up.errorf(KindInvalid, nil, "not built yet")
}

// Close gives up idle connections; calls in flight go on.
func (a *Anthropic) Close() { a.up.close() }
