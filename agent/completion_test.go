package agent

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestCompletionDeltas(t *testing.T) {
	tests := []struct{ name, in, content, text, finish, reason string }{
		{"the least", `{"choices":[{"message":{"content":"a"}}]}`,
			`"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]`, `"a"`,
			`"choices":[{"index":0,"delta":{},"finish_reason":null}]`, ""},
		{"no message", `{"model":"m","choices":[{"index":0,"finish_reason":"stop"}]}`,
			`"model":"m","choices":[{"index":0,"delta":{},"finish_reason":null}]`, "",
			`"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`, "stop"},
		{"the first choice second", `{"choices":[{"index":1,"message":{"content":"b"},"finish_reason":"length"},{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`,
			`"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null},{"index":0,"delta":{"content":"a"},"finish_reason":null}]`, `"a"`,
			`"choices":[{"index":1,"delta":{},"finish_reason":"length"},{"index":0,"delta":{},"finish_reason":"stop"}]`, "stop"},
		{"content in parts, and none", `{"choices":[{"index":0,"message":{"content":[{"text":"a"}],"tool_calls":null},"logprobs":null,"finish_reason":null}]}`,
			`"choices":[{"index":0,"delta":{"content":[{"text":"a"}],"tool_calls":null},"logprobs":null,"finish_reason":null}]`, "",
			`"choices":[{"index":0,"delta":{},"finish_reason":null}]`, ""},
		{"no choices", `{"model":"m","choices":[],"usage":null}`, "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content, finish, result := completionDeltas([]byte(tt.in))
			if string(content.Chunk) != tt.content || string(content.Content) != tt.text || string(finish.Chunk) != tt.finish || result.FinishReason != tt.reason || result.Usage != nil {
				t.Errorf("got %s with %s\nand %s, %+v", content.Chunk, content.Content, finish.Chunk, result)
			}
		})
	}
}

func FuzzCompletion(f *testing.F) {
	f.Add([]byte(wholeCompletion))
	f.Add([]byte(`{"model":7,"choices":[{"message":{"content":"a","content":"","tool_calls":[{},7]}},7],"choices":[[]],"usage":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := OpenAI{up: &upstream{}}
		content, finish, result, err := o.readCompletion(bytes.NewReader(data))
		if err != nil {
			if asError(t, err).Message == "" || result.Completion != nil {
				t.Fatalf("got %+v (%v)", result, err)
			}
			return
		}
		checkDelta(t, content)
		checkDelta(t, finish)
		if finish.Content != nil || !json.Valid(result.Completion) || result.Usage != nil && !json.Valid(result.Usage) {
			t.Fatalf("%q: got %+v", data, result)
		}
	})
}
