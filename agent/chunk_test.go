package agent

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDeltaWriter(t *testing.T) {
	w := deltaWriter{model: "m\"1"}
	w.text("")
	w.text("Hel\n")
	w.text("lo")
	w.textLiteral([]byte(`"\u00e9"`))
	first := tellDeltas(t, w.take())
	w.reasoning("")
	w.reasoning("hm")
	w.reasoningLiteral([]byte(`"so"`))
	w.toolCall(0, toolCall{ID: "c", Name: "f"})
	w.toolArguments(0, "")
	w.toolArguments(0, `{"a":`)
	w.argumentsLiteral(0, []byte(`"\u0031}"`))
	w.member("refusal", []byte(`"no"`))
	w.role()
	w.finish("stop")
	second := tellDeltas(t, w.take())
	wantFirst := `"model":"m\"1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel\n"},"finish_reason":null}]  "Hel\n"
"model":"m\"1","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]  "lo"
"model":"m\"1","choices":[{"index":0,"delta":{"content":"\u00e9"},"finish_reason":null}]  "\u00e9"`
	wantSecond := `"model":"m\"1","choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{"reasoning_content":"so"},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\u0031}"}}]},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{"refusal":"no"},"finish_reason":null}]
"model":"m\"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`
	if first != wantFirst {
		t.Errorf("got\n%s\nwant\n%s", first, wantFirst)
	}
	if second != wantSecond {
		t.Errorf("got\n%s\nwant\n%s", second, wantSecond)
	}
	if len(w.take()) != 0 {
		t.Error("deltas were given twice")
	}
}

func TestDeltaWriterRole(t *testing.T) {
	w := deltaWriter{model: "m"}
	w.role()
	w.role()
	w.text("a")
	want := `"model":"m","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]
"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]  "a"`
	if got := tellDeltas(t, w.take()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDeltaWriterAllocatesNothing(t *testing.T) {
	w := deltaWriter{model: "m"}
	if n := testing.AllocsPerRun(100, func() {
		w.text("some text")
		w.text("and more")
		w.take()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTokenUsage(t *testing.T) {
	if got := string(tokenUsage{prompt: 3, completion: 4}.json()); got != `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}` {
		t.Errorf("got %s", got)
	}
	want := `{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}`
	if got := string(tokenUsage{prompt: 3, cached: 2, completion: 4, reasoning: 1}.json()); got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é\u2028😀", "\xff\xc3", "a\xf0\x9f\x98", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendJSONString(nil, s)
		var text string
		if err := json.Unmarshal(got, &text); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		want := ""
		for _, r := range s { // which gives one U+FFFD for each invalid byte
			want += string(r)
		}
		if text != want {
			t.Fatalf("%q became %q", s, text)
		}
	})
}

func tellDeltas(t *testing.T, deltas []Delta) string {
	t.Helper()
	var told []string
	for _, d := range deltas {
		checkDelta(t, d)
		line := string(d.Chunk)
		if d.Content != nil {
			line += "  " + string(d.Content)
		}
		told = append(told, line)
	}
	return strings.Join(told, "\n")
}
