package agent

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestOpenAIRequests(t *testing.T) {
	raw := json.RawMessage(`{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{ }"}}],"x":"<&>"}`)
	messages := []Message{{Role: "user", Text: "say \"hi\"\n<é>"}, {Role: "assistant", Raw: raw}}
	params := json.RawMessage(` { "temperature": 1.0, "x_vendor":{"a" :[1e400,"\u00e9"]} } `)
	const wantMessages = `"messages":[{"role":"user","content":"say \"hi\"\n<é>"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{ }"}}],"x":"<&>"}]`
	const wantParams = `"temperature": 1.0, "x_vendor":{"a" :[1e400,"\u00e9"]}`
	tests := []struct {
		name    string
		options OpenAIOptions
		req     Request
		want    string
	}{
		{"a stream", OpenAIOptions{}, Request{Model: "m/1", Messages: messages, Params: params},
			`{"model":"m/1",` + wantMessages + `,"stream":true,"stream_options":{"include_usage":true},` + wantParams + `}`},
		{"a stream without usage", OpenAIOptions{NoStreamUsage: true}, Request{Model: "m", Messages: messages},
			`{"model":"m",` + wantMessages + `,"stream":true}`},
		{"whole", OpenAIOptions{}, Request{Model: "m", Messages: messages, Params: params, Whole: true},
			`{"model":"m",` + wantMessages + `,"stream":false,` + wantParams + `}`},
		{"the default model, empty parameters", OpenAIOptions{DefaultModel: "d"}, Request{Params: json.RawMessage("{}"), Whole: true},
			`{"model":"d","messages":[],"stream":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization") + " " + string(body)
				w.WriteHeader(400)
			})
			tt.options.Name, tt.options.BaseURL, tt.options.APIKey = "test", server+"/v1/", testKey
			o := NewOpenAI(tt.options)
			defer o.Close()
			run(t, o, &tt.req)
			if got, want := <-got, "POST /v1/chat/completions application/json Bearer "+testKey+" "+tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !json.Valid([]byte(tt.want)) {
				t.Error("the test's own body is no JSON")
			}
		})
	}
}

func TestOpenAIRefusesParametersThatAreNoObject(t *testing.T) {
	o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: "http://192.0.2.1"})
	_, _, err := run(t, o, &Request{Model: "m", Params: json.RawMessage(`[]`)})
	if e := asError(t, err); e.Kind != KindInvalid {
		t.Errorf("got %+v, want KindInvalid", e)
	}
}

func TestOpenAIStreamPassesEverythingOn(t *testing.T) {
	chunks := []string{
		`"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null}}],"system_fingerprint":"fp"`,
		`"model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]`,
		`"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}}],"x_groq":{"id":"q"}`,
		`"model":"m","choices":[{"index":0,"delta":{"content":"\ud83d"},"logprobs":{"content":[{"token":"a","logprob":-0.10}]}}]`,
		`"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"service_tier":"default"`,
	}
	stream := ""
	for _, c := range chunks {
		stream += `data: {"id":"1","object":"chat.completion.chunk","created":1,` + c + ",\"usage\":null}\n\n"
	}
	stream += `data: {"id":"1","choices":[],"usage":{"prompt_tokens":1,"x":[]}}` + "\n\ndata: [DONE]\n\n"
	_, url := serve(t, sends(200, sseType, stream))
	var got []string
	result, err := testOpenAI(t, url, Timeouts{}, nil).Run(t.Context(), &Request{Model: "m"}, func(deltas []Delta) {
		for _, d := range deltas {
			got = append(got, string(d.Chunk))
		}
	})
	if err != nil || result.FinishReason != "tool_calls" || result.Model != "m" || string(result.Usage) != `{"prompt_tokens":1,"x":[]}` || result.Completion != nil {
		t.Errorf("got %+v with usage %s (%v)", result, result.Usage, err)
	}
	if strings.Join(got, "\n") != strings.Join(chunks, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(chunks, "\n"))
	}
}

const wholeCompletion = `{"id":"c","object":"chat.completion","created":1,"model":"m-1","service_tier":"default",
 "choices":[{"index":0,"message":{"role":"assistant","content":"Hi \u00e9","refusal":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"u","index":9}],"x":1e400},
 "logprobs":null,"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"Ho"},"finish_reason":"length"}],
 "usage":{"total_tokens":7}}`

const (
	wholeContent = `"model":"m-1","service_tier":"default","choices":[` +
		`{"index":0,"delta":{"role":"assistant","content":"Hi \u00e9","refusal":null,"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"u"}],"x":1e400},"logprobs":null,"finish_reason":null},` +
		`{"index":1,"delta":{"role":"assistant","content":"Ho"},"finish_reason":null}]`
	wholeFinish = `"model":"m-1","service_tier":"default","choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"length"}]`
)

func TestOpenAIWholeAnswers(t *testing.T) {
	tests := []struct {
		name        string
		whole       bool
		contentType string
		chunks      []string
	}{
		{"asked for whole", true, jsonType, []string{wholeContent}},
		{"asked for as a stream", false, "application/json; charset=utf-8", []string{wholeContent, wholeFinish}},
		{"asked for as a stream, without a content type", false, "", []string{wholeContent, wholeFinish}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, sends(200, tt.contentType, "\n"+wholeCompletion+"\n"))
			var got []string
			result, err := testOpenAI(t, url, Timeouts{}, nil).Run(t.Context(), &Request{Model: "m", Whole: tt.whole}, func(deltas []Delta) {
				for i, d := range deltas {
					checkDelta(t, d)
					got = append(got, string(d.Chunk))
					if want := []string{`"Hi \u00e9"`, ""}[i]; string(d.Content) != want {
						t.Errorf("content %s, want %s", d.Content, want)
					}
				}
			})
			if err != nil || result.FinishReason != "stop" || result.Model != "m-1" || string(result.Usage) != `{"total_tokens":7}` {
				t.Errorf("got %+v with usage %s (%v)", result, result.Usage, err)
			}
			if strings.Join(got, "\n") != strings.Join(tt.chunks, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.chunks, "\n"))
			}
			switch want := strings.ReplaceAll(wholeCompletion, "\n", " "); {
			case tt.whole && string(result.Completion) != want:
				t.Errorf("completion %s\nwant       %s", result.Completion, want)
			case !tt.whole && result.Completion != nil:
				t.Error("a stream has a completion")
			}
		})
	}
}

func TestOpenAIWholeFailures(t *testing.T) {
	tests := []struct {
		name, body string
		kind       Kind
	}{
		{"no JSON", `{"choices":[`, KindMalformed},
		{"nothing", ``, KindMalformed},
		{"a list", `[]`, KindMalformed},
		{"no choices", `{"choices":[]}`, KindMalformed},
		{"an error", `{"error":{"message":"boom"}}`, KindCut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, sends(200, jsonType, tt.body))
			_, _, err := run(t, testOpenAI(t, url, Timeouts{}, nil), &Request{Model: "m", Whole: true})
			if e := asError(t, err); e.Kind != tt.kind {
				t.Errorf("got %+v, want %s", e, tt.kind)
			}
		})
	}
}

func TestOpenAIModels(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"as OpenAI lists them", `{"object":"list","data":[{"id":"a","object":"model","created":5,"owned_by":"o"},{"id":"b"}]}`, "a 5 o, b 0 "},
		{"the list alone", ` [{"id":"a","created":1.5}]`, "a 1 "},
		{"odd entries", `{"data":[{"created":1},{"id":"a","created":"soon"},{"id":"b","created":null},{"id":"c","created":1e300},{"id":"d","created":-1}]}`, "a 0 , b 0 , c 0 , d 0 "},
		{"none", `{"data":null}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method+" "+r.URL.Path != "GET /v1/models" || r.Header.Get("Authorization") != "Bearer "+testKey {
					t.Errorf("asked for %s %s", r.Method, r.URL)
				}
				io.WriteString(w, tt.body)
			})
			models, err := testOpenAI(t, server+"/v1", Timeouts{}, nil).Models(t.Context())
			if got := tellModels(models); err != nil || got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
	for _, body := range []string{`{"data":3}`, `[3]`, `<html>`} {
		_, url := serve(t, sends(200, jsonType, body))
		if _, err := testOpenAI(t, url, Timeouts{}, nil).Models(t.Context()); asError(t, err).Kind != KindMalformed {
			t.Errorf("%s: got %v, want KindMalformed", body, err)
		}
	}
}

func TestOpenAIWithoutAModel(t *testing.T) {
	tests := []struct {
		name  string
		list  exchange
		model string
		kind  Kind
	}{
		{"the first of the list", sends(200, jsonType, `{"data":[{"id":"first"},{"id":"second"}]}`), "first", ""},
		{"an empty list", sends(200, jsonType, `{"data":[]}`), "", KindInvalid},
		{"no list", sends(404, "", ""), "", KindInvalid},
		{"a failing server", sends(401, "", ""), "", KindStatus},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var paths []string
			server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				paths = append(paths, r.URL.Path)
				mu.Unlock()
				if r.URL.Path == "/models" {
					tt.list(t, w, r)
					return
				}
				var body struct{ Model string }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Model != tt.model {
					t.Errorf("asked for %q (%v), want %q", body.Model, err, tt.model)
				}
				sends(200, sseType, string(testStream(2)))(t, w, r)
			})
			o := testOpenAI(t, server, Timeouts{}, nil)
			for range 2 {
				_, _, err := run(t, o, &Request{})
				if tt.kind == "" && err != nil {
					t.Fatal(err)
				}
				if tt.kind != "" && asError(t, err).Kind != tt.kind {
					t.Fatalf("got %v, want %s", err, tt.kind)
				}
			}
			if got := strings.Join(paths, " "); tt.kind == "" && got != "/models /chat/completions /chat/completions" {
				t.Errorf("asked for %s: the list's first model was not remembered", got)
			}
		})
	}
}

func FuzzModelLists(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"a","created":1e300,"owned_by":"o"},{"id":"b"}],"has_more":true,"last_id":"b"}`))
	f.Add([]byte(` [{"id":"a","created":"x"}]`))
	f.Add([]byte(`{"models":[{"name":"a","modified_at":"2026-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		transport := roundTrip(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(data)))}
		})
		openAI, anthropic, ollama := NewOpenAI(OpenAIOptions{BaseURL: "http://h"}), NewAnthropic(AnthropicOptions{}), NewOllama(OllamaOptions{BaseURL: "http://h"})
		for _, up := range []*upstream{openAI.up, anthropic.up, ollama.up} {
			up.client.Transport = transport
		}
		for _, lister := range []Lister{openAI, anthropic, ollama} {
			models, err := lister.Models(t.Context())
			if err != nil {
				if asError(t, err).Kind != KindMalformed {
					t.Fatalf("%T: %v", lister, err)
				}
				continue
			}
			for _, m := range models {
				if m.ID == "" || m.Created > maxUnixTime || !utf8.ValidString(m.ID+m.OwnedBy) {
					t.Fatalf("%T lists %+v", lister, m)
				}
			}
		}
	})
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }
