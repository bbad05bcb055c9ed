package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessages(t *testing.T) {
	tests := []struct{ name, in, role, text, raw string }{
		{"role and text", ` {"content": "a\n", "role": "user"} `, "user", "a\n", ""},
		{"a name", `{"role":"user", "content":"a","name":"x"}`, "user", "a", `{"role":"user","content":"a","name":"x"}`},
		{"no content", `{"role":"assistant","content":null}`, "assistant", "", `{"role":"assistant","content":null}`},
		{"parts", `{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"},null]}`, "user", "ab",
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"},null]}`},
		{"invalid UTF-8", "{\"role\":\"user\",\"content\":\"\xff\",\"x\":\"\xfe\"}", "user", "\uFFFD", "{\"role\":\"user\",\"content\":\"\uFFFD\",\"x\":\"\uFFFD\"}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Message
			if err := m.UnmarshalJSON([]byte(tt.in)); err != nil || m.Role != tt.role || m.Text != tt.text || string(m.Raw) != tt.raw {
				t.Errorf("got %+v with raw %s (%v)", m, m.Raw, err)
			}
		})
	}
	for _, tt := range []struct{ in, says string }{
		{`7`, "object"}, {`[]`, "object"}, {`{}`, "role"}, {`null`, "role"}, {`{"role":""}`, "role"}, {`{"role":7}`, "role"},
		{`{"role":"user","content":7}`, "content"}, {`{"role":"user","content":{}}`, "content"}, {`{"role":"user","content":["a"]}`, "content"},
		{`{"role":"user","content":[{"text":7}]}`, "content"},
	} {
		var m Message
		if err := json.Unmarshal([]byte(tt.in), &m); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", tt.in, err)
		}
	}
}

// FuzzMessage holds that a message that was read is fit to be sent on, and is
// the same when read again.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"role":"user","content":"a\ud83d"}`))
	f.Add([]byte(`{"role":"assistant","content":[{"type":"text","text":"a"}],"tool_calls":[{"id":"a"}],"role":"x"}`))
	f.Add([]byte("{\"role\":\"user\",\n\"content\":null,\"x\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		if m.UnmarshalJSON(data) != nil {
			return
		}
		sent := appendMessage(nil, m)
		if m.Role == "" || !utf8.ValidString(m.Role+m.Text) || !utf8.Valid(sent) || !json.Valid(sent) || strings.ContainsAny(string(m.Raw), "\n\r") {
			t.Fatalf("%q became %+v with raw %s", data, m, m.Raw)
		}
		var again Message
		if err := again.UnmarshalJSON(sent); err != nil || again.Role != m.Role || again.Text != m.Text || string(again.Raw) != string(m.Raw) {
			t.Fatalf("%q was read as %+v, then as %+v (%v)", data, m, again, err)
		}
	})
}
