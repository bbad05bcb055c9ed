package responses

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func parse(body string) (*Request, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(body), &fields); err != nil || fields == nil {
		return nil, fault("", "no object")
	}
	return Parse(fields)
}

func TestARequestBecomesAChatCompletion(t *testing.T) {
	for _, c := range []struct{ name, body, messages, params string }{
		{"a text", `{"input":"Hi."}`, `[{"role":"user","content":"Hi."}]`, ``},
		{"parts", `{"input":[{"role":"user","content":[{"type":"input_text","text":"What is this?"},{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"},{"type":"input_file","filename":"a.pdf","file_data":"data:,x"}]}]}`,
			`[{"content":[{"text":"What is this?","type":"text"},{"image_url":{"detail":"low","url":"data:image/png;base64,AA=="},"type":"image_url"},{"file":{"file_data":"data:,x","filename":"a.pdf"},"type":"file"}],"role":"user"}]`, ``},
		{"items of an earlier answer", `{"input":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":null},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Yes.","annotations":[]}]},{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"1"}]}]}`,
			`[{"content":null,"reasoning_content":"Hm.","role":"assistant"},{"role":"assistant","content":"Yes."},{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":"c","type":"function"}]},{"content":[{"text":"1","type":"text"}],"role":"tool","tool_call_id":"c"}]`, ``},
		{"settings", `{"input":"x","temperature":0.5,"top_p":1,"max_output_tokens":9,"reasoning":{"effort":"low"},"top_logprobs":2,"user":"u","text":{"verbosity":"low","format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}}}`,
			`[{"role":"user","content":"x"}]`, `{"logprobs":true,"max_completion_tokens":9,"reasoning_effort":"low","response_format":{"json_schema":{"name":"n","schema":{"type":"object"},"strict":true},"type":"json_schema"},"temperature":0.5,"top_logprobs":2,"top_p":1,"user":"u","verbosity":"low"}`},
		{"tools", `{"input":"x","parallel_tool_calls":false,"tools":[{"type":"function","name":"f","parameters":{}},{"type":"function","name":"g","parameters":null,"strict":false}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}}`,
			`[{"role":"user","content":"x"}]`, `{"parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","function":{"name":"g","strict":false}}]}`},
		{"no tools, no choice", `{"input":"x","parallel_tool_calls":true,"tool_choice":"auto","tools":[]}`, `[{"role":"user","content":"x"}]`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parse(c.body)
			if err != nil {
				t.Fatal(err)
			}
			messages, err := encode(r.Input)
			if err != nil {
				t.Fatal(err)
			}
			if string(messages) != c.messages {
				t.Errorf("the messages are\n%s\nwant\n%s", messages, c.messages)
			}
			if string(r.Params) != c.params {
				t.Errorf("the parameters are\n%s\nwant\n%s", r.Params, c.params)
			}
		})
	}
}

func TestARefIsFoundInItsID(t *testing.T) {
	for _, ref := range []Ref{{Turn: turn}, {Turn: turn, Session: "ses_x", Place: 1}, {Turn: turn, Session: "a_b.c~d-e:f@g+h=i", Place: 1<<63 - 1}} {
		if got, ok := ParseRef(ref.ID()); !ok || got != ref {
			t.Errorf("%s is %+v, %v", ref.ID(), got, ok)
		}
	}
	for _, id := range []string{"", "resp_", "resp_x", "msg_0123456789abcdefghjkmnpq", Ref{Turn: turn, Session: "x"}.ID(), strings.ToUpper(Ref{Turn: turn}.ID())} {
		if ref, ok := ParseRef(id); ok {
			t.Errorf("%q is %+v", id, ref)
		}
	}
}

// FuzzParse holds that what is taken can be told as items and kept, and what is not
// is refused with words.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"input":"Hi.","instructions":"x","conversation":{"id":"conv_x"},"metadata":{"a":"b"}}`,
		`{"input":[{"role":"assistant","content":""},{"type":"reasoning","summary":[{"text":"x"}]}]}`,
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}],"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"}}`,
		`{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}],"prompt":null}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := parse(body)
		var refused *Error
		switch {
		case errors.As(err, &refused):
			if refused.Message == "" {
				t.Fatal("an error without words")
			}
			return
		case err != nil:
			t.Fatal(err)
		}
		if _, err := encode(Kept{Settings: r.Settings}); err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for i := range r.Input {
			items, err := ItemsOf(turn, i, &r.Input[i], nil, false)
			if err != nil || len(items) == 0 {
				t.Fatalf("message %d: %v, %v", i, items, err)
			}
			for _, item := range items {
				if ids[item.ID] || !json.Valid(item.JSON) {
					t.Fatalf("item %s: %s", item.ID, item.JSON)
				}
				ids[item.ID] = true
			}
		}
	})
}
