package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// The events of an answer, as the API's documentation shows them.
const (
	anthropicStart = "event: message_start\n" +
		`data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-1","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}}` + "\n\n" +
		"event: ping\ndata: {\"type\": \"ping\"}\n\n"
	anthropicStop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
)

func anthropicOpen(index, block string) string {
	return "event: content_block_start\n" + `data: {"type":"content_block_start","index":` + index + `,"content_block":` + block + "}\n\n"
}

func anthropicPiece(index, delta string) string {
	return "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":` + index + `,"delta":` + delta + "}\n\n"
}

func anthropicClose(index string) string {
	return "event: content_block_stop\n" + `data: {"type":"content_block_stop","index":` + index + "}\n\n"
}

func anthropicEnd(reason string) string {
	return "event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"` + reason + `","stop_sequence":null},"usage":{"output_tokens":15}}` + "\n\n" + anthropicStop
}

// anthropicSays is a whole stream that says Hello.
func anthropicSays(reason string) string {
	return anthropicStart + anthropicOpen("0", `{"type":"text","text":""}`) +
		anthropicPiece("0", `{"type":"text_delta","text":"Hel"}`) + anthropicPiece("0", `{"type":"text_delta","text":"lo"}`) +
		anthropicClose("0") + anthropicEnd(reason)
}

const anthropicTestUsage = `{"prompt_tokens":28,"completion_tokens":15,"total_tokens":43,"prompt_tokens_details":{"cached_tokens":5}}`

func testAnthropic(t *testing.T, url string, timeouts Timeouts) *Anthropic {
	a := NewAnthropic(AnthropicOptions{Name: "test", BaseURL: url, APIKey: testKey, Timeouts: timeouts, Retry: Retry{Base: 1}})
	t.Cleanup(a.Close)
	return a
}

func TestAnthropicStreams(t *testing.T) {
	const c = `"model":"claude-1","choices":[{"index":0,"delta":{`
	const end = `},"finish_reason":null}]`
	tests := []struct {
		name, stream string
		chunks       []string
		finish       string
	}{
		{"text", anthropicSays("end_turn"), []string{
			c + `"role":"assistant","content":"Hel"` + end + `  "Hel"`,
			c + `"content":"lo"` + end + `  "lo"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"tools", anthropicStart + anthropicOpen("0", `{"type":"text","text":"I look."}`) + anthropicClose("0") +
			anthropicOpen("1", `{"type":"tool_use","id":"toolu_1","name":"w","input":{}}`) +
			anthropicPiece("1", `{"type":"input_json_delta","partial_json":""}`) +
			anthropicPiece("1", `{"type":"input_json_delta","partial_json":"{\"city\":"}`) +
			anthropicPiece("1", `{"type":"input_json_delta","partial_json":" \"Bern\u00e9\"}"}`) + anthropicClose("1") +
			anthropicOpen("2", `{"type":"tool_use","id":"toolu_2","name":"now","input":{}}`) + anthropicClose("2") +
			anthropicOpen("3", `{"type":"tool_use","id":"toolu_3","name":"v","input":{"a":1}}`) + anthropicClose("3") + anthropicEnd("tool_use"), []string{
			c + `"role":"assistant","content":"I look."` + end + `  "I look."`,
			c + `"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"w","arguments":""}}]` + end,
			c + `"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]` + end,
			c + `"tool_calls":[{"index":0,"function":{"arguments":" \"Bern\u00e9\"}"}}]` + end,
			c + `"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"now","arguments":""}}]` + end,
			c + `"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]` + end,
			c + `"tool_calls":[{"index":2,"id":"toolu_3","type":"function","function":{"name":"v","arguments":"{\"a\":1}"}}]` + end,
			c + `},"finish_reason":"tool_calls"}]`,
		}, "tool_calls"},
		{"thinking", anthropicStart + anthropicOpen("0", `{"type":"thinking","thinking":"","signature":""}`) +
			anthropicPiece("0", `{"type":"thinking_delta","thinking":"Let me \"see\""}`) + anthropicPiece("0", `{"type":"thinking_delta","thinking":"."}`) +
			anthropicPiece("0", `{"type":"signature_delta","signature":"EqQB"}`) + anthropicPiece("0", `{"type":"signature_delta","signature":"Cg=="}`) + anthropicClose("0") +
			anthropicOpen("1", `{"type":"redacted_thinking","data":"Em+w"}`) + anthropicClose("1") +
			anthropicOpen("2", `{"type":"text","text":""}`) + anthropicPiece("2", `{"type":"text_delta","text":"Yes"}`) + anthropicClose("2") + anthropicEnd("end_turn"), []string{
			c + `"role":"assistant","reasoning_content":"Let me \"see\""` + end,
			c + `"reasoning_content":"."` + end,
			c + `"thinking_blocks":[{"type":"thinking","thinking":"Let me \"see\".","signature":"EqQBCg=="}]` + end,
			c + `"thinking_blocks":[{"type":"redacted_thinking","data":"Em+w"}]` + end,
			c + `"content":"Yes"` + end + `  "Yes"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"what runs at the upstream, and what is not known", anthropicStart + anthropicOpen("0", `{"type":"server_tool_use","id":"s","name":"web_search","input":{}}`) +
			anthropicPiece("0", `{"type":"input_json_delta","partial_json":"{\"query\""}`) + anthropicClose("0") +
			anthropicOpen("1", `{"type":"web_search_tool_result","tool_use_id":"s","content":[{"url":"u"}]}`) + anthropicClose("1") +
			anthropicOpen("2", `{"type":"text","text":""}`) + anthropicPiece("2", `{"type":"citations_delta","citation":{"url":"u"}}`) +
			"event: brand_new\ndata: {\"type\":\"brand_new\",\"x\":[1]}\n\n" +
			anthropicPiece("2", `{"type":"text_delta","text":"Yes"}`) + anthropicClose("2") + anthropicEnd("pause_turn"), []string{
			c + `"role":"assistant","content":"Yes"` + end + `  "Yes"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"no more than the least", `data: {"type":"message_start","message":{"model":"claude-1"}}` + "\n\n" +
			`data: {"type":"content_block_delta","delta":{"text":"a"}}` + "\n\n" + `data: {"type":"message_stop"}` + "\n\n", []string{
			c + `"role":"assistant","content":"a"` + end + `  "a"`,
			c + `},"finish_reason":"stop"}]`,
		}, "stop"},
		{"an empty answer", anthropicStart + anthropicEnd("refusal"), []string{
			c + `"role":"assistant"},"finish_reason":"content_filter"}]`,
		}, "content_filter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, sends(200, sseType, tt.stream))
			var got []string
			result, err := testAnthropic(t, url, Timeouts{}).Run(t.Context(), anthropicHi(false), func(deltas []Delta) {
				got = append(got, tellDeltas(t, deltas))
			})
			if err != nil || result.FinishReason != tt.finish || result.Model != "claude-1" || result.Completion != nil {
				t.Errorf("got %+v (%v)", result, err)
			}
			if strings.Join(got, "\n") != strings.Join(tt.chunks, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.chunks, "\n"))
			}
			if strings.HasPrefix(tt.stream, anthropicStart) && string(result.Usage) != anthropicTestUsage {
				t.Errorf("usage %s", result.Usage)
			}
		})
	}
}

func anthropicHi(whole bool) *Request {
	return &Request{Model: "m", Messages: []Message{{Role: "user", Text: "Hi"}}, Whole: whole}
}

func TestAnthropicFinishReasons(t *testing.T) {
	for reason, want := range map[string]string{
		"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
		"refusal": "content_filter", "pause_turn": "stop", "brand_new": "stop",
	} {
		_, url := serve(t, sends(200, sseType, anthropicSays(reason)))
		if _, result, err := run(t, testAnthropic(t, url, Timeouts{}), anthropicHi(false)); err != nil || result.FinishReason != want {
			t.Errorf("%s: got %q (%v), want %q", reason, result.FinishReason, err, want)
		}
	}
}

func TestAnthropicWholeAnswers(t *testing.T) {
	stream := anthropicStart +
		anthropicOpen("0", `{"type":"thinking","thinking":"","signature":""}`) + anthropicPiece("0", `{"type":"thinking_delta","thinking":"hm"}`) +
		anthropicPiece("0", `{"type":"signature_delta","signature":"s"}`) + anthropicClose("0") +
		anthropicOpen("1", `{"type":"text","text":""}`) + anthropicPiece("1", `{"type":"text_delta","text":"Hello"}`) + anthropicClose("1") +
		anthropicOpen("2", `{"type":"tool_use","id":"t","name":"f","input":{}}`) + anthropicPiece("2", `{"type":"input_json_delta","partial_json":"{\"a\":1}"}`) + anthropicClose("2") +
		anthropicEnd("tool_use")
	message := `{"id":"msg_1","type":"message","role":"assistant","model":"claude-1",
 "content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hello"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],
 "stop_reason":"tool_use","usage":{"input_tokens":20,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":15}}`
	const want = `{"id":"","object":"chat.completion","created":0,"model":"claude-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}],"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":` + anthropicTestUsage + `}`
	tests := []struct {
		name   string
		serves exchange
		whole  bool
	}{
		{"from a stream", sends(200, sseType, stream), true},
		{"from a message", sends(200, jsonType, message), true},
		{"from a message where a stream was wanted", sends(200, jsonType, message), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, tt.serves)
			text, result, err := run(t, testAnthropic(t, url, Timeouts{}), anthropicHi(tt.whole))
			if err != nil || text != "Hello" || result.FinishReason != "tool_calls" || string(result.Usage) != anthropicTestUsage {
				t.Errorf("got %q, %+v with usage %s (%v)", text, result, result.Usage, err)
			}
			switch {
			case tt.whole && string(result.Completion) != want:
				t.Errorf("got  %s\nwant %s", result.Completion, want)
			case !tt.whole && result.Completion != nil:
				t.Error("a stream has a completion")
			}
		})
	}
}

// TestAnthropicThinkingComesBack goes all the way round: what the answer brought
// is kept in the assistant's message and put to the API again.
func TestAnthropicThinkingComesBack(t *testing.T) {
	_, url := serve(t, sends(200, sseType, anthropicStart+
		anthropicOpen("0", `{"type":"thinking","thinking":"","signature":""}`)+anthropicPiece("0", `{"type":"thinking_delta","thinking":"h\u00e9"}`)+
		anthropicPiece("0", `{"type":"thinking_delta","thinking":"\n\"m\""}`)+anthropicPiece("0", `{"type":"signature_delta","signature":"s"}`)+anthropicClose("0")+
		anthropicOpen("1", `{"type":"tool_use","id":"t","name":"f","input":{}}`)+anthropicClose("1")+anthropicEnd("tool_use")))
	var answer Assembler
	if _, err := testAnthropic(t, url, Timeouts{}).Run(t.Context(), anthropicHi(false), func(deltas []Delta) {
		for _, d := range deltas {
			answer.Add(d)
		}
	}); err != nil {
		t.Fatal(err)
	}
	messages := append(anthropicHi(false).Messages, answer.Message())
	messages = append(messages, parseMessages(t, `[{"role":"tool","tool_call_id":"t","content":"x"}]`)...)
	talk, err := anthropicTalkOf(messages)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(talk.turns[1])
	const want = `{"role":"assistant","content":[{"signature":"s","thinking":"hé\n\"m\"","type":"thinking"},{"type":"tool_use","id":"t","name":"f","input":{}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnthropicFailures(t *testing.T) {
	ok := sends(200, sseType, anthropicSays("end_turn"))
	begun := anthropicStart + anthropicOpen("0", `{"type":"text","text":""}`) + anthropicPiece("0", `{"type":"text_delta","text":"Hel"}`)
	fault := func(kind string) string {
		return "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" + kind + "\",\"message\":\"boom " + testKey + "\"}}\n\n"
	}
	many := anthropicStart
	for range maxOpenBlocks + 1 {
		many += anthropicOpen("1", `{"type":"text","text":""}`)
	}
	tests := []struct {
		name    string
		serves  []exchange
		kind    Kind
		status  int
		message string
		code    string // the upstream's type
		text    string
		calls   int
	}{
		{"401", []exchange{sends(401, jsonType, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"r"}`)},
			KindStatus, 401, "invalid x-api-key", "authentication_error", "", 1},
		{"529, then an answer", []exchange{sends(529, jsonType, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), ok},
			"", 0, "", "", "Hello", 2},
		{"an error before the first delta", []exchange{sends(200, sseType, anthropicStart+fault("overloaded_error"))},
			KindStatus, 529, "boom [redacted]", "overloaded_error", "", 1},
		{"an error in the middle", []exchange{sends(200, sseType, begun+fault("rate_limit_error")+anthropicStop)},
			KindStatus, 429, "boom", "rate_limit_error", "Hel", 1},
		{"an error of a new type", []exchange{sends(200, sseType, begun+fault("brand_new_error"))},
			KindCut, 0, "boom", "brand_new_error", "Hel", 1},
		{"an error without an event's name", []exchange{sends(200, sseType, begun+`data: {"type":"error","error":{"type":"api_error","message":"boom"}}`+"\n\n")},
			KindStatus, 500, "boom", "api_error", "Hel", 1},
		{"an error that is text", []exchange{sends(200, sseType, begun+"event: error\ndata: upstream went away\n\n")},
			KindCut, 0, "upstream went away", "", "Hel", 1},
		{"an error answered with 200", []exchange{sends(200, jsonType, `{"type":"error","error":{"type":"not_found_error","message":"boom"}}`)},
			KindStatus, 404, "boom", "not_found_error", "", 1},
		{"cut in the middle", []exchange{cuts("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(begun))},
			KindCut, 0, "broke off", "", "Hel", 1},
		{"an end that is not told", []exchange{sends(200, sseType, begun)},
			KindCut, 0, "ended before its end was told", "", "Hel", 1},
		{"a stop reason, and no end", []exchange{sends(200, sseType, strings.TrimSuffix(anthropicSays("end_turn"), anthropicStop))},
			KindCut, 0, "ended before its end was told", "", "Hello", 1},
		{"an end within an event", []exchange{sends(200, sseType, begun+`data: {"type":"content_block_delta","del`)},
			KindCut, 0, "broke off", "", "Hel", 1},
		{"nothing", []exchange{sends(200, sseType, "")},
			KindCut, 0, "ended before its end was told", "", "", 1},
		{"garbage for an event", []exchange{sends(200, sseType, begun+"data: garbage\n\n")},
			KindMalformed, 0, "not a JSON object", "", "Hel", 1},
		{"garbage for a block", []exchange{sends(200, sseType, begun+anthropicOpen("1", `7`))},
			KindMalformed, 0, "block", "", "Hel", 1},
		{"garbage for a start", []exchange{sends(200, sseType, `data: {"type":"message_start","message":7}`+"\n\n")},
			KindMalformed, 0, "start", "", "", 1},
		{"blocks without end", []exchange{sends(200, sseType, many)},
			KindMalformed, 0, "blocks at once", "", "", 1},
		{"a line of 50 MB", []exchange{all(sendsPart(begun), func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "data: ")
			io.Copy(w, &endless{text: "x", left: 50 << 20})
		})}, KindMalformed, 0, "line too long", "", "Hel", 1},
		{"a page", []exchange{sends(200, "text/html", "<title>Welcome</title>")},
			KindMalformed, 0, "Welcome", "", "", 1},
		{"JSON that is no message", []exchange{sends(200, jsonType, `{"choices":[]}`)},
			KindMalformed, 0, "no message", "", "", 1},
		{"half a message", []exchange{sends(200, jsonType, `{"content":[`)},
			KindMalformed, 0, "no message", "", "", 1},
		{"silence", []exchange{all(sendsPart(begun), isSilent)},
			KindTimeout, 0, "no byte", "", "Hel", 1},
	}
	for _, whole := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(tt.name+map[bool]string{true: ", whole"}[whole], func(t *testing.T) {
				t.Parallel()
				calls, url := serve(t, tt.serves...)
				timeouts := Timeouts{}
				if tt.kind == KindTimeout {
					timeouts.Idle = timeoutUnderTest
				}
				text, result, err := run(t, testAnthropic(t, url, timeouts), anthropicHi(whole))
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
				if e.Kind != tt.kind || e.Status != tt.status || e.Provider != "test" || e.UpstreamType != tt.code || !strings.Contains(e.Message, tt.message) {
					t.Errorf("got %+v", e)
				}
				if result.FinishReason != "" || result.Completion != nil {
					t.Errorf("a broken answer has the result %+v", result)
				}
			})
		}
	}
}

func TestAnthropicCancelReachesTheUpstream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	_, url := serve(t, all(sendsPart(anthropicStart+anthropicPiece("0", `{"type":"text_delta","text":"a"}`)), isSilent,
		func(*testing.T, http.ResponseWriter, *http.Request) { close(ended) }))
	_, err := testAnthropic(t, url, Timeouts{}).Run(ctx, anthropicHi(false), func([]Delta) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	waitFor(t, ended, "the end of the call at the upstream")
}

func TestAnthropicCalls(t *testing.T) {
	for _, path := range []string{"", "/", "/v1", "/v1/"} {
		got := make(chan *http.Request, 1)
		server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
			got <- r
			sends(200, sseType, anthropicSays("end_turn"))(t, w, r)
		})
		a := NewAnthropic(AnthropicOptions{Name: "test", BaseURL: server + path, APIKey: testKey, DefaultModel: "d",
			Headers: map[string]string{"anthropic-beta": "x-2026", "Anthropic-Version": "2030-01-01"}})
		if _, _, err := run(t, a, &Request{Messages: anthropicHi(false).Messages}); err != nil {
			t.Error(err)
		}
		a.Close()
		r := <-got
		if r.Method+" "+r.URL.Path != "POST /v1/messages" || r.Header.Get("X-Api-Key") != testKey || r.Header.Get("Anthropic-Beta") != "x-2026" ||
			r.Header.Get("Anthropic-Version") != "2030-01-01" || r.Header.Get("Content-Type") != jsonType || r.Header.Get("Authorization") != "" {
			t.Errorf("base %q: called %s %s with %v", path, r.Method, r.URL, r.Header)
		}
	}
	if a := NewAnthropic(AnthropicOptions{}); a.up.url("/v1/messages") != "https://api.anthropic.com/v1/messages" || a.up.header.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("by default it calls %s with %v", a.up.url(""), a.up.header)
	}
}

func TestAnthropicModels(t *testing.T) {
	pages := map[string]string{
		"limit=1000":              `{"data":[{"type":"model","id":"a","display_name":"A","created_at":"2026-02-04T00:00:00Z"},{"id":""},{"id":"b c","created_at":"soon"}],"has_more":true,"first_id":"a","last_id":"b c"}`,
		"limit=1000&after_id=b+c": `{"data":[{"id":"d"}],"has_more":true,"last_id":"d"}`,
		"limit=1000&after_id=d":   `{"data":[],"has_more":true,"last_id":"d"}`,
		"tag=1&limit=1000":        `{"data":[{"id":"tagged"}]}`,
		"tag=none&limit=1000":     `{"data":null}`,
		"tag=bad&limit=1000":      `{"data":7}`,
		"tag=ever&limit=1000":     `{"data":[{"id":"e"}],"has_more":true,"last_id":"1"}`,
	}
	var asked int
	server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		query := r.URL.RawQuery
		if page, after, found := strings.Cut(query, "&after_id="); found && strings.HasPrefix(page, "tag=ever") {
			// The next id is always another one.
			io.WriteString(w, `{"data":[],"has_more":true,"last_id":"`+after+`x"}`)
			return
		}
		page, known := pages[query]
		if !known || r.Method+" "+r.URL.Path != "GET /v1/models" || r.Header.Get("X-Api-Key") != testKey {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		io.WriteString(w, page)
	})
	for _, tt := range []struct {
		query, want string
		asked       int
	}{
		{"", "a 1770163200 anthropic, b c 0 anthropic, d 0 anthropic", 3},
		{"?tag=1", "tagged 0 anthropic", 1},
		{"?tag=none", "", 1},
		{"?tag=ever", "e 0 anthropic", maxListPages},
	} {
		asked = 0
		models, err := testAnthropic(t, server+tt.query, Timeouts{}).Models(t.Context())
		if got := tellModels(models); err != nil || got != tt.want || models == nil || asked != tt.asked {
			t.Errorf("%q: got %q (%v) after %d pages, want %q after %d", tt.query, got, err, asked, tt.want, tt.asked)
		}
	}
	if _, err := testAnthropic(t, server+"?tag=bad", Timeouts{}).Models(t.Context()); asError(t, err).Kind != KindMalformed {
		t.Errorf("got %v, want KindMalformed", err)
	}
}

func TestAnthropicDropsThinkingThatIsTooLong(t *testing.T) {
	s := anthropicStream{up: &upstream{}, answer: deltaWriter{model: "m"}}
	piece, _ := json.Marshal(strings.Repeat("x", maxThinkingBytes/2))
	s.openBlock(0, anthropicBlock{Type: "thinking"})
	for range 3 {
		s.addDelta(0, anthropicDelta{thinking: piece})
		s.answer.take()
	}
	s.addDelta(0, anthropicDelta{signature: []byte(`"s"`)})
	if s.blocks[0].thinking != nil {
		t.Errorf("%d bytes of thinking are kept", len(s.blocks[0].thinking))
	}
	s.closeBlock(0)
	if deltas := s.answer.take(); len(deltas) != 0 {
		t.Errorf("it is handed on with %s", deltas[0].Chunk[:100])
	}
}

func TestAnthropicStreamAllocatesNothingPerEvent(t *testing.T) {
	allocs := func(pieces int) float64 {
		stream := anthropicTestStream(pieces)
		return testing.AllocsPerRun(5, func() { runAnthropicStream(t, stream) })
	}
	if short, long := allocs(500), allocs(5000); long > short+10 {
		t.Errorf("500 pieces take %.0f allocations, 5000 take %.0f", short, long)
	}
}

// BenchmarkAnthropicStream is a stream of 1000 pieces, from its bytes to emit.
func BenchmarkAnthropicStream(b *testing.B) {
	stream := anthropicTestStream(1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		runAnthropicStream(b, stream)
	}
}

func anthropicTestStream(pieces int) []byte {
	return []byte(anthropicStart + anthropicOpen("0", `{"type":"text","text":""}`) +
		strings.Repeat(anthropicPiece("0", `{"type":"text_delta","text":" token"}`), pieces) + anthropicClose("0") + anthropicEnd("end_turn"))
}

// runAnthropicStream reads a stream as it comes off a socket, in pieces of a few
// events.
func runAnthropicStream(tb testing.TB, stream []byte) {
	a := Anthropic{up: &upstream{}}
	resp := &http.Response{Header: http.Header{"Content-Type": {sseType}}, Body: io.NopCloser(&pieces{data: stream, sizes: []int{700, 250, 1900}})}
	content := 0
	result, err := a.stream(resp, "m", func(deltas []Delta) {
		for _, d := range deltas {
			content += len(d.Content)
		}
	})
	if err != nil || result.FinishReason != "stop" || content == 0 {
		tb.Fatalf("%+v (%v), %d bytes of content", result, err, content)
	}
}

// FuzzAnthropicStream holds whatever the upstream may send to what an Agent
// promises.
func FuzzAnthropicStream(f *testing.F) {
	f.Add([]byte(anthropicSays("end_turn")), true)
	f.Add([]byte(anthropicStart+anthropicOpen("0", `{"type":"thinking","thinking":"a","signature":"\ud83d"}`)+anthropicPiece("0", `{"thinking":"\ude00","signature":"b"}`)+anthropicEnd("x")), true)
	f.Add([]byte(anthropicOpen("0", `{"type":"tool_use","id":"","name":"\n","input":{"a": "b"}}`)+anthropicPiece("0", `{"partial_json":"\u007b"}`)+anthropicStop), true)
	f.Add([]byte("data: {\"type\":\"error\",\"error\":\"x\"}\r\n\r\nevent: error\rdata: \xff\r\r"), true)
	f.Add([]byte(`{"model":"\ud83d","content":[{"type":"text","text":"a"},{"type":"tool_use","input":[1,`+"\n"+`2]}],"usage":{"output_tokens":-1}}`), false)
	f.Fuzz(func(t *testing.T, data []byte, streamed bool) {
		kind := jsonType
		if streamed {
			kind = sseType
		}
		a := Anthropic{up: &upstream{}, maxLine: 1 << 16}
		fuzzAnswer(t, data, kind, func(resp *http.Response, emit func([]Delta)) (Result, error) { return a.stream(resp, "m", emit) })
	})
}

// fuzzAnswer reads data as an upstream's answer, and checks what comes of it.
func fuzzAnswer(t *testing.T, data []byte, kind string, stream func(*http.Response, func([]Delta)) (Result, error)) {
	resp := &http.Response{Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(&pieces{data: data, sizes: []int{7, 100, 3000}})}
	var whole Assembler
	finished := 0
	result, err := (&upstream{}).assembled(func(deltas []Delta) {
		if len(deltas) == 0 {
			t.Fatal("an emit brought nothing")
		}
		for _, d := range deltas {
			checkDelta(t, d)
			whole.Add(d)
			if finish := jsonMember(elementsFirst(jsonMember(d.Chunk, "choices")), "finish_reason"); isString(finish) {
				finished++
			}
		}
	}, func(emit func([]Delta)) (Result, error) { return stream(resp, emit) })
	if result.Usage != nil && !json.Valid(result.Usage) {
		t.Fatalf("the usage is no JSON: %s", result.Usage)
	}
	if !utf8.ValidString(result.Model) {
		t.Fatalf("the model %q", result.Model)
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Message == "" || !utf8.ValidString(e.Message) {
			t.Fatalf("got %v, want an *Error with a message", err)
		}
		return
	}
	if result.FinishReason == "" || finished != 1 || whole.FinishReason() != result.FinishReason {
		t.Fatalf("%d deltas finish the answer: %+v", finished, result)
	}
	if !json.Valid(result.Completion) {
		t.Fatalf("the completion is no JSON: %s", result.Completion)
	}
}

func elementsFirst(array []byte) []byte {
	s := elementsOf(array)
	s.next()
	return s.value
}
