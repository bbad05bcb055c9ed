package agent

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// DemoModel is the one model the [Demo] agent serves.
const DemoModel = "demo"

// DemoOptions configure a [Demo].
type DemoOptions struct {
	// Delay is the pause between two words of an answer; 0 means none, and then
	// up to 16 words come with one emit. Answers for a Request with Whole set
	// do not pause, except where slowness is what was asked for.
	Delay time.Duration
}

// Demo is the built-in agent that needs no key and no network, so that a new
// gateway has something to talk to. It is no language model: it knows this
// gateway, remembers the conversation it is given, and plays the parts of a
// model that clients depend on (streams, tool calls, JSON answers, stop
// sequences, limits). The same conversation always gets the same answer.
type Demo struct{ delay time.Duration }

// NewDemo returns a Demo. It holds no resources.
func NewDemo(o DemoOptions) *Demo { return &Demo{delay: o.Delay} }

// Models lists the one model there is.
func (d *Demo) Models(context.Context) ([]Model, error) {
	return []Model{{ID: DemoModel, OwnedBy: "agentzero"}}, nil
}

// Run answers the conversation. Its errors are ctx's, KindNotFound for any
// model but DemoModel (or none), and KindInvalid for parameters it cannot read.
func (d *Demo) Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error) {
	if req.Model != "" && req.Model != DemoModel {
		return Result{}, &Error{Kind: KindNotFound, Message: "no model " + quote(req.Model) +
			" here: the built-in demo agent serves " + quote(DemoModel) +
			" only; name a provider for others in agentzero.toml"}
	}
	params, err := parseDemoParams(req.Params)
	if err != nil {
		return Result{}, err
	}
	answer, err := demoAnswerTo(req.Messages, params)
	if err != nil {
		return Result{}, err
	}
	answer.limit(params)
	stream := demoStream{ctx: ctx, emit: emit, out: deltaWriter{model: DemoModel}, delay: d.delay}
	if answer.slow {
		stream.delay *= 10
	} else if req.Whole {
		stream.delay = 0
	}
	var whole Assembler
	if req.Whole {
		stream.also = &whole
	}
	if err := stream.play(answer); err != nil {
		return Result{}, err
	}
	res := Result{
		FinishReason: answer.finish,
		Model:        DemoModel,
		Usage:        tokenUsage{prompt: demoPromptTokens(req.Messages), completion: answer.tokens()}.json(),
	}
	if req.Whole {
		res.Completion = whole.completion(res.Model, res.Usage)
	}
	return res, nil
}

// demoAnswer is what will be said: thoughts, then text or tool calls.
type demoAnswer struct {
	thoughts string
	text     string
	calls    []toolCall
	slow     bool
	finish   string // OpenAI's finish_reason
}

// demoAnswerTo decides what to say: what the parameters demand first (a tool
// call, an answer in JSON), else what the last message asks for.
func demoAnswerTo(messages []Message, params demoParams) (demoAnswer, error) {
	talk := newDemoTalk(messages)
	calls, err := demoToolCalls(talk, params)
	switch {
	case err != nil:
		return demoAnswer{}, err
	case len(calls) > 0:
		return demoAnswer{calls: calls, finish: "tool_calls"}, nil
	}
	answer := talk.reply()
	answer.finish = "stop"
	if format := params.ResponseFormat; format != nil {
		answer.thoughts = ""
		answer.text, err = demoJSONAnswer(talk, answer.text, format)
	}
	return answer, err
}

// limit cuts the text at the first stop sequence and at the token limit.
func (a *demoAnswer) limit(params demoParams) {
	if len(a.calls) > 0 {
		return
	}
	for _, stop := range params.Stop {
		if at := strings.Index(a.text, stop); stop != "" && at >= 0 {
			a.text = a.text[:at]
		}
	}
	if limit := params.tokenLimit(); limit > 0 {
		if at := demoTokenCut(a.text, limit); at < len(a.text) {
			a.text, a.finish = a.text[:at], "length"
		}
	}
}

func (a *demoAnswer) tokens() int {
	n := demoTokens(a.thoughts) + demoTokens(a.text)
	for _, call := range a.calls {
		n += demoTokens(call.Name) + demoTokens(call.Arguments)
	}
	return n
}

// demoParams are the parameters of a chat completions request the demo agent
// heeds. The others have no meaning for it.
type demoParams struct {
	MaxTokens           *int                `json:"max_tokens"`
	MaxCompletionTokens *int                `json:"max_completion_tokens"`
	N                   *int                `json:"n"`
	Stop                stopSequences       `json:"stop"`
	Tools               []demoTool          `json:"tools"`
	ToolChoice          json.RawMessage     `json:"tool_choice"`
	Parallel            *bool               `json:"parallel_tool_calls"`
	ResponseFormat      *demoResponseFormat `json:"response_format"`
}

// demoResponseFormat is OpenAI's response_format.
type demoResponseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

func parseDemoParams(raw json.RawMessage) (demoParams, error) {
	var p demoParams
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &p); err != nil {
			return p, invalidParams(err)
		}
	}
	if p.N != nil && *p.N != 1 {
		return p, invalidParam("n", "the demo agent gives one answer")
	}
	if p.MaxTokens != nil && *p.MaxTokens < 1 {
		return p, invalidParam("max_tokens", "must be at least 1")
	}
	if p.MaxCompletionTokens != nil && *p.MaxCompletionTokens < 1 {
		return p, invalidParam("max_completion_tokens", "must be at least 1")
	}
	if f := p.ResponseFormat; f != nil && (f.Type == "" || f.Type == "text") {
		p.ResponseFormat = nil
	}
	return p, nil
}

// tokenLimit is the most tokens the answer may have, 0 for no limit.
func (p *demoParams) tokenLimit() int {
	switch {
	case p.MaxCompletionTokens != nil:
		return *p.MaxCompletionTokens
	case p.MaxTokens != nil:
		return *p.MaxTokens
	}
	return 0
}
