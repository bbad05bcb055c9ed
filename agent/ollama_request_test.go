package agent

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestOllamaRequests(t *testing.T) {
	const user = `{"role":"user","content":"Hi"}`
	const wantUser = `"messages":[{"role":"user","content":"Hi"}],"stream":true`
	const weather = `{"type":"function","function":{"name":"w","parameters":{"type":"object"}}}`
	tests := []struct{ name, messages, params, want string }{
		{"a message", user, ``, `{"model":"m",` + wantUser + `}`},
		{"roles", `{"role":"developer","content":"Be <kind>."},` + user + `,{"role":"function","name":"f","content":"1"}`, `{}`,
			`{"model":"m","messages":[{"role":"system","content":"Be <kind>."},{"role":"user","content":"Hi"},{"role":"tool","content":"1","tool_name":"f"}],"stream":true}`},
		{"parts", `{"role":"user","content":[{"type":"text","text":"What "},{"type":"text","text":"is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image_url","image_url":"data:;base64,BBBB"}]}`, ``,
			`{"model":"m","messages":[{"role":"user","content":"What is it?","images":["AAAA","BBBB"]}],"stream":true}`},
		{"calls and their results", `{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"w","arguments":"{\"city\":\"Bern\"}"}},{"id":"b","function":{"name":"now","arguments":""}}]},{"role":"tool","tool_call_id":"b","content":"noon"}`, `{"tools":[` + weather + `],"tool_choice":"auto"}`,
			`{"model":"m","messages":[{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"a","function":{"name":"w","arguments":{"city":"Bern"}}},{"id":"b","function":{"name":"now","arguments":{}}}]},{"role":"tool","content":"noon","tool_name":"now","tool_call_id":"b"}],"stream":true,"tools":[` + weather + `]}`},
		{"tools that are not to be used", user, `{"tools":[` + weather + `],"tool_choice":"none"}`, `{"model":"m",` + wantUser + `}`},
		{"options", user, `{"temperature":0.20,"top_p":1,"seed":7,"stop":"END","max_tokens":7,"max_completion_tokens":5,"top_k":3,"options":{"num_ctx":4096,"top_k":4}}`,
			`{"model":"m",` + wantUser + `,"options":{"num_ctx":4096,"num_predict":5,"seed":7,"stop":["END"],"temperature":0.20,"top_k":4,"top_p":1}}`},
		{"a list of stops", user, `{"stop":["a","b"]}`, `{"model":"m",` + wantUser + `,"options":{"stop":["a","b"]}}`},
		{"parameters that do no harm when lost", user, `{"n":1,"user":"u","logit_bias":{},"logprobs":false,"store":true,"x":null,"parallel_tool_calls":false}`, `{"model":"m",` + wantUser + `}`},
		{"a schema for the answer", user, `{"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}`, `{"model":"m",` + wantUser + `,"format":{"type":"object"}}`},
		{"any JSON for the answer", user, `{"response_format":{"type":"json_object"}}`, `{"model":"m",` + wantUser + `,"format":"json"}`},
		{"text for the answer", user, `{"response_format":{"type":"text"}}`, `{"model":"m",` + wantUser + `}`},
		{"no thinking", user, `{"reasoning_effort":"none"}`, `{"model":"m",` + wantUser + `,"think":false}`},
		{"little thinking", user, `{"reasoning_effort":"minimal"}`, `{"model":"m",` + wantUser + `,"think":"low"}`},
		{"thinking", user, `{"reasoning_effort":"medium","keep_alive":"5m"}`, `{"model":"m",` + wantUser + `,"think":"medium","keep_alive":"5m"}`},
		{"much thinking", user, `{"reasoning_effort":"xhigh"}`, `{"model":"m",` + wantUser + `,"think":"high"}`},
		{"its own way to ask for thinking", user, `{"reasoning_effort":"high","think":true}`, `{"model":"m",` + wantUser + `,"think":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ollamaBody("m", &Request{Messages: parseMessages(t, "["+tt.messages+"]"), Params: json.RawMessage(tt.params)})
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestOllamaRefuses(t *testing.T) {
	const user = `{"role":"user","content":"Hi"}`
	tests := []struct{ name, messages, params, says string }{
		{"parameters that are no object", user, `7`, "parameters"},
		{"several answers", user, `{"n":2}`, "no n"},
		{"a choice that it cannot make", user, `{"tool_choice":"required"}`, "tool_choice required"},
		{"a choice of a tool", user, `{"tool_choice":{"type":"function","function":{"name":"f"}}}`, "tool_choice"},
		{"another format", user, `{"response_format":{"type":"xml"}}`, `"xml"`},
		{"a format that is none", user, `{"response_format":"json"}`, "response_format"},
		{"a format without its schema", user, `{"response_format":{"type":"json_schema"}}`, "schema"},
		{"another effort", user, `{"reasoning_effort":"heroic"}`, `"heroic"`},
		{"options that are none", user, `{"options":7}`, "options"},
		{"sound", `{"role":"user","content":[{"type":"input_audio"}]}`, ``, `message 0: it takes no content of type "input_audio"`},
		{"an image from elsewhere", `{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://host/a.png"}}]}`, ``, "data: URIs"},
		{"a call with broken arguments", user + `,{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}`, ``, "message 1: tool call f"},
		{"calls that are none", `{"role":"assistant","tool_calls":7}`, ``, "message 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, err := ollamaBody("m", &Request{Messages: parseMessages(t, "["+tt.messages+"]"), Params: json.RawMessage(tt.params)})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s (%v), want %q", body, err, tt.says)
			}
		})
	}
	o := NewOllama(OllamaOptions{Name: "test", BaseURL: "http://192.0.2.1"})
	_, _, err := run(t, o, &Request{Model: "m", Params: json.RawMessage(`{"n":2}`)})
	if e := asError(t, err); e.Kind != KindInvalid || e.Provider != "test" || !strings.Contains(e.Message, "Ollama") {
		t.Errorf("got %+v", e)
	}
}

func FuzzOllamaRequest(f *testing.F) {
	f.Add(`[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]},{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"x"}]`,
		`{"tools":[],"stop":"a","options":{"a":1},"think":true,"response_format":{"type":"json_object"}}`)
	f.Fuzz(func(t *testing.T, conversation, params string) {
		var messages []Message
		if json.Unmarshal([]byte(conversation), &messages) != nil {
			return
		}
		body, err := ollamaBody("m", &Request{Messages: messages, Params: json.RawMessage(params)})
		if err != nil {
			return
		}
		var got struct {
			Model    string
			Stream   bool
			Messages []struct{ Role string }
		}
		if err := json.Unmarshal(body, &got); err != nil || got.Model != "m" || !got.Stream || len(got.Messages) != len(messages) {
			t.Fatalf("%v: %s", err, body)
		}
	})
}
