package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ollamaRequest is the body of POST /api/chat.
type ollamaRequest struct {
	Model     string                     `json:"model"`
	Messages  []ollamaMessage            `json:"messages"`
	Stream    bool                       `json:"stream"`
	Tools     json.RawMessage            `json:"tools,omitempty"`
	Format    json.RawMessage            `json:"format,omitempty"`
	Think     json.RawMessage            `json:"think,omitempty"`
	KeepAlive json.RawMessage            `json:"keep_alive,omitempty"`
	Options   map[string]json.RawMessage `json:"options,omitempty"`
}

// ollamaBody translates req.
func ollamaBody(model string, req *Request) ([]byte, error) {
	params, err := parseParams(req.Params)
	if err != nil {
		return nil, err
	}
	if err := refuseUnmet(params); err != nil {
		return nil, err
	}
	choice := params["tool_choice"]
	if choice != nil && plain(choice) != "auto" && plain(choice) != "none" {
		return nil, fmt.Errorf("it has no tool_choice %s", plain(choice))
	}
	messages, err := ollamaMessages(req.Messages)
	if err != nil {
		return nil, err
	}
	body := ollamaRequest{Model: model, Messages: messages, Stream: true, KeepAlive: params["keep_alive"]}
	if plain(choice) != "none" {
		body.Tools = params["tools"]
	}
	if format := params["response_format"]; format != nil {
		if body.Format, err = responseSchema(format); err != nil {
			return nil, err
		}
	}
	if body.Think, err = ollamaThink(params); err != nil {
		return nil, err
	}
	if body.Options, err = ollamaOptions(params); err != nil {
		return nil, err
	}
	return encodeBody(body)
}

// ollamaThink translates reasoning_effort, which think, Ollama's own, overrides.
// Models that think but have no levels take any level for true.
func ollamaThink(params map[string]json.RawMessage) (json.RawMessage, error) {
	if think := params["think"]; think != nil {
		return think, nil
	}
	if params["reasoning_effort"] == nil {
		return nil, nil
	}
	switch effort := plain(params["reasoning_effort"]); effort {
	case "none":
		return json.RawMessage("false"), nil
	case "minimal", "low":
		return json.RawMessage(`"low"`), nil
	case "medium":
		return json.RawMessage(`"medium"`), nil
	case "high", "xhigh", "max":
		return json.RawMessage(`"high"`), nil
	default:
		return nil, fmt.Errorf("it has no reasoning_effort %q", effort)
	}
}

// ollamaOptions gathers the options: those that OpenAI's API has too, Ollama's
// own given beside them, and over both an options object as Ollama takes it.
func ollamaOptions(params map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	options := map[string]json.RawMessage{}
	for _, name := range []string{
		"temperature", "top_p", "seed", "frequency_penalty", "presence_penalty",
		"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "num_ctx", "num_predict",
	} {
		if value := params[name]; value != nil {
			options[name] = value
		}
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if value := params[name]; value != nil {
			options["num_predict"] = value
		}
	}
	if stop := params["stop"]; stop != nil {
		if isString(stop) {
			stop = json.RawMessage("[" + string(stop) + "]")
		}
		options["stop"] = stop
	}
	if own := params["options"]; own != nil {
		if err := json.Unmarshal(own, &options); err != nil {
			return nil, errors.New("options is no JSON object")
		}
	}
	return options, nil
}

// ollamaMessage is a message as Ollama takes it.
type ollamaMessage struct {
	Role       string           `json:"role"`
	Content    string           `json:"content"`
	Thinking   string           `json:"thinking,omitempty"`
	Images     []string         `json:"images,omitempty"` // base64
	ToolCalls  []ollamaToolCall `json:"tool_calls,omitempty"`
	ToolName   string           `json:"tool_name,omitempty"`
	ToolCallID string           `json:"tool_call_id,omitempty"`
}

type ollamaToolCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

func ollamaMessages(messages []Message) ([]ollamaMessage, error) {
	translated := make([]ollamaMessage, 0, len(messages))
	toolNames := map[string]string{} // by the call's id: results tell only that
	for i, m := range messages {
		out := ollamaMessage{Role: ollamaRole(m.Role), Content: m.Text}
		if m.Raw != nil {
			if err := out.fill(m.Raw, toolNames); err != nil {
				return nil, fmt.Errorf("message %d: %w", i, err)
			}
		}
		translated = append(translated, out)
	}
	return translated, nil
}

func ollamaRole(role string) string {
	switch role {
	case "developer":
		return "system"
	case "function":
		return "tool"
	}
	return role
}

// fill takes what a message has besides role and text.
func (o *ollamaMessage) fill(raw json.RawMessage, toolNames map[string]string) error {
	var in struct {
		Content          json.RawMessage `json:"content"`
		Name             string          `json:"name"`
		ReasoningContent json.RawMessage `json:"reasoning_content"`
		ToolCallID       string          `json:"tool_call_id"`
		ToolCalls        []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string          `json:"name"`
				Arguments json.RawMessage `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return errors.New("it is not as OpenAI's API has it")
	}
	if isString(in.ReasoningContent) {
		o.Thinking = plain(in.ReasoningContent)
	}
	for _, call := range in.ToolCalls {
		arguments, err := objectArguments(call.Function.Arguments)
		if err != nil {
			return fmt.Errorf("tool call %s: %w", call.Function.Name, err)
		}
		out := ollamaToolCall{ID: call.ID}
		out.Function.Name, out.Function.Arguments = call.Function.Name, arguments
		o.ToolCalls = append(o.ToolCalls, out)
		toolNames[call.ID] = call.Function.Name
	}
	if o.Role == "tool" {
		o.ToolCallID, o.ToolName = in.ToolCallID, in.Name
		if name := toolNames[in.ToolCallID]; name != "" {
			o.ToolName = name
		}
	}
	var err error
	o.Images, err = ollamaImages(in.Content)
	return err
}

// objectArguments is the JSON object that OpenAI's API writes as a string.
func objectArguments(value json.RawMessage) (json.RawMessage, error) {
	text := strings.TrimSpace(plain(value))
	if text == "" {
		return json.RawMessage("{}"), nil
	}
	if text[0] != '{' || !json.Valid([]byte(text)) {
		return nil, errors.New("its arguments are no JSON object")
	}
	return json.RawMessage(text), nil
}

// ollamaImages finds the images among the parts of a content.
func ollamaImages(content json.RawMessage) ([]string, error) {
	if len(content) == 0 || content[0] != '[' {
		return nil, nil
	}
	var parts []struct {
		Type     string          `json:"type"`
		ImageURL json.RawMessage `json:"image_url"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return nil, errors.New("its content is not as OpenAI's API has it")
	}
	var images []string
	for _, part := range parts {
		switch part.Type {
		case "text", "refusal":
			continue
		case "image_url":
		default:
			return nil, fmt.Errorf("it takes no content of type %q", part.Type)
		}
		url := part.ImageURL
		if !isString(url) {
			url = jsonMember(url, "url")
		}
		_, data, ok := base64URL(plain(url))
		if !ok {
			return nil, errors.New("it takes images only as data: URIs in base64")
		}
		images = append(images, data)
	}
	return images, nil
}
