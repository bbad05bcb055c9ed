package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func testOllama(t *testing.T, url string, timeouts Timeouts) *Ollama {
	o := NewOllama(OllamaOptions{Name: "test", BaseURL: url, APIKey: testKey, Timeouts: timeouts, Retry: Retry{Base: 1}})
	t.Cleanup(o.Close)
	return o
}

// ollamaSays is a line with a piece of an answer.
func ollamaSays(message string) string {
	return `{"model":"llama3","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant",` + message + `},"done":false}` + "\n"
}

func ollamaEnds(reason string) string {
	return `{"model":"llama3","message":{"role":"assistant","content":""},"done_reason":"` + reason + `","done":true,"total_duration":5,"prompt_eval_count":26,"eval_count":8}` + "\n"
}

const ollamaTestUsage = `{"prompt_tokens":26,"completion_tokens":8,"total_tokens":34}`

func TestOllamaStreams(t *testing.T) {
	const c = `"model":"llama3","choices":[{"index":0,"delta":{`
	const end = `},"finish_reason":null}]`
	tests := []struct {
		name, stream string
		chunks       []string
		finish       string
	}{
		{"text", ollamaSays(`"content":"Hel"`) + ollamaSays(`"content":"lo\u00e9\n"`) + ollamaEnds("stop"), []string{
			c + `"role":"assistant","content":"Hel"` + end + `  "Hel"`,
			c + `"content":"lo\u00e9\n"` + end + `  "lo\u00e9\n"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"thinking", ollamaSays(`"content":"","thinking":"hm"`) + ollamaSays(`"content":"Yes"`) + ollamaEnds("length"), []string{
			c + `"role":"assistant","reasoning_content":"hm"` + end,
			c + `"content":"Yes"` + end + `  "Yes"`,
			c + `},"finish_reason":"length"}]`,
		}, "length"},
		{"tools", ollamaSays(`"content":"","tool_calls":[{"id":"a","function":{"name":"w","arguments":{"city": "Bern"}}},{"id":"b","function":{"name":"now"}}]`) +
			ollamaSays(`"content":"","tool_calls":[{"id":"c","function":{"name":"v","arguments":"{}"}}]`) + ollamaEnds("stop"), []string{
			c + `"role":"assistant","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"w","arguments":"{\"city\": \"Bern\"}"}}]` + end,
			c + `"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"now","arguments":"{}"}}]` + end,
			c + `"tool_calls":[{"index":2,"id":"c","type":"function","function":{"name":"v","arguments":"{}"}}]` + end,
			c + `},"finish_reason":"tool_calls"}]`,
		}, "tool_calls"},
		{"a last line without an end", ollamaSays(`"content":"a"`) + strings.TrimSpace(ollamaEnds("stop")), []string{
			c + `"role":"assistant","content":"a"` + end + `  "a"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"a line without a model, and one with none", ollamaSays(`"content":"a"`) + `{"message":{"content":"b"}}` + "\n" + `{"model":"","message":{"content":"c"}}` + "\n" + `{"model":7,"message":null}` + "\n" + ollamaEnds("stop"), []string{
			c + `"role":"assistant","content":"a"` + end + `  "a"`,
			c + `"content":"b"` + end + `  "b"`,
			c + `"content":"c"` + end + `  "c"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"what follows the end", ollamaEnds("stop") + ollamaSays(`"content":"a"`), []string{
			c + `"role":"assistant"},"finish_reason":"stop"}]`,
		}, "stop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, sends(200, ndjsonType, tt.stream))
			var got []string
			result, err := testOllama(t, url, Timeouts{}).Run(t.Context(), &Request{Model: "m"}, func(deltas []Delta) {
				got = append(got, tellDeltas(t, deltas))
			})
			if err != nil || result.FinishReason != tt.finish || result.Model != "llama3" || string(result.Usage) != ollamaTestUsage || result.Completion != nil {
				t.Errorf("got %+v with usage %s (%v)", result, result.Usage, err)
			}
			if strings.Join(got, "\n") != strings.Join(tt.chunks, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.chunks, "\n"))
			}
		})
	}
}

func TestOllamaGivesCallsAnID(t *testing.T) {
	_, url := serve(t, sends(200, ndjsonType, ollamaSays(`"tool_calls":[{"function":{"name":"w"}},{"function":{"name":"w"}}]`)+ollamaEnds("stop")))
	_, result, err := run(t, testOllama(t, url, Timeouts{}), &Request{Model: "m", Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	var completion struct {
		Choices []struct{ Message Message }
	}
	if err := json.Unmarshal(result.Completion, &completion); err != nil {
		t.Fatal(err)
	}
	calls := messageToolCalls(completion.Choices[0].Message)
	if len(calls) != 2 || calls[0].ID == calls[1].ID || !strings.HasPrefix(calls[0].ID, "call_") {
		t.Errorf("got %+v", calls)
	}
}

func TestOllamaWholeAnswer(t *testing.T) {
	_, url := serve(t, sends(200, ndjsonType, ollamaSays(`"content":"Hel"`)+ollamaSays(`"content":"lo"`)+ollamaEnds("stop")))
	text, result, err := run(t, testOllama(t, url, Timeouts{}), &Request{Model: "m", Whole: true})
	const want = `{"id":"","object":"chat.completion","created":0,"model":"llama3","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"logprobs":null,"finish_reason":"stop"}],"usage":` + ollamaTestUsage + `}`
	if err != nil || text != "Hello" || string(result.Completion) != want {
		t.Errorf("got %q, %s (%v)", text, result.Completion, err)
	}
}

func TestOllamaFailures(t *testing.T) {
	begun := ollamaSays(`"content":"Hel"`)
	ok := sends(200, ndjsonType, begun+ollamaEnds("stop"))
	tests := []struct {
		name    string
		serves  []exchange
		kind    Kind
		status  int
		message string
		text    string
		calls   int
	}{
		{"no such model", []exchange{sends(404, jsonType, `{"error":"model 'm' not found `+testKey+`"}`)}, KindStatus, 404, "model 'm' not found [redacted]", "", 1},
		{"busy, then an answer", []exchange{sends(503, jsonType, `{"error":"server busy"}`), ok}, "", 0, "", "Hel", 2},
		{"an error in the middle", []exchange{sends(200, ndjsonType, begun+`{"error":"an error was encountered"}`+"\n")}, KindCut, 0, "an error was encountered", "Hel", 1},
		{"an end that is not told", []exchange{sends(200, ndjsonType, begun)}, KindCut, 0, "ended before its end was told", "Hel", 1},
		{"nothing", []exchange{sends(200, ndjsonType, "")}, KindCut, 0, "ended before its end was told", "", 1},
		{"an end within a line", []exchange{sends(200, ndjsonType, begun+`{"message":{"cont`)}, KindCut, 0, "within a line", "Hel", 1},
		{"cut in the middle", []exchange{cuts("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(begun))}, KindCut, 0, "broke off", "Hel", 1},
		{"garbage", []exchange{sends(200, ndjsonType, begun+"garbage\n")}, KindMalformed, 0, "not a JSON object", "Hel", 1},
		{"a list", []exchange{sends(200, ndjsonType, begun+"[]\n")}, KindMalformed, 0, "not a JSON object", "Hel", 1},
		{"garbage for a call", []exchange{sends(200, ndjsonType, begun+ollamaSays(`"tool_calls":{}`)+ollamaSays(`"tool_calls":[7]`))}, KindMalformed, 0, "tool call", "Hel", 1},
		{"a line of 50 MB", []exchange{all(sends(200, ndjsonType, begun), func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, &endless{text: "x", left: 50 << 20})
		})}, KindMalformed, 0, "line too long", "Hel", 1},
		{"a page", []exchange{sends(200, "text/html", "<title>Welcome</title>")}, KindMalformed, 0, "Welcome", "", 1},
		{"silence", []exchange{all(sendsPart(""), isSilent)}, KindTimeout, 0, "no byte", "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls, url := serve(t, tt.serves...)
			timeouts := Timeouts{}
			if tt.kind == KindTimeout {
				timeouts.Idle = timeoutUnderTest
			}
			text, result, err := run(t, testOllama(t, url, timeouts), &Request{Model: "m"})
			if text != tt.text || int(calls.Load()) != tt.calls {
				t.Errorf("text %q after %d calls, want %q after %d", text, calls.Load(), tt.text, tt.calls)
			}
			if tt.kind == "" {
				if err != nil || result.FinishReason != "stop" {
					t.Errorf("it failed: %+v, %v", result, err)
				}
				return
			}
			e := asError(t, err)
			if e.Kind != tt.kind || e.Status != tt.status || e.Provider != "test" || !strings.Contains(e.Message, tt.message) {
				t.Errorf("got %+v", e)
			}
			if result.FinishReason != "" {
				t.Errorf("a broken answer has the result %+v", result)
			}
		})
	}
}

func TestOllamaCancelReachesTheUpstream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	_, url := serve(t, all(sends(200, ndjsonType, ollamaSays(`"content":"a"`)), sendsPart(""), isSilent,
		func(*testing.T, http.ResponseWriter, *http.Request) { close(ended) }))
	_, err := testOllama(t, url, Timeouts{}).Run(ctx, &Request{Model: "m"}, func([]Delta) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	waitFor(t, ended, "the end of the call at the upstream")
}

func TestOllamaCalls(t *testing.T) {
	for _, path := range []string{"", "/", "/v1", "/api/"} {
		got := make(chan string, 2)
		server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
			got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " + r.Header.Get("X-Team")
			if r.Method == http.MethodGet {
				io.WriteString(w, `{"models":[{"name":"first"},{"name":"second"}]}`)
				return
			}
			var body struct{ Model string }
			if json.NewDecoder(r.Body).Decode(&body); body.Model != "first" {
				t.Errorf("asked for %q", body.Model)
			}
			sends(200, ndjsonType, ollamaEnds("stop"))(t, w, r)
		})
		o := NewOllama(OllamaOptions{BaseURL: server + path, APIKey: testKey, Headers: map[string]string{"x-team": "red"}})
		if _, _, err := run(t, o, &Request{}); err != nil {
			t.Error(err)
		}
		o.Close()
		const sent = " Bearer " + testKey + " red"
		if list, chat := <-got, <-got; list != "GET /api/tags"+sent || chat != "POST /api/chat"+sent {
			t.Errorf("base %q: called %s, %s", path, list, chat)
		}
	}
	if o := NewOllama(OllamaOptions{}); o.up.timeouts.FirstByte != 5*time.Minute {
		t.Errorf("a model may take %s to load", o.up.timeouts.FirstByte)
	}
}

func TestOllamaModels(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"models":[{"name":"llama3:latest","modified_at":"2026-01-01T01:00:00.5+01:00","size":5},{"name":"b"},{"name":"c","modified_at":"soon"},{"name":""},{"name":"d","modified_at":null}]}`,
			"llama3:latest 1767225600 ollama, b 0 ollama, c 0 ollama, d 0 ollama"},
		{`{"models":null}`, ""},
	}
	for _, tt := range tests {
		_, url := serve(t, sends(200, jsonType, tt.body))
		models, err := testOllama(t, url, Timeouts{}).Models(t.Context())
		if got := tellModels(models); err != nil || got != tt.want {
			t.Errorf("got %q (%v), want %q", got, err, tt.want)
		}
	}
	for _, body := range []string{`{"models":7}`, `[]`, `Ollama is running`} {
		_, url := serve(t, sends(200, jsonType, body))
		if _, err := testOllama(t, url, Timeouts{}).Models(t.Context()); asError(t, err).Kind != KindMalformed {
			t.Errorf("%s: got %v, want KindMalformed", body, err)
		}
	}
}

func TestOllamaStreamAllocatesNothingPerLine(t *testing.T) {
	allocs := func(lines int) float64 {
		stream := []byte(strings.Repeat(ollamaSays(`"content":" token"`), lines) + ollamaEnds("stop"))
		return testing.AllocsPerRun(5, func() {
			o := Ollama{up: &upstream{}}
			resp := &http.Response{Header: http.Header{"Content-Type": {ndjsonType}}, Body: io.NopCloser(&pieces{data: stream, sizes: []int{700, 250, 1900}})}
			if _, err := o.stream(resp, "m", func([]Delta) {}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if short, long := allocs(500), allocs(5000); long > short+10 {
		t.Errorf("500 lines take %.0f allocations, 5000 take %.0f", short, long)
	}
}

// FuzzOllamaLine holds whatever lines the upstream may send to what an Agent
// promises.
func FuzzOllamaLine(f *testing.F) {
	f.Add([]byte(ollamaSays(`"content":"a","thinking":"b"`) + ollamaEnds("stop")))
	f.Add([]byte(ollamaSays(`"tool_calls":[{"function":{"name":"\ud83d","arguments":{"a":[1]}}}]`) + `{"model":"","done":true,"eval_count":-1}`))
	f.Add([]byte("{\"model\":\"a\",\r\"message\":{\"content\":\"\xff\"},\"done\":false}\n{\"model\":7}\n{\"error\":{\"a\":1}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Ollama{up: &upstream{}, maxLine: 1 << 16}
		fuzzAnswer(t, data, ndjsonType, func(resp *http.Response, emit func([]Delta)) (Result, error) { return o.stream(resp, "m", emit) })
	})
}
