package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
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
	// insists on. 0 means 8192, which all models in service allow. The budget of
	// thinking that a request asks for is added to it.
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
	anthropicMaxTokens = 8192

	// listPageModels is the most models the API puts on a page.
	listPageModels = "1000"
	// maxListPages bounds a list whose pages do not end.
	maxListPages = 16
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

func anthropicBase(base string) string {
	base = strings.TrimRight(strings.TrimSpace(base), "/")
	if base == "" {
		return anthropicBaseURL
	}
	return strings.TrimSuffix(base, "/v1")
}

// Run answers req by POST /v1/messages, always as a stream. Parameters that the
// API cannot honour and that would change the answer are KindInvalid; see
// anthropicBody.
func (a *Anthropic) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	model, err := a.models.pick(ctx, a.up, req.Model, a.Models)
	if err != nil {
		return Result{}, err
	}
	body, err := anthropicBody(model, a.maxTokens, req)
	if err != nil {
		return Result{}, a.up.errorf(KindInvalid, err, "the request cannot be put to Anthropic: %v", err)
	}
	resp, err := a.up.do(ctx, http.MethodPost, "/v1/messages", jsonType, body, http.Header{"Accept": {sseType}})
	if err != nil {
		return Result{}, err
	}
	defer resp.Body.Close()
	if !req.Whole {
		return a.stream(resp, model, emit)
	}
	return a.up.assembled(emit, func(emit func([]Delta)) (Result, error) {
		return a.stream(resp, model, emit)
	})
}

// Models asks GET /v1/models, page by page.
func (a *Anthropic) Models(ctx context.Context) ([]Model, error) {
	models := []Model{}
	after := ""
	for range maxListPages {
		page, err := a.listPage(ctx, after)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Data {
			if m.ID != "" {
				models = append(models, Model{ID: m.ID, Created: unixTime(m.CreatedAt), OwnedBy: "anthropic"})
			}
		}
		if !page.HasMore || page.LastID == "" || page.LastID == after {
			break
		}
		after = page.LastID
	}
	return models, nil
}

// Close gives up idle connections; calls in flight go on.
func (a *Anthropic) Close() { a.up.close() }

// anthropicList is a page of the list of models.
type anthropicList struct {
	Data []struct {
		ID        string          `json:"id"`
		CreatedAt json.RawMessage `json:"created_at"`
	} `json:"data"`
	HasMore bool   `json:"has_more"`
	LastID  string `json:"last_id"`
}

// listPage asks for the page after the model of that id, "" for the first.
func (a *Anthropic) listPage(ctx context.Context, after string) (anthropicList, error) {
	path := "/v1/models?limit=" + listPageModels
	if after != "" {
		path += "&after_id=" + url.QueryEscape(after)
	}
	resp, err := a.up.do(ctx, http.MethodGet, path, "", nil, http.Header{"Accept": {jsonType}})
	if err != nil {
		return anthropicList{}, err
	}
	defer resp.Body.Close()
	data, err := a.up.readAll(resp.Body, maxListBytes)
	if err != nil {
		return anthropicList{}, err
	}
	var page anthropicList
	if err := json.Unmarshal(data, &page); err != nil {
		return anthropicList{}, a.up.errorf(KindMalformed, err, "the list of models cannot be read: %v", err)
	}
	return page, nil
}
