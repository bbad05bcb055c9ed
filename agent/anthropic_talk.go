package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// anthropicTalk is a conversation as the Messages API takes it: instructions
// apart, and turns of user and assistant by turns, the user's first. None of
// them is empty, nor is any text, for the API refuses the whole conversation
// then.
type anthropicTalk struct {
	system []any
	turns  []anthropicTurn
	called []string        // the names of the tools that were called, each once
	known  map[string]bool // the same
}

type anthropicTurn struct {
	Role    string `json:"role"`
	Content []any  `json:"content"`

	calls    []string        // the ids of its tool_use blocks
	results  []any           // its tool_result blocks, until they come before Content
	answered map[string]bool // the ids that they are for
}

// The blocks of a turn's content.
type (
	anthropicText struct {
		Type         string          `json:"type"`
		Text         string          `json:"text"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
	}
	anthropicFile struct {
		Type         string          `json:"type"` // image or document
		Source       anthropicSource `json:"source"`
		Title        string          `json:"title,omitempty"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
	}
	anthropicSource struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type,omitempty"`
		Data      string `json:"data,omitempty"`
		URL       string `json:"url,omitempty"`
	}
	anthropicToolUse struct {
		Type  string          `json:"type"`
		ID    string          `json:"id"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	}
	anthropicToolResult struct {
		Type      string `json:"type"`
		ToolUseID string `json:"tool_use_id"`
		Content   []any  `json:"content,omitempty"`
		IsError   bool   `json:"is_error,omitempty"`
	}
)

// What is put in where the API insists on something and there is nothing.
const (
	talkBegins   = "(The conversation begins.)"
	resultIsLost = "(There is no result: the call was given up.)"
)

func anthropicTalkOf(messages []Message) (anthropicTalk, error) {
	t := anthropicTalk{known: map[string]bool{}}
	for i, m := range messages {
		if err := t.add(m); err != nil {
			return t, fmt.Errorf("message %d: %w", i, err)
		}
	}
	if len(t.turns) == 0 {
		return t, errors.New("there is no message with anything in it")
	}
	if last := messages[len(messages)-1]; last.Role == "user" && t.turns[len(t.turns)-1].Role != "user" {
		return t, errors.New("the last message is empty")
	}
	if t.turns[0].Role != "user" {
		first := anthropicTurn{Role: "user", Content: []any{anthropicText{Type: "text", Text: talkBegins}}}
		t.turns = slices.Insert(t.turns, 0, first)
	}
	t.answerCalls()
	t.trimEnd()
	return t, nil
}

// openAIMessage is what of a message is read besides role and text.
type openAIMessage struct {
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
	ThinkingBlocks json.RawMessage `json:"thinking_blocks"`
}

func (t *anthropicTalk) add(m Message) error {
	var fields openAIMessage
	if m.Raw != nil {
		if err := json.Unmarshal(m.Raw, &fields); err != nil {
			return errors.New("it is not as OpenAI's API has it")
		}
	}
	content, err := anthropicContent(m.Text, fields.Content)
	if err != nil {
		return err
	}
	switch m.Role {
	case "system", "developer":
		t.system = append(t.system, content...)
	case "user":
		t.put("user", content...)
	case "assistant":
		return t.addAssistant(content, fields)
	case "tool":
		return t.addResult(content, fields.ToolCallID)
	default:
		return fmt.Errorf("it has no role %q", m.Role)
	}
	return nil
}

// addAssistant adds an answer in the order the model gives it. One that holds
// nothing but thinking is left out, as the API refuses it.
func (t *anthropicTalk) addAssistant(content []any, fields openAIMessage) error {
	if len(content) == 0 && len(fields.ToolCalls) == 0 {
		return nil
	}
	t.put("assistant", anthropicThinking(fields.ThinkingBlocks)...)
	t.put("assistant", content...)
	for _, call := range fields.ToolCalls {
		name := call.Function.Name
		input, err := objectArguments(call.Function.Arguments)
		if err != nil {
			return fmt.Errorf("tool call %s: %w", name, err)
		}
		id := anthropicToolID(call.ID)
		if id == "" || name == "" {
			return errors.New("a tool call has no id or no name")
		}
		t.put("assistant", anthropicToolUse{Type: "tool_use", ID: id, Name: name, Input: input})
		turn := &t.turns[len(t.turns)-1]
		turn.calls = append(turn.calls, id)
		if !t.known[name] {
			t.known[name] = true
			t.called = append(t.called, name)
		}
	}
	return nil
}

// addResult adds a tool's result to the user's turn, before what else is in it:
// so the API wants it.
func (t *anthropicTalk) addResult(content []any, callID string) error {
	id := anthropicToolID(callID)
	if id == "" {
		return errors.New("a tool's result has no tool_call_id")
	}
	t.turn("user").answer(anthropicToolResult{Type: "tool_result", ToolUseID: id, Content: content})
	return nil
}

func (t *anthropicTurn) answer(result anthropicToolResult) {
	if t.answered == nil {
		t.answered = map[string]bool{}
	}
	t.answered[result.ToolUseID] = true
	t.results = append(t.results, result)
}

// put adds blocks to the last turn, if it has this role, or to a new one.
func (t *anthropicTalk) put(role string, blocks ...any) {
	if len(blocks) > 0 {
		turn := t.turn(role)
		turn.Content = append(turn.Content, blocks...)
	}
}

func (t *anthropicTalk) turn(role string) *anthropicTurn {
	if len(t.turns) == 0 || t.turns[len(t.turns)-1].Role != role {
		t.turns = append(t.turns, anthropicTurn{Role: role})
	}
	return &t.turns[len(t.turns)-1]
}

// answerCalls gives a result to each call that has none, and puts the results
// where they belong. A conversation in which a turn was cancelled between the two
// could never be gone on with otherwise.
func (t *anthropicTalk) answerCalls() {
	for i := range t.turns {
		turn := &t.turns[i]
		if i > 0 {
			for _, id := range t.turns[i-1].calls {
				if !turn.answered[id] {
					turn.answer(anthropicToolResult{Type: "tool_result", ToolUseID: id, IsError: true,
						Content: []any{anthropicText{Type: "text", Text: resultIsLost}}})
				}
			}
		}
		turn.Content = append(turn.results, turn.Content...)
	}
}

// trimEnd takes the white space from the end of an answer that the model is to
// go on with: the API refuses it.
func (t *anthropicTalk) trimEnd() {
	last := &t.turns[len(t.turns)-1]
	if text, ok := last.Content[len(last.Content)-1].(anthropicText); ok && last.Role == "assistant" {
		text.Text = strings.TrimRight(text.Text, " \t\r\n")
		last.Content[len(last.Content)-1] = text
	}
}

// anthropicThinking are the blocks of thinking that are signed, as
// anthropicStream.signed has handed them out. Reasoning without a signature
// (another provider's) stays out: the API refuses it.
func anthropicThinking(value json.RawMessage) []any {
	var blocks []anthropicBlock
	// Another gateway's, in a form unknown here, are none.
	_ = json.Unmarshal(value, &blocks)
	var thinking []any
	for _, b := range blocks {
		switch {
		case b.Type == "thinking" && b.Signature != "":
			thinking = append(thinking, map[string]string{"type": b.Type, "thinking": b.Thinking, "signature": b.Signature})
		case b.Type == "redacted_thinking" && b.Data != "":
			thinking = append(thinking, map[string]string{"type": b.Type, "data": b.Data})
		}
	}
	return thinking
}

// anthropicToolID is a call's id in the letters that the API takes; other
// servers use more.
func anthropicToolID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r == '-', r == '_':
			return r
		}
		return '_'
	}, id)
}
