package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// OllamaOptions configure a provider that speaks Ollama's own API
// (https://github.com/ollama/ollama/blob/main/docs/api.md).
type OllamaOptions struct {
	// Name is the provider's configured name, for errors.
	Name string
	// BaseURL is the server's address, such as http://127.0.0.1:11434; required.
	// A trailing /v1 or /api is left off.
	BaseURL string
	// APIKey is sent as a bearer token, for servers behind a proxy that asks
	// for one; empty sends none.
	APIKey string
	// Headers are further request headers, sent with every call. Their values may
	// be secrets and never stand in an error's text.
	Headers map[string]string
	// DefaultModel answers requests that name no model. Empty: the first one of
	// the server's list, remembered for 5 minutes.
	DefaultModel string
	// MaxLine bounds one line of a stream, in bytes. 0 means 8 MiB.
	MaxLine int
	// Timeouts are as elsewhere, but for FirstByte: 0 means 5 min here, the time
	// that Ollama gives itself to load a model.
	Timeouts Timeouts
	Retry    Retry
	Observer Observer // may be nil
}

// Ollama is the [Agent] behind an Ollama server.
type Ollama struct {
	up      *upstream
	models  defaultModel
	maxLine int
}

var (
	_ Agent  = (*Ollama)(nil)
	_ Lister = (*Ollama)(nil)
)

// ollamaFirstByte is OLLAMA_LOAD_TIMEOUT's default.
const ollamaFirstByte = 5 * time.Minute

// NewOllama makes the provider. It calls nothing.
func NewOllama(o OllamaOptions) *Ollama {
	if o.Timeouts.FirstByte <= 0 {
		o.Timeouts.FirstByte = ollamaFirstByte
	}
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	return &Ollama{
		up: newUpstream(upstreamOptions{
			Provider: o.Name,
			BaseURL:  ollamaBase(o.BaseURL),
			Header:   header,
			Headers:  o.Headers,
			Secrets:  []string{o.APIKey},
			Timeouts: o.Timeouts,
			Retry:    o.Retry,
			Observer: o.Observer,
		}),
		models:  defaultModel{configured: o.DefaultModel},
		maxLine: o.MaxLine,
	}
}

func ollamaBase(url string) string {
	url = strings.TrimRight(strings.TrimSpace(url), "/")
	for _, suffix := range []string{"/v1", "/api"} {
		if base, ok := strings.CutSuffix(url, suffix); ok {
			return base
		}
	}
	return url
}

// Run answers req by POST /api/chat, always as a stream. Parameters that Ollama
// cannot honour and that would change the answer are KindInvalid.
func (o *Ollama) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	model, err := o.models.pick(ctx, o.up, req.Model, o.Models)
	if err != nil {
		return Result{}, err
	}
	body, err := ollamaBody(model, req)
	if err != nil {
		return Result{}, o.up.errorf(KindInvalid, err, "the request cannot be put to Ollama: %v", err)
	}
	resp, err := o.up.do(ctx, http.MethodPost, "/api/chat", jsonType, body, nil)
	if err != nil {
		return Result{}, err
	}
	defer resp.Body.Close()
	if !req.Whole {
		return o.stream(resp, model, emit)
	}
	return o.up.assembled(emit, func(emit func([]Delta)) (Result, error) {
		return o.stream(resp, model, emit)
	})
}

// Models asks GET /api/tags.
func (o *Ollama) Models(ctx context.Context) ([]Model, error) {
	resp, err := o.up.do(ctx, http.MethodGet, "/api/tags", "", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := o.up.readAll(resp.Body, maxListBytes)
	if err != nil {
		return nil, err
	}
	var list struct {
		Models []struct {
			Name       string          `json:"name"`
			ModifiedAt json.RawMessage `json:"modified_at"`
		} `json:"models"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, o.up.errorf(KindMalformed, err, "the list of models cannot be read: %v", err)
	}
	models := make([]Model, 0, len(list.Models))
	for _, m := range list.Models {
		if m.Name != "" {
			models = append(models, Model{ID: m.Name, Created: unixTime(m.ModifiedAt), OwnedBy: "ollama"})
		}
	}
	return models, nil
}

// Close gives up idle connections; calls in flight go on.
func (o *Ollama) Close() { o.up.close() }
