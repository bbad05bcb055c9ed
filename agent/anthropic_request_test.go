package agent

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnthropicRequests(t *testing.T) {
	const user = `{"role":"user","content":"Hi"}`
	const wantUser = `"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"model":"m"`
	const weather = `{"type":"function","function":{"name":"w","description":"tells it","parameters":{"type":"object","properties":{"city":{}}},"strict":true}}`
	const wantWeather = `{"description":"tells it","input_schema":{"type":"object","properties":{"city":{}}},"name":"w","strict":true}`
	tests := []struct{ name, messages, params, want string }{
		{"a message", user, ``,
			`{"max_tokens":8192,` + wantUser + `,"stream":true}`},
		{"instructions go apart, also later ones", `{"role":"system","content":"Be kind."},` + user + `,{"role":"developer","content":[{"type":"text","text":"Be <brief>.","cache_control":{"type":"ephemeral"}},{"type":"text","text":" "}]}`, `{}`,
			`{"max_tokens":8192,` + wantUser + `,"stream":true,"system":[{"type":"text","text":"Be kind."},{"type":"text","text":"Be <brief>.","cache_control":{"type":"ephemeral"}}]}`},
		{"turns alternate, blank ones are left out", user + `,{"role":"user","content":"there"},{"role":"assistant","content":""},{"role":"user","content":" \n"},{"role":"assistant","content":"Hello \n"}`, ``,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"there"}]},{"role":"assistant","content":[{"type":"text","text":"Hello"}]}],"model":"m","stream":true}`},
		{"the first turn is the user's", `{"role":"assistant","content":"Welcome"},` + user, ``,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"(The conversation begins.)"}]},{"role":"assistant","content":[{"type":"text","text":"Welcome"}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}],"model":"m","stream":true}`},
		{"parts", `{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AAAA","detail":"low"}},{"type":"image_url","image_url":"https://host/a.png"},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,BBBB"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]}`, ``,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}},{"type":"image","source":{"type":"url","url":"https://host/a.png"}},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"BBBB"},"title":"a.pdf"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]}],"model":"m","stream":true}`},
		{"tools", user, `{"tools":[` + weather + `,{"type":"function","function":{"name":"now"},"cache_control":{"type":"ephemeral"}},{"type":"function","function":{"name":"odd","parameters":{"properties":{}},"strict":null}},{"type":"web_search_20250305","name":"web_search"}]}`,
			`{"max_tokens":8192,` + wantUser + `,"stream":true,"tools":[` + wantWeather + `,{"cache_control":{"type":"ephemeral"},"input_schema":{"type":"object"},"name":"now"},{"input_schema":{"properties":{},"type":"object"},"name":"odd"},{"name":"web_search","type":"web_search_20250305"}]}`},
		{"calls and their results", user + `,{"role":"assistant","content":"Let me look.","reasoning_content":"hm","tool_calls":[{"id":"f:0","type":"function","function":{"name":"w","arguments":"{\"city\":\"Bern\"}"}},{"id":"b","type":"function","function":{"name":"w","arguments":""}}]},{"role":"tool","tool_call_id":"b","content":"rain"},{"role":"tool","tool_call_id":"f:0","content":[{"type":"text","text":"sun"},{"type":"image_url","image_url":{"url":"http://host/a"}}]},{"role":"user","content":"and?"}`, `{"tools":[` + weather + `]}`,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"text","text":"Let me look."},{"type":"tool_use","id":"f_0","name":"w","input":{"city":"Bern"}},{"type":"tool_use","id":"b","name":"w","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"rain"}]},{"type":"tool_result","tool_use_id":"f_0","content":[{"type":"text","text":"sun"},{"type":"image","source":{"type":"url","url":"http://host/a"}}]},{"type":"text","text":"and?"}]}],"model":"m","stream":true,"tools":[` + wantWeather + `]}`},
		{"a result that is empty, and one that comes late", user + `,{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"w","arguments":"{}"}},{"id":"b","function":{"name":"w","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":""},{"role":"user","content":"so?"},{"role":"tool","tool_call_id":"b","content":"rain"}`, `{"tools":[` + weather + `]}`,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"w","input":{}},{"type":"tool_use","id":"b","name":"w","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"rain"}]},{"type":"text","text":"so?"}]}],"model":"m","stream":true,"tools":[` + wantWeather + `]}`},
		{"a call that was given up, in a conversation without tools", user + `,{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"w","arguments":"{}"}}]},{"role":"user","content":"never mind"}`, `{"parallel_tool_calls":false}`,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"w","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"(There is no result: the call was given up.)"}],"is_error":true},{"type":"text","text":"never mind"}]}],"model":"m","stream":true,"tool_choice":{"type":"none"},"tools":[{"input_schema":{"type":"object"},"name":"w"}]}`},
		{"signed thinking goes back, first", user + `,{"role":"assistant","content":"Yes","reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"thinking","thinking":"unsigned"},{"type":"other"}]},{"role":"assistant","content":null,"thinking_blocks":[{"type":"thinking","thinking":"alone","signature":"s"}]},` + user, ``,
			`{"max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"signature":"s","thinking":"hm","type":"thinking"},{"data":"d","type":"redacted_thinking"},{"type":"text","text":"Yes"}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}],"model":"m","stream":true}`},
		{"parameters with another name or form", user, `{"max_tokens":7,"max_completion_tokens":5,"stop":["END","\n"],"temperature":1.5,"top_p":0.5,"user":"u","service_tier":"auto"}`,
			`{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"metadata":{"user_id":"u"},"model":"m","service_tier":"auto","stop_sequences":["END"],"stream":true,"temperature":1,"top_p":0.5}`},
		{"parameters of its own", user, `{"thinking":{"type":"enabled","budget_tokens":2000},"top_k":5,"stop":"x","stop_sequences":["y"],"metadata":{"user_id":"own","a":"b"},"user":"u","output_config":{"effort":"max"},"reasoning_effort":"low","x_new":{"a":1.50}}`,
			`{"max_tokens":10192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"metadata":{"user_id":"own"},"model":"m","output_config":{"effort":"max"},"stop_sequences":["y"],"stream":true,"thinking":{"type":"enabled","budget_tokens":2000},"top_k":5,"x_new":{"a":1.50}}`},
		{"parameters that do no harm when lost", user, `{"n":1,"frequency_penalty":0.5,"presence_penalty":0,"seed":7,"logprobs":false,"top_logprobs":null,"logit_bias":{},"store":true,"metadata":{"a":"b"},"verbosity":"low","service_tier":"flex","parallel_tool_calls":false,"tool_choice":"auto","tools":[],"temperature":0.20,"top_p":1,"stop":null,"audio":null}`,
			`{"max_tokens":8192,` + wantUser + `,"stream":true,"temperature":0.20}`},
		{"a schema for the answer", user, `{"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}},"reasoning_effort":"minimal"}`,
			`{"max_tokens":8192,` + wantUser + `,"output_config":{"effort":"low","format":{"schema":{"type":"object"},"type":"json_schema"}},"stream":true}`},
		{"any JSON for the answer", user, `{"response_format":{"type":"json_object"},"reasoning_effort":"none"}`,
			`{"max_tokens":8192,` + wantUser + `,"stream":true,"system":[{"type":"text","text":"Answer with one JSON object and nothing else: no text around it, no code fence."}],"thinking":{"type":"disabled"}}`},
		{"text for the answer", user, `{"response_format":{"type":"text"},"reasoning_effort":"xhigh"}`,
			`{"max_tokens":8192,` + wantUser + `,"output_config":{"effort":"xhigh"},"stream":true}`},
	}
	choices := []struct{ choice, parallel, want string }{
		{`"auto"`, `true`, `{"type":"auto"}`},
		{`"none"`, `false`, `{"type":"none"}`},
		{`"required"`, `false`, `{"disable_parallel_tool_use":true,"type":"any"}`},
		{`{"type":"function","function":{"name":"w"}}`, `null`, `{"name":"w","type":"tool"}`},
		{`{"type":"tool","name":"w"}`, `null`, `{"name":"w","type":"tool"}`},
		{`null`, `false`, `{"disable_parallel_tool_use":true,"type":"auto"}`},
	}
	for _, c := range choices {
		tests = append(tests, struct{ name, messages, params, want string }{
			"the choice " + c.choice + " " + c.parallel, user, `{"tools":[` + weather + `],"tool_choice":` + c.choice + `,"parallel_tool_calls":` + c.parallel + `}`,
			`{"max_tokens":8192,` + wantUser + `,"stream":true,"tool_choice":` + c.want + `,"tools":[` + wantWeather + `]}`})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := anthropicBody("m", anthropicMaxTokens, &Request{Messages: parseMessages(t, "["+tt.messages+"]"), Params: json.RawMessage(tt.params)})
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestAnthropicRefuses(t *testing.T) {
	const user = `{"role":"user","content":"Hi"}`
	tests := []struct{ name, messages, params, says string }{
		{"parameters that are no object", user, `[]`, "parameters"},
		{"several answers", user, `{"n":2}`, "no n"},
		{"logprobs", user, `{"logprobs":true}`, "logprobs"},
		{"a bias", user, `{"logit_bias":{"5":1}}`, "logit_bias"},
		{"audio", user, `{"audio":{}}`, "audio"},
		{"functions", user, `{"functions":[{}]}`, "functions"},
		{"another format", user, `{"response_format":{"type":"xml"}}`, `"xml"`},
		{"a format without its schema", user, `{"response_format":{"type":"json_schema"}}`, "schema"},
		{"a stop that is none", user, `{"stop":7}`, "stop"},
		{"an output_config that is none", user, `{"output_config":7}`, "output_config"},
		{"tools that are none", user, `{"tools":{}}`, "tools"},
		{"a tool without a name", user, `{"tools":[{"type":"function","function":{}}]}`, "tool 0"},
		{"a tool with odd parameters", user, `{"tools":[{"function":{"name":"f","parameters":[]}}]}`, "tool 0: its parameters"},
		{"a tool for text", user, `{"tools":[{"type":"custom","custom":{"name":"f"}}]}`, "tool 0"},
		{"another choice", user, `{"tool_choice":"sometimes"}`, "sometimes"},
		{"a choice of several", user, `{"tool_choice":{"type":"allowed_tools"}}`, "allowed_tools"},
		{"a choice without a name", user, `{"tool_choice":{"type":"function"}}`, "no function"},
		{"a choice that is a number", user, `{"tool_choice":7}`, "tool_choice"},
		{"no message", ``, ``, "no message"},
		{"nothing in the messages", `{"role":"user","content":" "},{"role":"system","content":"x"}`, ``, "no message"},
		{"nothing in the last message", user + `,{"role":"assistant","content":"Hello"},{"role":"user","content":""}`, ``, "last message"},
		{"another role", `{"role":"function","name":"f","content":"x"}`, ``, `message 0: it has no role "function"`},
		{"sound", `{"role":"user","content":[{"type":"input_audio"}]}`, ``, `"input_audio"`},
		{"an image from a file", `{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}`, ``, "images only"},
		{"a file by its id", `{"role":"user","content":[{"type":"file","file":{"file_id":"x"}}]}`, ``, "files only"},
		{"a call with broken arguments", user + `,{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}`, ``, "message 1: tool call f"},
		{"a call without an id", user + `,{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}`, ``, "no id"},
		{"a result without an id", user + `,{"role":"tool","content":"x"}`, ``, "tool_call_id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, err := anthropicBody("m", 1, &Request{Messages: parseMessages(t, "["+tt.messages+"]"), Params: json.RawMessage(tt.params)})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s (%v), want %q", body, err, tt.says)
			}
		})
	}
}

// FuzzAnthropicRequest puts any conversation and parameters to the API: the body
// is always what it wants in outline.
func FuzzAnthropicRequest(f *testing.F) {
	f.Add(`[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},{"role":"assistant","tool_calls":[{"id":"a.1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a.1","content":"x"}]`,
		`{"tools":[{"function":{"name":"f","parameters":{}}}],"tool_choice":"required","stop":["a"],"temperature":2,"response_format":{"type":"json_object"}}`)
	f.Add(`[{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","signature":"s"}]},{"role":"user","content":"b"}]`,
		`{"thinking":{"budget_tokens":5},"output_config":{},"reasoning_effort":"none","metadata":{"user_id":"u"},"parallel_tool_calls":false}`)
	f.Add(`[{"role":"tool","tool_call_id":"\ud83d","content":[{"type":"document"}]},{"role":"assistant","content":" a "}]`, `{"tools":[{}],"tool_choice":{"type":"tool"},"max_tokens":null}`)
	f.Fuzz(func(t *testing.T, conversation, params string) {
		var messages []Message
		if json.Unmarshal([]byte(conversation), &messages) != nil {
			return
		}
		body, err := anthropicBody("m", 1, &Request{Messages: messages, Params: json.RawMessage(params)})
		if err != nil {
			if body != nil || err.Error() == "" {
				t.Fatalf("%s (%v)", body, err)
			}
			return
		}
		var got struct {
			Model     string
			Stream    bool
			MaxTokens json.RawMessage `json:"max_tokens"`
			Messages  []struct {
				Role    string
				Content []struct {
					Type, Text string
					ID         string
					ToolUseID  string `json:"tool_use_id"`
				}
			}
		}
		if err := json.Unmarshal(body, &got); err != nil || bytes.ContainsAny(body, "\n\r") {
			t.Fatalf("%v: %s", err, body)
		}
		if utf8.ValidString(conversation+params) && !utf8.Valid(body) {
			t.Fatalf("not UTF-8: %q", body)
		}
		if got.Model != "m" || !got.Stream || got.MaxTokens == nil || len(got.Messages) == 0 {
			t.Fatalf("got %s", body)
		}
		var calls []string
		for i, m := range got.Messages {
			if want := []string{"user", "assistant"}[i%2]; m.Role != want || len(m.Content) == 0 {
				t.Fatalf("turn %d is the %s's, with %d blocks: %s", i, m.Role, len(m.Content), body)
			}
			results, others := map[string]bool{}, false
			for _, block := range m.Content {
				if block.Type == "tool_result" && m.Role == "user" && others {
					t.Fatalf("turn %d has a result after something else: %s", i, body)
				}
				others = others || block.Type != "tool_result"
				results[block.ToolUseID] = true
			}
			for _, id := range calls {
				if !results[id] {
					t.Fatalf("the call %q has no result: %s", id, body)
				}
			}
			calls = calls[:0]
			for _, block := range m.Content {
				if block.Type == "tool_use" && m.Role == "assistant" {
					calls = append(calls, block.ID)
				}
			}
		}
	})
}
