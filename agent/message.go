package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Message is one message of a conversation in OpenAI's form.
type Message struct {
	// Role is system, developer, user, assistant, tool or function.
	Role string
	// Text is the message's text: content itself, or its text parts joined.
	Text string
	// Raw is the message's JSON object as it came, kept where role and text do
	// not say all (tool calls, images, names); nil otherwise.
	Raw json.RawMessage
}

// MarshalJSON writes the message as it came.
func (m Message) MarshalJSON() ([]byte, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	return json.Marshal(struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}{m.Role, m.Text})
}

// UnmarshalJSON reads a message of OpenAI's API: an object with a role and a
// content that is a string, null, absent, or a list of parts.
func (m *Message) UnmarshalJSON(data []byte) error {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return errors.New("a message must be an object")
	}
	*m = Message{}
	if err := json.Unmarshal(fields["role"], &m.Role); err != nil || m.Role == "" {
		return errors.New("a message needs a role, a non-empty string")
	}
	content := bytes.TrimSpace(fields["content"])
	plain := len(fields) == 2 && len(content) > 0 && content[0] == '"'
	switch {
	case len(content) == 0 || string(content) == "null":
	case content[0] == '"':
		if err := json.Unmarshal(content, &m.Text); err != nil {
			return err
		}
	case content[0] == '[':
		text, err := joinParts(content)
		if err != nil {
			return err
		}
		m.Text = text
	default:
		return errors.New("a message's content must be a string, a list of parts, or null")
	}
	if !plain {
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			return err
		}
		m.Raw = compact.Bytes()
	}
	return nil
}

func joinParts(content []byte) (string, error) {
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return "", errors.New("a message's content must be a string, or a list of parts that are objects")
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String(), nil
}
