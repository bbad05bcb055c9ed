package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// OpenAIOptions configure a provider that speaks OpenAI's chat completions API
// (https://platform.openai.com/docs/api-reference/chat), as most model servers
// do.
type OpenAIOptions struct {
	// Name is the provider's configured name, for errors.
	Name string
	// BaseURL is as OpenAI's clients mean it, ending in /v1; required. An
	// address that is no http or https URL makes every call fail with
	// KindInvalid.
	BaseURL string
	// APIKey is sent as a bearer token; empty sends none.
	APIKey string
	// Headers are further request headers, sent with every call. Their values may
	// be secrets and never stand in an error's text.
	Headers map[string]string
	// DefaultModel answers requests that name no model. Empty: the first one of
	// the upstream's list, remembered for 5 minutes.
	DefaultModel string
	// NoStreamUsage leaves stream_options out of requests, for servers that
	// refuse it. Results of streams then have no usage.
	NoStreamUsage bool
	// MaxLine bounds one line of a stream, in bytes. 0 means 8 MiB.
	MaxLine  int
	Timeouts Timeouts
	Retry    Retry
	Observer Observer // may be nil
}

// OpenAI is the [Agent] behind an OpenAI-compatible server.
type OpenAI struct {
	up          *upstream
	models      defaultModel
	streamUsage bool
	maxLine     int
}

var (
	_ Agent  = (*OpenAI)(nil)
	_ Lister = (*OpenAI)(nil)
)

const (
	// maxWholeBytes bounds an answer that is not streamed.
	maxWholeBytes = 64 << 20
	// maxListBytes bounds a list of models. The largest public one has under 1 MiB.
	maxListBytes = 16 << 20

	// maxUnixTime is the end of the year 9999, when RFC 3339 has no more times.
	maxUnixTime = 253402300799

	jsonType = "application/json"
	sseType  = "text/event-stream"
)

// NewOpenAI makes the provider. It calls nothing.
func NewOpenAI(o OpenAIOptions) *OpenAI {
	header := http.Header{}
	if o.APIKey != "" {
		header.Set("Authorization", "Bearer "+o.APIKey)
	}
	return &OpenAI{
		up: newUpstream(upstreamOptions{
			Provider: o.Name,
			BaseURL:  o.BaseURL,
			Header:   header,
			Headers:  o.Headers,
			Secrets:  []string{o.APIKey},
			Timeouts: o.Timeouts,
			Retry:    o.Retry,
			Observer: o.Observer,
		}),
		models:      defaultModel{configured: o.DefaultModel},
		streamUsage: !o.NoStreamUsage,
		maxLine:     o.MaxLine,
	}
}

// Run answers req by POST /chat/completions. All of req.Params reaches the
// upstream, and all of its answer the deltas, unchanged.
func (o *OpenAI) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	model, err := o.models.pick(ctx, o.up, req.Model, o.Models)
	if err != nil {
		return Result{}, err
	}
	body, err := o.body(model, req)
	if err != nil {
		return Result{}, err
	}
	if req.Whole {
		resp, err := o.up.doWhole(ctx, http.MethodPost, "/chat/completions", jsonType, body, http.Header{"Accept": {jsonType}})
		if err != nil {
			return Result{}, err
		}
		defer resp.Body.Close()
		return o.whole(resp, emit)
	}
	resp, err := o.up.do(ctx, http.MethodPost, "/chat/completions", jsonType, body, http.Header{"Accept": {sseType}})
	if err != nil {
		return Result{}, err
	}
	defer resp.Body.Close()
	return o.stream(resp, emit)
}

// Models asks GET /models.
func (o *OpenAI) Models(ctx context.Context) ([]Model, error) {
	resp, err := o.up.do(ctx, http.MethodGet, "/models", "", nil, http.Header{"Accept": {jsonType}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := o.up.readAll(resp.Body, maxListBytes)
	if err != nil {
		return nil, err
	}
	models, err := parseModelList(data)
	if err != nil {
		return nil, o.up.errorf(KindMalformed, err, "the list of models cannot be read: %v", err)
	}
	return models, nil
}

// Close gives up idle connections; calls in flight go on.
func (o *OpenAI) Close() { o.up.close() }

// body is the request's JSON: model and messages, and Params's members as they
// stand.
func (o *OpenAI) body(model string, req *Request) ([]byte, error) {
	params := bytes.TrimSpace(req.Params)
	if len(params) > 0 && string(params) != "null" {
		if params[0] != '{' || params[len(params)-1] != '}' {
			return nil, o.up.errorf(KindInvalid, nil, "the request's parameters are no JSON object")
		}
		params = bytes.TrimSpace(params[1 : len(params)-1])
	} else {
		params = nil
	}
	size := 128 + len(model) + len(params)
	for _, m := range req.Messages {
		size += 48 + len(m.Text) + len(m.Raw)
	}
	buf := make([]byte, 0, size)
	buf = append(buf, `{"model":`...)
	buf = appendJSONString(buf, model)
	buf = append(buf, `,"messages":[`...)
	for i, m := range req.Messages {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendMessage(buf, m)
	}
	switch {
	case req.Whole:
		buf = append(buf, `],"stream":false`...)
	case o.streamUsage:
		buf = append(buf, `],"stream":true,"stream_options":{"include_usage":true}`...)
	default:
		buf = append(buf, `],"stream":true`...)
	}
	if len(params) > 0 {
		buf = append(buf, ',')
		buf = append(buf, params...)
	}
	return append(buf, '}'), nil
}

func appendMessage(buf []byte, m Message) []byte {
	if m.Raw != nil {
		return append(buf, m.Raw...)
	}
	buf = append(buf, `{"role":`...)
	buf = appendJSONString(buf, m.Role)
	buf = append(buf, `,"content":`...)
	buf = appendJSONString(buf, m.Text)
	return append(buf, '}')
}

// parseModelList reads {"data":[{"id","created","owned_by"}]}, or the list alone
// as some servers send it. Entries without an id are left out.
func parseModelList(data []byte) ([]Model, error) {
	type entry struct {
		ID      string          `json:"id"`
		Created json.RawMessage `json:"created"`
		OwnedBy string          `json:"owned_by"`
	}
	var entries []entry
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		if err := json.Unmarshal(data, &entries); err != nil {
			return nil, err
		}
	} else {
		var list struct {
			Data []entry `json:"data"`
		}
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, err
		}
		entries = list.Data
	}
	models := make([]Model, 0, len(entries))
	for _, e := range entries {
		if e.ID == "" {
			continue
		}
		var created float64 // some servers write a fraction, or a string
		if json.Unmarshal(e.Created, &created) != nil || created < 0 || created > maxUnixTime {
			created = 0
		}
		models = append(models, Model{ID: e.ID, Created: int64(created), OwnedBy: e.OwnedBy})
	}
	return models, nil
}
