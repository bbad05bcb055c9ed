package agent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// demoTool is a function tool of OpenAI's API.
type demoTool struct {
	Function struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
}

var demoCallWords = regexp.MustCompile(`\b(?:call|use|run|invoke|try|execute)\b`)

// demoToolCalls are the calls the agent makes instead of an answer: of the tool
// that tool_choice demands, else of those the user's last message tells to call.
func demoToolCalls(t *demoTalk, params demoParams) ([]toolCall, error) {
	choice, err := parseToolChoice(params.ToolChoice)
	if err != nil {
		return nil, err
	}
	var chosen []demoTool
	switch choice.mode {
	case "none":
		return nil, nil
	case "named":
		for _, tool := range params.Tools {
			if tool.Function.Name == choice.name {
				chosen = []demoTool{tool}
			}
		}
		if chosen == nil {
			return nil, invalidParam("tool_choice", "there is no tool "+quote(choice.name)+" in tools")
		}
	default:
		chosen = t.toolsNamed(params.Tools)
		if choice.mode == "required" && len(chosen) == 0 {
			if len(params.Tools) == 0 {
				return nil, invalidParam("tool_choice", "required, but there are no tools")
			}
			chosen = params.Tools[:1]
		}
		if choice.mode != "required" && (len(t.results) > 0 || !demoCallWords.MatchString(t.lower)) {
			return nil, nil
		}
	}
	if params.Parallel != nil && !*params.Parallel && len(chosen) > 1 {
		chosen = chosen[:1]
	}
	calls := make([]toolCall, len(chosen))
	for i, tool := range chosen {
		sample := demoSample{hints: demoHintsFrom(t.withoutName(tool.Function.Name)), root: tool.Function.Parameters}
		calls[i] = toolCall{
			ID:        fmt.Sprintf("call_demo_%d_%d", len(t.messages), i),
			Name:      tool.Function.Name,
			Arguments: string(sample.object(tool.Function.Parameters)),
		}
	}
	return calls, nil
}

// toolsNamed are the tools whose name stands in the last message, in the order
// they were offered. A name may be written with spaces.
func (t *demoTalk) toolsNamed(tools []demoTool) []demoTool {
	var named []demoTool
	message := " " + spacedName(t.lower) + " "
	for _, tool := range tools {
		if name := spacedName(strings.ToLower(tool.Function.Name)); name != "" && strings.Contains(message, " "+name+" ") {
			named = append(named, tool)
		}
	}
	return named
}

// maxDemoName is the longest name of a tool or property that is looked for in a
// message, in bytes; OpenAI's limit is 64.
const maxDemoName = 128

// withoutName is the last message without the words that tell to call a tool.
func (t *demoTalk) withoutName(tool string) string {
	if len(tool) > maxDemoName {
		return t.last
	}
	words := regexp.MustCompile(`(?i)\b(?:please |now )?(?:call|use|run|invoke|try|execute)?(?: the)?(?: (?:tool|function))?\s*` +
		strings.ReplaceAll(regexp.QuoteMeta(tool), "_", "[_ -]") + `\b(?: (?:tool|function))?`)
	return strings.TrimSpace(words.ReplaceAllString(t.last, " "))
}

func spacedName(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127)
	}), " ")
}

// toolName is the name of the tool that a result is from, as the call says.
func (t *demoTalk) toolName(result Message) string {
	var fields struct {
		Name string `json:"name"`
		ID   string `json:"tool_call_id"`
	}
	// A message without Raw has no such fields.
	_ = json.Unmarshal(result.Raw, &fields)
	if fields.Name != "" {
		return fields.Name
	}
	for i := len(t.messages) - 1; i >= 0; i-- {
		for _, call := range messageToolCalls(t.messages[i]) {
			if call.ID == fields.ID {
				return call.Name
			}
		}
	}
	return "you called"
}

// messageToolCalls are the calls in an assistant's message.
func messageToolCalls(m Message) []toolCall {
	if m.Raw == nil || m.Role != "assistant" {
		return nil
	}
	var fields struct {
		ToolCalls []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	}
	if json.Unmarshal(m.Raw, &fields) != nil {
		return nil
	}
	calls := make([]toolCall, len(fields.ToolCalls))
	for i, c := range fields.ToolCalls {
		calls[i] = toolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments}
	}
	return calls
}

// toolChoice is OpenAI's tool_choice.
type toolChoice struct {
	mode string // auto, none, required, or named
	name string
}

func parseToolChoice(raw json.RawMessage) (toolChoice, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return toolChoice{mode: "auto"}, nil
	}
	var mode string
	if json.Unmarshal(raw, &mode) == nil {
		switch mode {
		case "auto", "none", "required":
			return toolChoice{mode: mode}, nil
		}
		return toolChoice{}, invalidParam("tool_choice", "must be auto, none, required, or a tool")
	}
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(raw, &named) != nil || named.Function.Name == "" {
		return toolChoice{}, invalidParam("tool_choice", "must name a function")
	}
	return toolChoice{mode: "named", name: named.Function.Name}, nil
}
