package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

const plainChunk = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m-1","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}`

func TestChunkIsTheUpstreamsOwnBytes(t *testing.T) {
	tests := []struct{ name, in, chunk, content string }{
		{"as OpenAI sends it", plainChunk,
			`"model":"m-1","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]`, `" token"`},
		{"dropped members first, last and between",
			`{"usage":null,"model":"m","id":"1","choices":[{"delta":{"content":"a"}}],"created":1,"x_y":{"z":[1,2]},"object":"o"}`,
			`"model":"m","choices":[{"delta":{"content":"a"}}],"x_y":{"z":[1,2]}`, `"a"`},
		{"white space is kept as it is", `{"id": "1", "model": "m",  "choices": [ {"delta": {"content": "a"} } ] }`,
			`"model": "m",  "choices": [ {"delta": {"content": "a"} } ]`, `"a"`},
		{"line breaks become spaces", "{\n\"model\":\r\n\"m\",\n\"choices\":[{\"delta\":\n{\"content\":\"a\\n\"}}]\n}",
			`"model":  "m", "choices":[{"delta": {"content":"a\n"}}]`, `"a\n"`},
		{"escapes and unknown fields stay", `{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"\u00e9\"\\","reasoning_content":"r","tool_calls":[{"index":0}],"x":1e400},"logprobs":{"content":[]}}],"service_tier":"default"}`,
			`"choices":[{"index":0,"delta":{"role":"assistant","content":"\u00e9\"\\","reasoning_content":"r","tool_calls":[{"index":0}],"x":1e400},"logprobs":{"content":[]}}],"service_tier":"default"`, `"\u00e9\"\\"`},
		{"names are compared unescaped", `{"\u0069d":"1","choices":[{"delta":{"c\u006fntent":"a"}}]}`,
			`"choices":[{"delta":{"c\u006fntent":"a"}}]`, `"a"`},
		{"braces in strings", `{"id":"}],","model":"m\"}{","choices":[{"index":0,"delta":{"content":"]}"}}]}`,
			`"model":"m\"}{","choices":[{"index":0,"delta":{"content":"]}"}}]`, `"]}"`},
		{"an empty content is none", `{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
			`"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]`, ""},
		{"a null content is none", `{"choices":[{"index":0,"delta":{"content":null}}]}`,
			`"choices":[{"index":0,"delta":{"content":null}}]`, ""},
		{"a content in parts is none", `{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"}]}}]}`,
			`"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"}]}}]`, ""},
		{"another choice's content is not the first's", `{"choices":[{"index":1,"delta":{"content":"b"}}]}`,
			`"choices":[{"index":1,"delta":{"content":"b"}}]`, ""},
		{"the first choice is found by its index", `{"choices":[{"index":1,"delta":{"content":"b"}},{"delta":{"content":"a"},"index":0}]}`,
			`"choices":[{"index":1,"delta":{"content":"b"}},{"delta":{"content":"a"},"index":0}]`, `"a"`},
		{"choices moved over a dropped member", `{"model":"m","id":"long enough to matter","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{},"z":0}`,
			`"model":"m","choices":[{"index":0,"delta":{"content":"a"}}],"z":0`, `"a"`},
		{"no choices, but something else", `{"id":"","choices":[],"prompt_filter_results":[{}]}`,
			`"choices":[],"prompt_filter_results":[{}]`, ""},
		{"usage told along the way is dropped", `{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"total_tokens":1}}`,
			`"choices":[{"index":0,"delta":{"content":"a"}}]`, `"a"`},
		{"an error that is null", `{"error":null,"choices":[{"index":0,"delta":{"content":"a"}}]}`,
			`"error":null,"choices":[{"index":0,"delta":{"content":"a"}}]`, `"a"`},
		{"invalid UTF-8", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\xff\xfeb\"}}]}",
			"\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\uFFFDb\"}}]", "\"a\uFFFDb\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p chunkParser
			d, ok, failure, malformed := p.parse([]byte(tt.in))
			if !ok || failure != nil || malformed {
				t.Fatalf("it is no delta: ok %v, failure %s, malformed %v", ok, failure, malformed)
			}
			if string(d.Chunk) != tt.chunk || string(d.Content) != tt.content {
				t.Errorf("chunk   %s\nwant    %s\ncontent %s\nwant    %s", d.Chunk, tt.chunk, d.Content, tt.content)
			}
			checkDelta(t, d)
		})
	}
}

func TestChunksThatAreNoDelta(t *testing.T) {
	for _, in := range []string{
		`{"id":"1","object":"o","created":1,"model":"m","choices":[],"usage":{"total_tokens":3}}`,
		`{"model":"m","usage":{"total_tokens":3}}`,
		`{"id":"1","object":"o","created":1}`,
		`{}`,
	} {
		var p chunkParser
		if d, ok, failure, malformed := p.parse([]byte(in)); ok || failure != nil || malformed {
			t.Errorf("%s: delta %s, failure %s, malformed %v", in, d.Chunk, failure, malformed)
		}
	}
}

func TestChunksThatAreMalformed(t *testing.T) {
	for _, in := range []string{
		``, `x`, `[]`, `"a"`, `{`, `{"choices":[{]}`, `{"a":1}}`, `{"a":1} x`, `{"choices":[{"delta":{"content":"a}}]}`,
		"{\"choices\":[{\"delta\":{\"content\":\"a\nb\"}}]}", `{"choices":` + strings.Repeat("[", 1000),
		"{\"a\":[1\n2]}",
	} {
		var p chunkParser
		if d, ok, failure, malformed := p.parse([]byte(in)); ok || failure != nil || !malformed {
			t.Errorf("%.40s: delta %s, failure %s, malformed %v", in, d.Chunk, failure, malformed)
		}
	}
}

func TestChunkParserRemembersTheResult(t *testing.T) {
	var p chunkParser
	for _, in := range []string{
		`{"model":"m-\u0031","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}`,
		`{"model":"m-1","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"total_tokens":1}}`,
		`{"choices":[],"usage":{"total_tokens":2, "x":{}}}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":null}`,
	} {
		p.parse([]byte(in))
	}
	r := p.result()
	if r.Model != "m-1" || r.FinishReason != "length" || string(r.Usage) != `{"total_tokens":2, "x":{}}` {
		t.Fatalf("got %+v with usage %s", r, r.Usage)
	}
}

func FuzzOpenAIChunk(f *testing.F) {
	f.Add([]byte(plainChunk))
	f.Add([]byte(`{"model":"m","id":"1","choices":[{"index":1,"delta":{"content":"b"}},{"delta":{"content":"a\n"},"index":0,"finish_reason":"stop"}],"usage":{"a":1},"z":[]}`))
	f.Add([]byte("{\n\"\\u0069d\":1 ,\r \"choices\" : [ {\"delta\":{\"content\":\"\xff\"}} ] }"))
	f.Add([]byte(`{"error":{"message":"x"},"choices":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		valid := utf8.Valid(data) && json.Valid(data) && bytes.TrimLeft(data, " \t\r\n")[0] == '{' && bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) < maxJSONDepth
		var p chunkParser
		d, ok, failure, malformed := p.parse(bytes.Clone(data))
		if malformed && (valid || ok || failure != nil) {
			t.Fatalf("%q is called malformed", data)
		}
		if failure != nil && !json.Valid(failure) {
			t.Fatalf("%q: the failure %q is no JSON", data, failure)
		}
		if ok {
			checkDelta(t, d)
		}
		if u := p.result().Usage; u != nil && !json.Valid(u) {
			t.Fatalf("%q: the usage %q is no JSON", data, u)
		}
	})
}

// checkDelta holds d to what Delta promises.
func checkDelta(t *testing.T, d Delta) {
	t.Helper()
	if object := "{" + string(d.Chunk) + "}"; !json.Valid([]byte(object)) || len(d.Chunk) == 0 {
		t.Fatalf("the chunk is not the inside of a JSON object: %q", d.Chunk)
	}
	if !utf8.Valid(d.Chunk) || bytes.ContainsAny(d.Chunk, "\r\n") {
		t.Fatalf("the chunk is not one line of UTF-8: %q", d.Chunk)
	}
	if d.Content == nil {
		return
	}
	var text string
	if err := json.Unmarshal(d.Content, &text); err != nil || text == "" || d.Content[0] != '"' {
		t.Fatalf("the content is no string with something in it: %q", d.Content)
	}
	if !bytes.Contains(d.Chunk, d.Content) {
		t.Fatalf("the content %q is not in the chunk %q", d.Content, d.Chunk)
	}
}

func TestStreamAllocatesNothingPerChunk(t *testing.T) {
	allocs := func(chunks int) float64 {
		stream := testStream(chunks)
		return testing.AllocsPerRun(5, func() { runStream(t, stream) })
	}
	if short, long := allocs(500), allocs(5000); long > short+10 {
		t.Errorf("500 chunks take %.0f allocations, 5000 take %.0f", short, long)
	}
}

func BenchmarkChunkParse(b *testing.B) {
	var p chunkParser
	data := make([]byte, len(plainChunk))
	b.SetBytes(int64(len(plainChunk)))
	b.ReportAllocs()
	for b.Loop() {
		copy(data, plainChunk)
		if _, ok, _, _ := p.parse(data); !ok {
			b.Fatal("no delta")
		}
	}
}

// BenchmarkOpenAIStream is a stream of 1000 chunks, from its bytes to emit.
func BenchmarkOpenAIStream(b *testing.B) {
	stream := testStream(1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		runStream(b, stream)
	}
}

func testStream(chunks int) []byte {
	stream := strings.Repeat("data: "+plainChunk+"\n\n", chunks-1)
	return []byte(stream + `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
}

// runStream reads a stream as it comes off a socket, in pieces of a few chunks.
func runStream(tb testing.TB, stream []byte) {
	o := OpenAI{up: &upstream{}}
	resp := &http.Response{Header: http.Header{"Content-Type": {sseType}}, Body: io.NopCloser(&pieces{data: stream, sizes: []int{700, 250, 1900}})}
	content := 0
	result, err := o.stream(resp, func(deltas []Delta) {
		for _, d := range deltas {
			content += len(d.Content)
		}
	})
	if err != nil || result.FinishReason != "stop" || content == 0 {
		tb.Fatalf("%+v (%v), %d bytes of content", result, err, content)
	}
}
