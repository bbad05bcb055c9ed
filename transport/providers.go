package transport

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// Provider is a model server that the gateway can ask, as it stands now.
type Provider struct {
	Name string
	// Kind is how it is spoken to, such as "openai", or what program it is.
	Kind string
	// BaseURL is "" of what is built in.
	BaseURL string
	// Source is "configured", "discovered" or "built-in".
	Source string
	// Default tells that it answers where a request names no other.
	Default bool
	// Models are the names of its models, as a request may name them.
	Models []string
	// Fault is why it cannot be asked, or "".
	Fault string
	// Version of its program, where it tells.
	Version string
	// Took is how long it took to say so; 0 where it was not asked now.
	Took time.Duration
}

// Providers tells of the model servers.
type Providers interface {
	Providers(ctx context.Context) []Provider
}

// maxListedModels is how many names of a provider's models are told.
const maxListedModels = 200

type providerJSON struct {
	Name    string   `json:"name"`
	Object  string   `json:"object"`
	Kind    string   `json:"kind"`
	BaseURL *string  `json:"base_url"`
	Source  string   `json:"source"`
	Default bool     `json:"default"`
	Status  string   `json:"status"`
	Error   *string  `json:"error"`
	Version *string  `json:"version"`
	Took    *float64 `json:"took_seconds"`
	Count   int      `json:"model_count"`
	Models  []string `json:"models"`
	Calls   struct {
		OK     uint64 `json:"ok"`
		Failed uint64 `json:"failed"`
	} `json:"calls"`
}

// listProviders answers GET /v1/providers: each is asked, and what it says is told.
func (s *Server) listProviders(ctx *fasthttp.RequestCtx, _ *request) error {
	list := struct {
		Object string         `json:"object"`
		Data   []providerJSON `json:"data"`
	}{"list", []providerJSON{}}
	if s.options.Providers != nil {
		for _, p := range s.options.Providers.Providers(s.life) {
			list.Data = append(list.Data, s.providerBody(p))
		}
	}
	return writeJSON(ctx, list)
}

func (s *Server) providerBody(p Provider) providerJSON {
	j := providerJSON{
		Name: p.Name, Object: "provider", Kind: p.Kind, BaseURL: orNull(p.BaseURL), Source: p.Source, Default: p.Default,
		Status: "ok", Error: orNull(p.Fault), Version: orNull(p.Version), Count: len(p.Models), Models: p.Models[:min(len(p.Models), maxListedModels)],
	}
	if p.Fault != "" {
		j.Status = "failing"
	}
	if j.Models == nil {
		j.Models = []string{}
	}
	if p.Took > 0 {
		took := p.Took.Seconds()
		j.Took = &took
	}
	j.Calls.OK, j.Calls.Failed = s.options.Metrics.providerCalls(p.Name)
	return j
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
