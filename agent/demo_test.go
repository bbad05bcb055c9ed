package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// demoRun is what came of a run.
type demoRun struct {
	res    Result
	text   string
	msg    Message
	deltas int
	emits  int
	most   int // deltas in one emit
}

func runDemo(t testing.TB, req *Request) demoRun {
	t.Helper()
	run, err := tryDemo(t, context.Background(), NewDemo(DemoOptions{}), req)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func tryDemo(t testing.TB, ctx context.Context, d *Demo, req *Request) (demoRun, error) {
	t.Helper()
	var run demoRun
	var a Assembler
	res, err := d.Run(ctx, req, func(deltas []Delta) {
		run.emits++
		run.deltas += len(deltas)
		run.most = max(run.most, len(deltas))
		for _, d := range deltas {
			checkDemoDelta(t, d)
			if d.Content != nil {
				var piece string
				if err := json.Unmarshal(d.Content, &piece); err != nil {
					t.Fatalf("content %s: %v", d.Content, err)
				}
				run.text += piece
			}
			a.Add(d)
		}
	})
	run.res, run.msg = res, a.Message()
	return run, err
}

func checkDemoDelta(t testing.TB, d Delta) {
	t.Helper()
	if !json.Valid([]byte("{"+string(d.Chunk)+"}")) || !utf8.Valid(d.Chunk) || strings.ContainsAny(string(d.Chunk), "\r\n") {
		t.Fatalf("chunk %q", d.Chunk)
	}
	if d.Content != nil && !strings.Contains(string(d.Chunk), string(d.Content)) {
		t.Fatalf("content %s is not in chunk %s", d.Content, d.Chunk)
	}
}

// say makes a conversation of texts, by user and assistant in turns.
func say(texts ...string) []Message {
	messages := make([]Message, len(texts))
	for i, text := range texts {
		messages[i] = Message{Role: []string{"user", "assistant"}[i%2], Text: text}
	}
	return messages
}

func parseMessages(t testing.TB, data string) []Message {
	t.Helper()
	var messages []Message
	if err := json.Unmarshal([]byte(data), &messages); err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestDemoAnswers(t *testing.T) {
	tests := []struct {
		says []string
		rule string
		want string // is in the answer
	}{
		{[]string{"Hello"}, "small talk", "demo agent"},
		{[]string{"hi there!"}, "small talk", "demo agent"},
		{[]string{"My name is Ada", "Hi", "hello"}, "small talk", "Hello again, Ada"},
		{[]string{"help"}, "help", "Things to say"},
		{[]string{"What can you do?"}, "help", "Things to say"},
		{[]string{"who are you?"}, "help", "demo agent"},
		{[]string{"Hello, what can you do?"}, "help", "Things to say"},
		{[]string{""}, "nothing", "no text"},
		{[]string{"How are you?"}, "small talk", "Running smoothly"},
		{[]string{"thanks a lot"}, "small talk", "welcome"},
		{[]string{"tell me a joke"}, "small talk", "actor"},

		{[]string{"My name is ada lovelace."}, "introduction", "meet you, Ada!"},
		{[]string{"I'm Grace Hopper"}, "introduction", "meet you, Grace Hopper!"},
		{[]string{"call me Ishmael"}, "introduction", "meet you, Ishmael!"},
		{[]string{"I am hungry"}, "otherwise", "I am hungry"},
		{[]string{"My name is Ada", "Hi", "What is my name?"}, "name", "Your name is Ada."},
		{[]string{"My name is Ada", "Hi", "now call me Bob", "Ok", "do you know my name?"}, "name", "Your name is Bob."},
		{[]string{"my name’s Zoë", "Hi", "What’s my name?"}, "name", "Zoë"},
		{[]string{"What is my name?"}, "name", "not told me"},
		{[]string{"Who am I?"}, "name", "not told me"},

		{[]string{"one", "a", "two", "b", "What did I say first?"}, "memory", `first thing you said was: "one"`},
		{[]string{"one", "a", "two", "b", "What did I say last?"}, "memory", `you said: "two"`},
		{[]string{"one", "a", "two", "b", "what did i say before?"}, "memory", `you said: "two"`},
		{[]string{"one", "a", "two", "b", "what was my second message"}, "memory", `second message was: "two"`},
		{[]string{"one", "a", "what was my third message"}, "memory", "only 1 message"},
		{[]string{"What did I say first?"}, "memory", "first message I know of"},
		{[]string{"one", "a", "two", "b", "How many messages so far?"}, "memory", "3 messages from you, this one included, and 2 answers"},
		{[]string{"one", "a", "two", "b", "Summarise our conversation"}, "summary", "\n1. one\n2. two"},
		{[]string{"one", "a", "summarize this chat please"}, "summary", "1 message from you"},

		{[]string{"Repeat after me: The quick brown fox"}, "echo", "The quick brown fox"},
		{[]string{`echo "Hello,  World"`}, "say", "Hello,  World"},
		{[]string{"say this: 漢字 😀"}, "echo", "漢字 😀"},
		{[]string{"hi", "Good day.", "repeat that"}, "say", "Good day."},
		{[]string{"repeat that"}, "say", "not said anything"},

		{[]string{"What is 12*7?"}, "sum", "12*7 = 84"},
		{[]string{"what's 12 times 7"}, "sum", "= 84"},
		{[]string{"7 x 8 ="}, "sum", "= 56"},
		{[]string{"(1 + 2) * -3"}, "sum", "= -9"},
		{[]string{"calculate 0.1 + 0.2"}, "sum", "= 0.3"},
		{[]string{"what is 1/3"}, "sum", "≈ 0.3333333333"},
		{[]string{"2^10"}, "sum", "= 1024"},
		{[]string{"2^-1"}, "sum", "= 0.5"},
		{[]string{"1/0"}, "sum", "divides by zero"},
		{[]string{"9^9^9"}, "sum", "too large"},
		{[]string{"9^999"}, "sum", "= "},
		{[]string{"what is 5"}, "otherwise", ""},
		{[]string{"-(+2)^3"}, "sum", "= -8"},
		{[]string{"2^0.5"}, "otherwise", ""},
		{[]string{"0^-1"}, "sum", "divides by zero"},
		{[]string{"(1+2"}, "otherwise", ""},
		{[]string{"1.2.3 + 1"}, "otherwise", ""},
		{[]string{"1 + 2 )"}, "otherwise", ""},
		{[]string{"2^1001"}, "sum", "too large"},
		{[]string{strings.Repeat("9*", 150) + "9"}, "otherwise", ""},

		{[]string{"count to 5"}, "count", "1, 2, 3, 4, 5"},
		{[]string{"Please count from 3 to 1"}, "count", "3, 2, 1"},
		{[]string{"count to 100000"}, "count", "499, 500, and so on: 500 numbers"},
		{[]string{"write a long story about a robot"}, "long", "about robot"},
		{[]string{"Write an essay on time"}, "long", "# On time"},
		{[]string{"think slowly"}, "slow", "word by word"},
		{[]string{"show me some markdown"}, "markdown", "| Door |"},

		{[]string{"What about sessions?"}, "topic", "X-Session-Id"},
		{[]string{"how does streaming work"}, "topic", "[DONE]"},
		{[]string{"how can I resume a stream"}, "topic", "Last-Event-ID"},
		{[]string{"Hello, how do I use the OpenAI API?"}, "topic", "/v1/chat/completions"},
		{[]string{"websocket please"}, "topic", "/ws/chat"},
		{[]string{"tell me about webhooks"}, "topic", "/v1/webhook/{channel}"},
		{[]string{"how do I pair"}, "topic", "X-Pairing-Code"},
		{[]string{"where do I get a token"}, "topic", "agentzero token"},
		{[]string{"how do I configure a real model"}, "topic", "[providers.mine]"},
		{[]string{"Prometheus?"}, "topic", "/metrics"},
		{[]string{"how do I cancel"}, "topic", "/cancel"},
		{[]string{"explain busy policies"}, "topic", "X-Busy-Policy"},
		{[]string{"what endpoints are there"}, "topic", "127.0.0.1:42617"},
		{[]string{"what happens on shutdown"}, "topic", "draining"},
		{[]string{"is there an idempotency key"}, "topic", "Idempotency-Key"},

		{[]string{"My cat likes fish"}, "otherwise", `"My cat likes fish"`},
		{[]string{"a", "b", "blue"}, "otherwise", "2 messages from you so far, 1 answer from me"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.says, " / "), func(t *testing.T) {
			messages := say(tt.says...)
			rule, _ := newDemoTalk(messages).match()
			if rule != tt.rule {
				t.Errorf("rule %q, want %q", rule, tt.rule)
			}
			run := runDemo(t, &Request{Messages: messages})
			if !strings.Contains(run.text, tt.want) || run.text == "" {
				t.Errorf("answer %q has no %q", run.text, tt.want)
			}
			if again := runDemo(t, &Request{Messages: messages, Model: DemoModel}); again.text != run.text {
				t.Errorf("another answer: %q", again.text)
			}
			if run.res.FinishReason != "stop" || run.res.Model != DemoModel {
				t.Errorf("result %+v", run.res)
			}
		})
	}
}

func TestDemoTopicsAreAllReached(t *testing.T) {
	for _, topic := range demoTopics() {
		for _, word := range topic.words {
			if got := newDemoTalk(say("Please explain " + word + " to us")).reply().text; got != topic.answer {
				t.Errorf("%q leads to %.60q", word, got)
			}
		}
	}
}

func TestDemoStreamsWordByWord(t *testing.T) {
	run := runDemo(t, &Request{Messages: say("write a long story")})
	if words := len(strings.Fields(run.text)); run.deltas != words+1 || words < 500 {
		t.Errorf("%d deltas for %d words", run.deltas, words)
	}
	if run.most != demoBatch {
		t.Errorf("at most %d deltas in one emit, want %d", run.most, demoBatch)
	}
	long := strings.Repeat("漢", 1000)
	if run := runDemo(t, &Request{Messages: say("echo: " + long)}); run.text != long || run.deltas < 10 {
		t.Errorf("a word of %d bytes came back as %d bytes in %d deltas", len(long), len(run.text), run.deltas)
	}
}

func TestDemoThinksSlowlyWithReasoning(t *testing.T) {
	run := runDemo(t, &Request{Messages: say("think slowly")})
	var msg struct {
		Reasoning string `json:"reasoning_content"`
	}
	if err := json.Unmarshal(run.msg.Raw, &msg); err != nil || msg.Reasoning != demoSlowThoughts {
		t.Errorf("reasoning %q, error %v", msg.Reasoning, err)
	}
}

func TestDemoWaitsBetweenWords(t *testing.T) {
	d := NewDemo(DemoOptions{Delay: time.Millisecond})
	run, err := tryDemo(t, context.Background(), d, &Request{Messages: say("count to 20")})
	if err != nil || run.most > 2 || run.emits < 20 {
		t.Errorf("%d emits of up to %d, error %v", run.emits, run.most, err)
	}
}

func TestDemoEndsWithItsContext(t *testing.T) {
	d := NewDemo(DemoOptions{Delay: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	emits := 0
	res, err := d.Run(ctx, &Request{Messages: say("count to 500")}, func([]Delta) {
		emits++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || emits != 1 || res.FinishReason != "" {
		t.Errorf("after %d emits: %+v, %v", emits, res, err)
	}
	if _, err := NewDemo(DemoOptions{}).Run(ctx, &Request{Messages: say("hi")}, func([]Delta) {
		t.Error("emitted after the end of its context")
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestDemoWhole(t *testing.T) {
	// The pause would outlast the test, if an answer that nobody watches waited.
	d := NewDemo(DemoOptions{Delay: time.Hour})
	run, err := tryDemo(t, context.Background(), d, &Request{Messages: say("count to 3"), Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"","object":"chat.completion","created":0,"model":"demo","choices":[{"index":0,"message":{"role":"assistant","content":"1, 2, 3"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}`
	if string(run.res.Completion) != want {
		t.Errorf("got  %s\nwant %s", run.res.Completion, want)
	}
	if string(run.res.Usage) != `{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}` {
		t.Errorf("usage %s", run.res.Usage)
	}
}

func TestDemoLimits(t *testing.T) {
	tests := []struct {
		params, says, want, finish string
	}{
		{`{"max_tokens":4}`, "count to 100", "1, 2, 3, 4, ", "length"},
		{`{"max_tokens":1,"max_completion_tokens":3}`, "count to 100", "1, 2, 3, ", "length"},
		{`{"max_tokens":1000}`, "count to 3", "1, 2, 3", "stop"},
		{`{"max_tokens":2}`, "echo: abcdefghijkl", "abcdefgh", "length"},
		{`{"max_tokens":2}`, "echo: 漢漢漢漢漢漢漢漢漢漢漢漢", "漢漢漢漢漢漢漢漢", "length"},
		{`{"stop":", 4"}`, "count to 100", "1, 2, 3", "stop"},
		{`{"stop":["7","4",""]}`, "count to 100", "1, 2, 3, ", "stop"},
		{`{"stop":null,"temperature":1.5,"unknown":{"a":1}}`, "count to 3", "1, 2, 3", "stop"},
		{`{"stop":"3","max_tokens":2}`, "count to 100", "1, 2, ", "stop"},
	}
	for _, tt := range tests {
		run := runDemo(t, &Request{Messages: say(tt.says), Params: json.RawMessage(tt.params)})
		if run.text != tt.want || run.res.FinishReason != tt.finish {
			t.Errorf("%s %s: got %q (%s), want %q (%s)", tt.says, tt.params, run.text, run.res.FinishReason, tt.want, tt.finish)
		}
	}
}

func TestDemoRefuses(t *testing.T) {
	tests := []struct {
		model, params string
		kind          Kind
		says          string
	}{
		{"gpt-4o", ``, KindNotFound, `"demo"`},
		{"", `{"n":2}`, KindInvalid, "n:"},
		{"", `{"max_tokens":0}`, KindInvalid, "max_tokens:"},
		{"", `{"max_tokens":"many"}`, KindInvalid, "max_tokens:"},
		{"", `{"stop":7}`, KindInvalid, "stop"},
		{"", `[]`, KindInvalid, "object"},
		{"", `{"tool_choice":"required"}`, KindInvalid, "tool_choice:"},
		{"", `{"tool_choice":"sometimes"}`, KindInvalid, "tool_choice:"},
		{"", `{"tool_choice":{"type":"function","function":{"name":"f"}}}`, KindInvalid, `"f"`},
		{"", `{"response_format":{"type":"xml"}}`, KindInvalid, "response_format.type"},
		{"", `{"response_format":{"type":"json_schema"}}`, KindInvalid, "response_format.json_schema.schema"},
	}
	for _, tt := range tests {
		run, err := tryDemo(t, context.Background(), NewDemo(DemoOptions{}),
			&Request{Model: tt.model, Messages: say("hi"), Params: json.RawMessage(tt.params)})
		var e *Error
		if !errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(e.Message, tt.says) || run.deltas > 0 {
			t.Errorf("model %q params %s: error %v", tt.model, tt.params, err)
		}
	}
}

func TestDemoModels(t *testing.T) {
	models, err := NewDemo(DemoOptions{}).Models(context.Background())
	if err != nil || len(models) != 1 || models[0] != (Model{ID: "demo", OwnedBy: "agentzero"}) {
		t.Errorf("%+v, %v", models, err)
	}
}

const demoWeather = `{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]},"days":{"type":"integer","minimum":1,"maximum":7},"note":{"type":"string"}},"required":["city","unit","days"]}}}`

func TestDemoCallsTools(t *testing.T) {
	const clock = `{"type":"function","function":{"name":"get_time"}}`
	tests := []struct {
		name, says, params string
		want               []string // name and arguments, in turns
	}{
		{"told to call", "Call get_weather for Paris", `{"tools":[` + demoWeather + `]}`,
			[]string{"get_weather", `{"city":"Paris","unit":"celsius","days":1}`}},
		{"told in other words", "use the tool get weather with city=New York, in fahrenheit, 30 days", `{"tools":[` + demoWeather + `]}`,
			[]string{"get_weather", `{"city":"New York","unit":"fahrenheit","days":7}`}},
		{"quoted values", `please run get_weather on "St. Gallen"`, `{"tools":[` + demoWeather + `]}`,
			[]string{"get_weather", `{"city":"St. Gallen","unit":"celsius","days":1}`}},
		{"no parameters", "call get_time now", `{"tools":[` + demoWeather + `,` + clock + `]}`, []string{"get_time", `{}`}},
		{"two at once", "call get_weather for Bern and get_time", `{"tools":[` + demoWeather + `,` + clock + `]}`,
			[]string{"get_weather", `{"city":"Bern and get_time","unit":"celsius","days":1}`, "get_time", `{}`}},
		{"one at a time", "call get_time and get_weather", `{"parallel_tool_calls":false,"tools":[` + clock + `,` + demoWeather + `]}`,
			[]string{"get_time", `{}`}},
		{"forced by name", "hello", `{"tool_choice":{"type":"function","function":{"name":"get_time"}},"tools":[` + demoWeather + `,` + clock + `]}`,
			[]string{"get_time", `{}`}},
		{"forced to any", "hello", `{"tool_choice":"required","tools":[` + clock + `,` + demoWeather + `]}`, []string{"get_time", `{}`}},
		{"not told to", "what is get_weather?", `{"tools":[` + demoWeather + `]}`, nil},
		{"not allowed to", "call get_weather", `{"tool_choice":"none","tools":[` + demoWeather + `]}`, nil},
		{"there is no such tool", "call get_news", `{"tool_choice":"auto","tools":[` + demoWeather + `]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := runDemo(t, &Request{Messages: say(tt.says), Params: json.RawMessage(tt.params), Whole: true})
			var got []string
			ids := map[string]bool{}
			for _, call := range messageToolCalls(run.msg) {
				got = append(got, call.Name, call.Arguments)
				ids[call.ID] = true
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || len(ids)*2 != len(got) {
				t.Errorf("calls %q, want %q", got, tt.want)
			}
			if called := run.res.FinishReason == "tool_calls"; called != (tt.want != nil) || called == (run.text != "") {
				t.Errorf("finish reason %q, text %q", run.res.FinishReason, run.text)
			}
			if tt.want != nil && !strings.Contains(string(run.res.Completion), `"tool_calls":[{"id":`) {
				t.Errorf("completion %s", run.res.Completion)
			}
		})
	}
}

func TestDemoAnswersWithToolResults(t *testing.T) {
	messages := parseMessages(t, `[
		{"role":"user","content":"call get_weather for Bern"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"a","content":"Sunny, 21 degrees"}]`)
	params := json.RawMessage(`{"tools":[` + demoWeather + `]}`)
	run := runDemo(t, &Request{Messages: messages, Params: params})
	if run.text != "The tool get_weather answered: Sunny, 21 degrees" {
		t.Errorf("answer %q", run.text)
	}
	messages = append(messages, parseMessages(t, `[{"role":"tool","tool_call_id":"zzz","content":"noon"}]`)...)
	if run := runDemo(t, &Request{Messages: messages, Params: params}); !strings.Contains(run.text, "- get_weather: Sunny") || !strings.Contains(run.text, "noon") {
		t.Errorf("answer %q", run.text)
	}
}

func TestDemoTellsOfTwentyResults(t *testing.T) {
	messages := say("call them all")
	for range maxDemoResults + 3 {
		messages = append(messages, Message{Role: "tool", Text: "noon"})
	}
	if text := runDemo(t, &Request{Messages: messages}).text; strings.Count(text, "noon") != maxDemoResults || !strings.HasSuffix(text, "(3 more results left out)") {
		t.Errorf("answer %q", text)
	}
}

func TestDemoAnswersInJSON(t *testing.T) {
	tests := []struct{ name, says, format, want string }{
		{"an object", "count to 3", `{"type":"json_object"}`, `{"answer":"1, 2, 3"}`},
		{"text is text", "count to 3", `{"type":"text"}`, `1, 2, 3`},
		{"a schema", "count to 3", `{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{"answer":{"type":"string"},"confidence":{"type":"number"},"sure":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"}},"none":{"type":"null"}},"required":["answer"],"additionalProperties":false}}}`,
			`{"answer":"1, 2, 3","confidence":3,"sure":true,"tags":["3"],"none":null}`},
		{"references and alternatives", "count to 3", `{"type":"json_schema","json_schema":{"schema":{"$defs":{"p":{"type":"object","properties":{"x":{"type":["null","integer"]}},"required":["x"]}},"type":"object","properties":{"p":{"$ref":"#/$defs/p"},"q":{"anyOf":[{"type":"null"},{"const":7}]},"r":{"allOf":[{"type":"object","properties":{"a":{"type":"string","format":"date"}}},{"type":"object","properties":{"b":{"type":"string","maxLength":2,"minLength":2,"default":"zz"}}}]}}}}}`,
			`{"p":{"x":3},"q":7,"r":{"a":"2026-01-31","b":"zz"}}`},
		{"formats and bounds of strings", "hi", `{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{` +
			`"a":{"type":"string","format":"email"},"b":{"type":"string","format":"uri"},"c":{"type":"string","format":"uuid"},"d":{"type":"string","format":"ipv4"},"e":{"type":"string","format":"hostname"},` +
			`"f":{"type":"string","format":"date-time"},"g":{"type":"string","format":"time"},"h":{"type":"string","format":"odd","maxLength":1},"i":{"type":"string","minLength":4},"j":{"const":{"x": 1}}}}}}`,
			`{"a":"ada@example.com","b":"https://example.com/","c":"123e4567-e89b-42d3-a456-426614174000","d":"192.0.2.1","e":"example.com","f":"2026-01-31T12:00:00Z","g":"12:00:00Z","h":"h","i":"hixx","j":{"x":1}}`},
		{"bounds of numbers and lists", "hi", `{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{` +
			`"a":{"type":"integer","minimum":2.5},"b":{"type":"number","exclusiveMinimum":1},"c":{"type":"number","exclusiveMaximum":1},"d":{"type":"number","maximum":-4},"e":{"type":"array","minItems":2},"f":{"type":"array","minItems":99,"items":{"type":"null"}},"g":{"$ref":"#/no/where"},"h":{"$ref":"http://elsewhere"}}}}}`,
			`{"a":3,"b":2,"c":0,"d":-4,"e":["hi","hi"],"f":[` + strings.Repeat("null,", maxSampleItems-1) + `null],"g":null,"h":null}`},
		{"a schema within itself ends", "hi", `{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{"self":{"$ref":"#"},"other":{"$ref":"#"}}}}}`, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := runDemo(t, &Request{Messages: say(tt.says), Params: json.RawMessage(`{"response_format":` + tt.format + `}`)})
			if tt.want != "" && run.text != tt.want {
				t.Errorf("answer %s, want %s", run.text, tt.want)
			}
			if tt.name != "text is text" && !json.Valid([]byte(run.text)) {
				t.Errorf("not JSON: %.200s", run.text)
			}
		})
	}
}

func FuzzDemo(f *testing.F) {
	f.Add("call f for Bern", "hi", `{"tools":[{"function":{"name":"f","parameters":{"properties":{"a":{}},"required":["a","b"]}}}]}`)
	f.Add("what is 2^(3-1)/0", "my name is Ada", `{"max_tokens":3,"stop":["a","b"]}`)
	f.Add("summarise", "\xff\xed\xa0\xbd", `{"response_format":{"type":"json_schema","json_schema":{"schema":{"allOf":[{"$ref":"#"}]}}}}`)
	f.Fuzz(func(t *testing.T, says, before, params string) {
		req := &Request{Messages: say(before, "ok", says), Params: json.RawMessage(params), Whole: true}
		run, err := tryDemo(t, context.Background(), NewDemo(DemoOptions{}), req)
		if err != nil {
			if run.deltas > 0 {
				t.Fatalf("%v after %d deltas", err, run.deltas)
			}
			return
		}
		if !json.Valid(run.res.Completion) || run.res.FinishReason == "" {
			t.Fatalf("result %+v", run.res)
		}
		for _, call := range messageToolCalls(run.msg) {
			if !json.Valid([]byte(call.Arguments)) {
				t.Fatalf("arguments %s", call.Arguments)
			}
		}
	})
}

func BenchmarkDemoStory(b *testing.B) {
	d := NewDemo(DemoOptions{})
	req := &Request{Messages: say("write a long story")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Run(context.Background(), req, func([]Delta) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTheDemoIsNotHeldUpByALongMessage(t *testing.T) {
	long := strings.Repeat("1+ hello my name is ", 1<<19) // 10 MiB
	talk := newDemoTalk(say(long))
	if len(talk.last) > maxAsked || len(talk.user[0]) > maxAsked {
		t.Errorf("%d bytes are looked at", len(talk.last))
	}
	if _, answer := newDemoTalk(say("Repeat after me: " + long)).match(); len(answer.text) < len(long)-1 {
		t.Errorf("%d bytes are repeated", len(answer.text))
	}
}
