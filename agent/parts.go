package agent

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// The parts of an assistant's message that are things of their own where a
// conversation is a list of items. A tool call is PartCall and its number from 0.
const (
	PartReasoning = "reasoning"
	PartContent   = "content"
	PartCall      = "call"
)

// reasoningNames are the members in which model servers tell what a model thinks.
var reasoningNames = [...]string{"reasoning_content", "reasoning"}

// Parts names the parts that the message has, in the order of items.
func (m *Message) Parts() []string {
	if m.Raw == nil {
		if m.Text == "" {
			return nil
		}
		return []string{PartContent}
	}
	fields := m.members()
	var parts []string
	for _, name := range reasoningNames {
		if isString(fields[name]) && !isEmpty(fields[name]) {
			parts = append(parts, PartReasoning)
			break
		}
	}
	if m.Text != "" || isString(fields["refusal"]) && !isEmpty(fields["refusal"]) {
		parts = append(parts, PartContent)
	}
	for i := range callsOf(fields) {
		parts = append(parts, PartCall+strconv.Itoa(i))
	}
	return parts
}

// Without is the message without some of its parts.
func (m *Message) Without(parts []string) Message {
	if m.Raw == nil {
		if slices.Contains(parts, PartContent) {
			return Message{Role: m.Role}
		}
		return *m
	}
	out := Message{Role: m.Role, Text: m.Text}
	fields := m.members()
	if slices.Contains(parts, PartReasoning) {
		for _, name := range reasoningNames {
			delete(fields, name)
		}
		delete(fields, "reasoning_details")
	}
	if slices.Contains(parts, PartContent) {
		out.Text = ""
		fields["content"] = json.RawMessage("null")
		delete(fields, "refusal")
	}
	calls := callsOf(fields)
	var left []json.RawMessage
	for i, call := range calls {
		if !slices.Contains(parts, PartCall+strconv.Itoa(i)) {
			left = append(left, call)
		}
	}
	delete(fields, "tool_calls")
	if len(left) > 0 {
		fields["tool_calls"], _ = json.Marshal(left) // they were valid
	}
	out.Raw = encodeMembers(fields)
	return out
}

// Joins tells whether b is but the rest of the assistant's message a: the tool
// calls behind its text or behind other calls, or what it says after it thought.
func Joins(a, b *Message) bool {
	if a.Role != "assistant" || b.Role != "assistant" {
		return false
	}
	is := func(m *Message, prefix string) bool {
		parts := m.Parts()
		return len(parts) > 0 && !slices.ContainsFunc(parts, func(p string) bool { return !strings.HasPrefix(p, prefix) })
	}
	return is(b, PartCall) || is(a, PartReasoning)
}

// Join is a and b as one message, where [Joins].
func Join(a, b *Message) Message {
	fields, more := a.members(), b.members()
	calls := append(callsOf(fields), callsOf(more)...)
	for name, value := range more {
		if name != "tool_calls" && name != "role" && !isEmpty(value) {
			fields[name] = value
		}
	}
	if len(calls) > 0 {
		fields["tool_calls"], _ = json.Marshal(calls) // they were valid
	}
	return Message{Role: "assistant", Text: a.Text + b.Text, Raw: encodeMembers(fields)}
}

// members reads the message as an object; content is there always.
func (m *Message) members() map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	if m.Raw != nil {
		_ = json.Unmarshal(m.Raw, &fields) // it was valid when it came
	} else {
		fields["role"], _ = json.Marshal(m.Role)
		fields["content"] = appendJSONString(nil, m.Text)
	}
	if fields["content"] == nil || m.Text == "" && isEmpty(fields["content"]) {
		fields["content"] = json.RawMessage("null")
	}
	return fields
}

func callsOf(fields map[string]json.RawMessage) (calls []json.RawMessage) {
	_ = json.Unmarshal(fields["tool_calls"], &calls) // null and what is no list are none
	return calls
}

// encodeMembers writes the role first, then the others in the order of their names.
func encodeMembers(fields map[string]json.RawMessage) json.RawMessage {
	role := fields["role"]
	delete(fields, "role")
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		panic("agent: members of valid JSON do not marshal: " + err.Error())
	}
	rest := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	out := append([]byte(`{"role":`), role...)
	if len(rest) > 2 {
		out = append(out, ',')
	}
	return append(out, rest[1:]...)
}
