package responses

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"agentzero/agent"
)

// The forms of items as the API gives them out. Texts are JSON string literals.
type (
	messageItem struct {
		ID      string `json:"id"`
		Type    string `json:"type"` // message
		Status  string `json:"status"`
		Role    string `json:"role"`
		Content []any  `json:"content"`
	}
	callItem struct {
		ID        string          `json:"id"`
		Type      string          `json:"type"` // function_call
		Status    string          `json:"status"`
		CallID    string          `json:"call_id"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	outputItem struct {
		ID     string          `json:"id"`
		Type   string          `json:"type"` // function_call_output
		Status string          `json:"status"`
		CallID string          `json:"call_id"`
		Output json.RawMessage `json:"output"`
	}
	reasoningItem struct {
		ID      string        `json:"id"`
		Type    string        `json:"type"` // reasoning
		Summary []summaryText `json:"summary"`
	}
	summaryText struct {
		Type string          `json:"type"` // summary_text
		Text json.RawMessage `json:"text"`
	}
	outputText struct {
		Type        string            `json:"type"` // output_text
		Annotations []any             `json:"annotations"`
		Logprobs    []json.RawMessage `json:"logprobs"`
		Text        json.RawMessage   `json:"text"`
	}
	refusalPart struct {
		Type    string          `json:"type"` // refusal
		Refusal json.RawMessage `json:"refusal"`
	}
	inputText struct {
		Type string `json:"type"` // input_text
		Text string `json:"text"`
	}
	inputImage struct {
		Type   string  `json:"type"` // input_image
		Detail string  `json:"detail"`
		FileID *string `json:"file_id"` // null
		URL    string  `json:"image_url"`
	}
	inputFile struct {
		Type     string `json:"type"` // input_file
		FileData string `json:"file_data"`
		Filename string `json:"filename,omitempty"`
	}
)

// ItemsOf are the items of one message: of an assistant's, each part is one, but
// for those in gone. index is -1 for a turn's answer; incomplete marks one that was
// cut short.
func ItemsOf(turn string, index int, m *agent.Message, gone []string, incomplete bool) ([]Item, error) {
	status := "completed"
	if incomplete {
		status = "incomplete"
	}
	if m.Role != "assistant" {
		item, err := given(ItemRef{Turn: turn, Index: index}, m, status)
		if err != nil {
			return nil, err
		}
		return []Item{item}, nil
	}
	fields := struct {
		Content          json.RawMessage `json:"content"`
		Refusal          *string         `json:"refusal"`
		Reasoning        json.RawMessage `json:"reasoning"`
		ReasoningContent json.RawMessage `json:"reasoning_content"`
		ToolCalls        []call          `json:"tool_calls"`
	}{}
	if m.Raw != nil {
		_ = json.Unmarshal(m.Raw, &fields) // what is odd in it is not shown
	}
	var items []Item
	parts := m.Parts()
	if len(parts) == 0 && index >= 0 {
		parts = []string{""} // an item all the same
	}
	for _, part := range parts {
		if slices.Contains(gone, part) {
			continue
		}
		ref := ItemRef{Turn: turn, Index: index, Part: part}
		var v any
		switch part {
		case agent.PartReasoning:
			ref.kind = "rs"
			text := fields.ReasoningContent
			if len(text) <= 2 || text[0] != '"' {
				text = fields.Reasoning
			}
			v = reasoningItem{ref.ID(), "reasoning", []summaryText{{"summary_text", text}}}
		case agent.PartContent, "":
			ref.kind = "msg"
			content := []any{}
			if m.Text != "" {
				content = append(content, outputText{"output_text", []any{}, []json.RawMessage{}, literal(m.Text)})
			}
			if fields.Refusal != nil && *fields.Refusal != "" {
				content = append(content, refusalPart{"refusal", literal(*fields.Refusal)})
			}
			v = messageItem{ref.ID(), "message", status, "assistant", content}
		default:
			ref.kind = "fc"
			n, _ := strconv.Atoi(part[len(agent.PartCall):])
			c := &fields.ToolCalls[n]
			v = callItem{ref.ID(), "function_call", status, c.ID, c.Function.Name, literal(c.Function.Arguments)}
		}
		data, err := encode(v)
		if err != nil {
			return nil, err
		}
		items = append(items, Item{ref, ref.ID(), data})
	}
	return items, nil
}

type call struct {
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// literal is a string as JSON.
func literal(s string) json.RawMessage {
	data, err := encode(s)
	if err != nil {
		panic("responses: strings do not marshal: " + err.Error())
	}
	return data
}

// given is the item of a message that is not an assistant's.
func given(ref ItemRef, m *agent.Message, status string) (Item, error) {
	var fields struct {
		Content json.RawMessage `json:"content"`
		CallID  string          `json:"tool_call_id"`
	}
	if m.Raw != nil {
		_ = json.Unmarshal(m.Raw, &fields)
	}
	content := []any{inputText{"input_text", m.Text}}
	if raw := bytes.TrimSpace(fields.Content); len(raw) > 0 && raw[0] == '[' {
		content = givenParts(raw)
	}
	var v any
	if m.Role == "tool" || m.Role == "function" {
		ref.kind = "fco"
		output := literal(m.Text)
		if len(content) > 1 {
			var err error
			if output, err = encode(content); err != nil {
				return Item{}, err
			}
		}
		v = outputItem{ref.ID(), "function_call_output", status, fields.CallID, output}
	} else {
		ref.kind = "msg"
		v = messageItem{ref.ID(), "message", status, roleOf(m.Role), content}
	}
	data, err := encode(v)
	return Item{ref, ref.ID(), data}, err
}

func roleOf(role string) string {
	switch role {
	case "user", "system", "developer", "assistant", "tool":
		return role
	}
	return "unknown"
}

// givenParts are the parts of a chat message as those of an item.
func givenParts(raw json.RawMessage) []any {
	var parts []struct {
		Type  string `json:"type"`
		Text  string `json:"text"`
		Image struct {
			URL    string `json:"url"`
			Detail string `json:"detail"`
		} `json:"image_url"`
		File struct {
			Data string `json:"file_data"`
			Name string `json:"filename"`
		} `json:"file"`
	}
	_ = json.Unmarshal(raw, &parts) // it was read when it came
	out := make([]any, len(parts))
	for i, p := range parts {
		switch p.Type {
		case "image_url":
			if p.Image.Detail == "" {
				p.Image.Detail = "auto"
			}
			out[i] = inputImage{"input_image", p.Image.Detail, nil, p.Image.URL}
		case "file":
			out[i] = inputFile{"input_file", p.File.Data, p.File.Name}
		case "text", "":
			out[i] = inputText{"input_text", p.Text}
		default: // what only chat completions have, such as audio
			out[i] = inputText{"input_text", "[" + p.Type + "]"}
		}
	}
	return out
}
