package responses

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"agentzero/agent"
)

// Settings are what a response tells of the request it answers. They are kept with
// the turn.
type Settings struct {
	Background      bool              `json:"background"`
	Conversation    *Named            `json:"conversation"`
	Instructions    *string           `json:"instructions"`
	MaxOutputTokens *int64            `json:"max_output_tokens"`
	MaxToolCalls    *int64            `json:"max_tool_calls"`
	Metadata        map[string]string `json:"metadata"`
	Model           string            `json:"model"`
	ParallelTools   bool              `json:"parallel_tool_calls"`
	Previous        *string           `json:"previous_response_id"`
	PromptCacheKey  *string           `json:"prompt_cache_key"`
	Reasoning       Reasoning         `json:"reasoning"`
	SafetyID        *string           `json:"safety_identifier"`
	ServiceTier     string            `json:"service_tier"`
	Store           bool              `json:"store"`
	Temperature     *float64          `json:"temperature"`
	Text            TextConfig        `json:"text"`
	ToolChoice      json.RawMessage   `json:"tool_choice"`
	Tools           []json.RawMessage `json:"tools"`
	TopLogprobs     *int64            `json:"top_logprobs"`
	TopP            *float64          `json:"top_p"`
	Truncation      string            `json:"truncation"`
	User            *string           `json:"user"`
}

// Named is what has only an id.
type Named struct {
	ID string `json:"id"`
}

// Reasoning is how much the model may think.
type Reasoning struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

// TextConfig is the form of the answer's text.
type TextConfig struct {
	Format    json.RawMessage `json:"format"`
	Verbosity *string         `json:"verbosity,omitempty"`
}

// Kept is what is kept of a response with its turn.
type Kept struct {
	Settings Settings `json:"settings"`
	// History is how many of the turn's messages were not of the request, but said
	// before it.
	History int `json:"history,omitempty"`
}

// Request is a request for a response.
type Request struct {
	Settings
	Input  []agent.Message
	Params json.RawMessage // of the chat completion
	Stream bool
}

// Parse reads a request's members, all of which it must know. It takes those that
// it reads out of fields.
func Parse(fields map[string]json.RawMessage) (*Request, error) {
	p := &parser{object: object{fields: fields}, params: map[string]any{}}
	r := &p.request
	r.Store, r.ParallelTools, r.Truncation, r.ServiceTier = true, true, "disabled", "default"
	for _, read := range []func() error{p.input, p.text, p.tools, p.numbers, p.names, p.state, p.flags, p.unsupported, p.done} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	if r.Background && !r.Store {
		return nil, fault("background", "a response in the background must be stored")
	}
	if r.Conversation != nil && r.Previous != nil {
		return nil, fault("previous_response_id", "conversation and previous_response_id exclude each other")
	}
	if len(p.params) > 0 {
		params, err := encode(p.params)
		if err != nil {
			return nil, err
		}
		r.Params = params
	}
	return r, nil
}

type parser struct {
	object
	request Request
	params  map[string]any
}

func (p *parser) input() (err error) {
	raw, ok := p.fields["input"]
	delete(p.fields, "input")
	if !ok || string(raw) == "null" {
		return fault("input", "input is a text or a list of items")
	}
	if p.request.Input, err = ParseInput(raw, "input"); err == nil && len(p.request.Input) == 0 {
		return fault("input", "input holds no item")
	}
	return err
}

// text reads the form of the answer.
func (p *parser) text() error {
	c := &p.request.Text
	c.Format = json.RawMessage(`{"type":"text"}`)
	raw, ok := p.fields["text"]
	delete(p.fields, "text")
	if !ok || string(raw) == "null" {
		return nil
	}
	o, err := parseObject(raw, "text")
	if err != nil {
		return err
	}
	if err := o.oneOf("verbosity", &c.Verbosity, "low", "medium", "high"); err != nil {
		return err
	}
	if c.Verbosity != nil {
		p.params["verbosity"] = *c.Verbosity
	}
	if raw, ok := o.fields["format"]; ok && string(raw) != "null" {
		if err := p.format(raw); err != nil {
			return err
		}
	}
	delete(o.fields, "format")
	return o.done()
}

func (p *parser) format(raw json.RawMessage) error {
	o, err := parseObject(raw, "text.format")
	if err != nil {
		return err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return err
	}
	format := map[string]any{"type": kind}
	switch kind {
	case "text":
	case "json_object":
		p.params["response_format"] = format
	case "json_schema":
		if err := p.schema(o, format); err != nil {
			return err
		}
	default:
		return fault("text.format.type", "the format is text, json_schema or json_object")
	}
	if err := o.done(); err != nil {
		return err
	}
	p.request.Text.Format, err = encode(format)
	return err
}

func (p *parser) schema(o *object, format map[string]any) error {
	var name string
	var description *string
	var strict *bool
	var schema map[string]json.RawMessage
	for _, err := range []error{
		o.need("name", &name),
		o.take("description", &description, "a string"),
		o.take("strict", &strict, "true or false"),
		o.take("schema", &schema, "a JSON schema"),
	} {
		if err != nil {
			return err
		}
	}
	if schema == nil {
		return fault(o.at("schema"), o.at("schema")+" must be a JSON schema")
	}
	inner := map[string]any{"name": name, "schema": schema}
	if description != nil {
		inner["description"] = *description
	}
	if strict != nil {
		inner["strict"] = *strict
	}
	p.params["response_format"] = map[string]any{"type": "json_schema", "json_schema": inner}
	for name, v := range inner {
		format[name] = v
	}
	return nil
}

func (p *parser) numbers() error {
	r := &p.request
	for _, err := range []error{
		p.number("temperature", &r.Temperature, 0, 2),
		p.number("top_p", &r.TopP, 0, 1),
		p.integer("top_logprobs", &r.TopLogprobs, 0, 20),
		p.integer("max_output_tokens", &r.MaxOutputTokens, 1, maxCount),
		p.integer("max_tool_calls", &r.MaxToolCalls, 0, maxCount),
	} {
		if err != nil {
			return err
		}
	}
	if r.Temperature != nil {
		p.params["temperature"] = *r.Temperature
	}
	if r.TopP != nil {
		p.params["top_p"] = *r.TopP
	}
	if r.MaxOutputTokens != nil {
		p.params["max_completion_tokens"] = *r.MaxOutputTokens
	}
	if r.TopLogprobs != nil && *r.TopLogprobs > 0 {
		p.params["logprobs"], p.params["top_logprobs"] = true, *r.TopLogprobs
	}
	return nil
}

const maxCount = 1 << 31

func (o *object) number(name string, v **float64, least, most float64) error {
	if err := o.take(name, v, "a number"); err != nil {
		return err
	}
	if *v != nil && (**v < least || **v > most) {
		return fault(o.at(name), o.at(name)+" is a number from "+strconv.FormatFloat(least, 'g', -1, 64)+" to "+strconv.FormatFloat(most, 'g', -1, 64))
	}
	return nil
}

func (o *object) integer(name string, v **int64, least, most int64) error {
	what := "an integer from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
	if err := o.take(name, v, what); err != nil {
		return err
	}
	if *v != nil && (**v < least || **v > most) {
		return fault(o.at(name), o.at(name)+" is "+what)
	}
	return nil
}

// oneOf takes a string that may be absent.
func (o *object) oneOf(name string, v **string, values ...string) error {
	if err := o.take(name, v, "a string"); err != nil {
		return err
	}
	if *v != nil && !slices.Contains(values, **v) {
		return fault(o.at(name), o.at(name)+" is one of "+list(values))
	}
	return nil
}

func list(values []string) string {
	out := ""
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			out += " and "
		default:
			out += ", "
		}
		out += v
	}
	return out
}

// names reads what names people and things; the model's server is told.
func (p *parser) names() error {
	r := &p.request
	if err := p.take("model", &r.Model, "a string"); err != nil {
		return err
	}
	if err := p.take("instructions", &r.Instructions, "a string"); err != nil {
		return err
	}
	for _, n := range []struct {
		name string
		v    **string
		most int
	}{{"user", &r.User, 512}, {"safety_identifier", &r.SafetyID, 128}, {"prompt_cache_key", &r.PromptCacheKey, 512}} {
		if err := p.take(n.name, n.v, "a string"); err != nil {
			return err
		}
		if *n.v == nil {
			continue
		}
		if utf8.RuneCountInString(**n.v) > n.most {
			return fault(n.name, n.name+" is longer than "+strconv.Itoa(n.most)+" characters")
		}
		p.params[n.name] = **n.v
	}
	return nil
}

// state reads what the response belongs to.
func (p *parser) state() (err error) {
	r := &p.request
	if err := p.take("previous_response_id", &r.Previous, "a string"); err != nil {
		return err
	}
	if r.Metadata, err = TakeMetadata(p.fields); err != nil {
		return err
	}
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	raw := p.fields["conversation"]
	if len(raw) > 0 && raw[0] == '"' {
		r.Conversation = new(Named)
		return p.take("conversation", &r.Conversation.ID, "a string")
	}
	delete(p.fields, "conversation")
	if raw == nil || string(raw) == "null" {
		return nil
	}
	o, err := parseObject(raw, "conversation")
	if err != nil {
		return err
	}
	r.Conversation = new(Named)
	if err := o.need("id", &r.Conversation.ID); err != nil {
		return err
	}
	return o.done()
}

const (
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

// TakeMetadata reads the member metadata; nil where it is null or absent.
func TakeMetadata(fields map[string]json.RawMessage) (map[string]string, error) {
	const what = "metadata is an object of at most 16 strings of at most 512 characters, under names of at most 64"
	raw, ok := fields["metadata"]
	delete(fields, "metadata")
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var pointers map[string]*string // null is no string
	if err := json.Unmarshal(raw, &pointers); err != nil || len(pointers) > maxMetadata {
		return nil, fault("metadata", what)
	}
	metadata := make(map[string]string, len(pointers))
	for name, value := range pointers {
		if value == nil || utf8.RuneCountInString(name) > maxMetadataKey || utf8.RuneCountInString(*value) > maxMetadataValue {
			return nil, fault("metadata", what)
		}
		metadata[name] = *value
	}
	return metadata, nil
}

// flags reads how the response is made and told.
func (p *parser) flags() error {
	r := &p.request
	var truncation, tier *string
	var parallel, store *bool
	for _, err := range []error{
		p.take("stream", &r.Stream, "true or false"),
		p.take("background", &r.Background, "true or false"),
		p.take("store", &store, "true or false"),
		p.take("parallel_tool_calls", &parallel, "true or false"),
		p.oneOf("truncation", &truncation, "auto", "disabled"),
		p.oneOf("service_tier", &tier, "auto", "default"),
		p.reasoning(),
		p.include(),
		p.streamOptions(),
	} {
		if err != nil {
			return err
		}
	}
	if store != nil {
		r.Store = *store
	}
	if truncation != nil {
		r.Truncation = *truncation
	}
	if parallel != nil {
		r.ParallelTools = *parallel
		if len(r.Tools) > 0 { // servers refuse it without tools
			p.params["parallel_tool_calls"] = *parallel
		}
	}
	return nil
}

func (p *parser) reasoning() error {
	raw, ok := p.fields["reasoning"]
	delete(p.fields, "reasoning")
	if !ok || string(raw) == "null" {
		return nil
	}
	o, err := parseObject(raw, "reasoning")
	if err != nil {
		return err
	}
	r := &p.request.Reasoning
	if err := o.oneOf("effort", &r.Effort, "none", "minimal", "low", "medium", "high", "xhigh", "max"); err != nil {
		return err
	}
	for _, name := range []string{"generate_summary", "summary"} { // the former name of the same
		if err := o.oneOf(name, &r.Summary, "auto", "concise", "detailed"); err != nil {
			return err
		}
	}
	if r.Effort != nil {
		p.params["reasoning_effort"] = *r.Effort
	}
	return o.done()
}

const includeLogprobs = "message.output_text.logprobs"

// include asks for more of the output: what is there is always told, but for the
// probabilities.
func (p *parser) include() error {
	var include []string
	if err := p.take("include", &include, "a list of names"); err != nil {
		return err
	}
	for i, name := range include {
		at := "include[" + strconv.Itoa(i) + "]"
		if err := CheckInclude(name, at); err != nil {
			return err
		}
		if name == includeLogprobs {
			p.params["logprobs"] = true
		}
	}
	return nil
}

// CheckInclude refuses to include what is not there.
func CheckInclude(name, param string) error {
	switch name {
	case includeLogprobs, "message.input_image.image_url":
		return nil
	}
	return fault(param, strconv.Quote(name)+" cannot be included here: "+includeLogprobs+" and message.input_image.image_url can")
}

func (p *parser) streamOptions() error {
	raw, ok := p.fields["stream_options"]
	delete(p.fields, "stream_options")
	if !ok || string(raw) == "null" {
		return nil
	}
	o, err := parseObject(raw, "stream_options")
	if err != nil {
		return err
	}
	var obfuscate bool
	if err := o.take("include_obfuscation", &obfuscate, "true or false"); err != nil {
		return err
	}
	if obfuscate {
		return fault("stream_options.include_obfuscation", "streams are not obfuscated here")
	}
	return o.done()
}

// unsupported explains what is refused for good; other names are unknown.
func (p *parser) unsupported() error {
	for name, why := range map[string]string{
		"prompt":                 "there are no stored prompts here: send instructions and input",
		"context_management":     "there is no compaction here: set truncation to auto",
		"moderation":             "there is no moderation here",
		"access_programs":        "there are no access programs here",
		"image":                  "images are passed on as they are",
		"prompt_cache_options":   "there is no cache of prompts here to be set: prompt_cache_key is passed on",
		"prompt_cache_retention": "there is no cache of prompts here to be set: prompt_cache_key is passed on",
	} {
		if raw, ok := p.fields[name]; ok && string(raw) != "null" {
			return fault(name, name+" is not supported: "+why)
		}
	}
	return nil
}
