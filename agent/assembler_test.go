package agent

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func textDelta(literal string) Delta {
	return Delta{
		Chunk:   []byte(`"model":"m","choices":[{"index":0,"delta":{"content":` + literal + `},"finish_reason":null}]`),
		Content: []byte(literal),
	}
}

func choiceDelta(delta string) Delta {
	return Delta{Chunk: []byte(`"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]`)}
}

// canonical makes JSON comparable: members in order of name.
func canonical(t testing.TB, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, data)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAssemblerMessage(t *testing.T) {
	content := func(literal, rest string) Delta {
		return Delta{
			Chunk:   []byte(`"choices":[{"index":0,"delta":{"content":` + literal + `}` + rest + `}]`),
			Content: []byte(literal),
		}
	}
	tests := []struct {
		name   string
		deltas []Delta
		want   string
	}{
		{"nothing at all", nil, `{"role":"assistant","content":""}`},
		{"text only has no raw", []Delta{
			choiceDelta(`{"role":"assistant","content":""}`), textDelta(`"Hel"`), textDelta(`"lo\n\"you\""`),
		}, `{"role":"assistant","content":"Hello\n\"you\""}`},
		{"null and empty members say nothing", []Delta{
			choiceDelta(`{"role":"assistant","content":null,"refusal":null,"tool_calls":[],"reasoning_content":"","audio":{}}`),
			textDelta(`"a"`),
		}, `{"role":"assistant","content":"a"}`},
		{"a character split over two deltas heals", []Delta{
			textDelta(`"x\ud83d"`), textDelta(`"\ude00y"`),
		}, `{"role":"assistant","content":"x😀y"}`},
		{"half a character that stays alone is not shown", []Delta{
			textDelta(`"x\ud83d"`),
		}, `{"role":"assistant","content":"x"}`},
		{"an escaped backslash before ud83d is no character", []Delta{
			textDelta(`"\\ud83d"`),
		}, `{"role":"assistant","content":"\\ud83d"}`},
		{"only choice 0 counts", []Delta{
			textDelta(`"a"`),
			{Chunk: []byte(`"choices":[{"index":1,"delta":{"content":"b","refusal":"r"},"finish_reason":"stop"}]`)},
		}, `{"role":"assistant","content":"a"}`},
		{"choice 0 may stand second in its chunk", []Delta{
			{Chunk: []byte(`"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"refusal":"r"}}]`)},
		}, `{"role":"assistant","content":null,"refusal":"r"}`},
		{"a tool call in pieces", []Delta{
			choiceDelta(`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}`),
			choiceDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}`),
			choiceDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"\"Bern\"}"}}]}`),
		}, `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Bern\"}"}}]}`},
		{"a name in pieces, and an id repeated", []Delta{
			choiceDelta(`{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"get_","arguments":""}}]}`),
			choiceDelta(`{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"time","arguments":"{}"}}]}`),
		}, `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"get_time","arguments":"{}"}}]}`},
		{"calls are told apart by index, in any order", []Delta{
			choiceDelta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"1"}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"2"}}]}`),
			choiceDelta(`{"tool_calls":[{"index":1,"function":{"arguments":"3"}}]}`),
			choiceDelta(`{"tool_calls":[{"index":0,"function":{"arguments":"4"}}]}`),
		}, `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"14"}},{"id":"b","type":"function","function":{"name":"g","arguments":"23"}}]}`},
		{"calls all numbered 0 are told apart by id", []Delta{
			choiceDelta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`),
			choiceDelta(`{"tool_calls":[{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]}`),
		}, `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]}`},
		{"calls without index and type", []Delta{
			choiceDelta(`{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}`),
			choiceDelta(`{"tool_calls":[{"function":{"arguments":"}"}}]}`),
			choiceDelta(`{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"{}"}}]}`),
		}, `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`},
		{"text and a call", []Delta{
			textDelta(`"Let me look."`),
			choiceDelta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`),
		}, `{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`},
		{"text and another field in one delta", []Delta{
			content(`"a"`, ``),
			{Chunk: []byte(`"choices":[{"index":0,"delta":{"content":"b","annotations":[{"u":1}]}}]`), Content: []byte(`"b"`)},
		}, `{"role":"assistant","content":"ab","annotations":[{"u":1}]}`},
		{"refusal and reasoning are appended", []Delta{
			choiceDelta(`{"reasoning_content":"th\ud83d"}`), choiceDelta(`{"reasoning_content":"\ude00ink"}`),
			choiceDelta(`{"refusal":"N"}`), choiceDelta(`{"refusal":"o"}`),
		}, `{"role":"assistant","content":null,"reasoning_content":"th😀ink","refusal":"No"}`},
		{"unknown members: strings, arrays, objects, others", []Delta{
			choiceDelta(`{"s":"a","l":[1],"o":{"s":"x","n":1,"in":{"deep":"1"}},"n":1,"b":true}`),
			choiceDelta(`{"s":"b","l":[{"k":[2]},3],"o":{"s":"y","n":2,"in":{"deep":"2"}},"n":2,"b":false}`),
		}, `{"role":"assistant","content":null,"s":"ab","l":[1,{"k":[2]},3],"o":{"s":"xy","n":2,"in":{"deep":"12"}},"n":2,"b":false}`},
		{"audio keeps its id", []Delta{
			choiceDelta(`{"audio":{"id":"audio_1","transcript":"Hel"}}`),
			choiceDelta(`{"audio":{"id":"audio_1","transcript":"lo","data":"AA=="}}`),
		}, `{"role":"assistant","content":null,"audio":{"id":"audio_1","transcript":"Hello","data":"AA=="}}`},
		{"lists that are empty but for white space", []Delta{
			choiceDelta(`{"l":[ ]}`), choiceDelta(`{"l":[ 1 ]}`), choiceDelta("{\"l\":[\t]}"), choiceDelta(`{"l":[2 ]}`),
		}, `{"role":"assistant","content":null,"l":[1,2]}`},
		{"a member that changes its kind is replaced", []Delta{
			choiceDelta(`{"x":"a"}`), choiceDelta(`{"x":[1]}`),
		}, `{"role":"assistant","content":null,"x":[1]}`},
		{"content in parts", []Delta{
			choiceDelta(`{"content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}]}`),
		}, `{"role":"assistant","content":"a\nb"}`},
		{"garbage does no harm", []Delta{
			{}, {Chunk: []byte(`nonsense`)}, {Chunk: []byte(`"choices":[{"index":0,"delta":{"x":nonsense,"y":[}],"z":`)},
			{Chunk: []byte(`"choices":7`), Content: []byte(`no literal`)}, textDelta(`"a"`),
		}, `{"role":"assistant","content":"a"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a Assembler
			for _, d := range tt.deltas {
				a.Add(d)
			}
			m := a.Message()
			got, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if canonical(t, got) != canonical(t, []byte(tt.want)) {
				t.Errorf("message\n got %s\nwant %s", got, tt.want)
			}
			var back Message
			if err := json.Unmarshal([]byte(tt.want), &back); err != nil {
				t.Fatal(err)
			}
			if (m.Raw != nil) != (back.Raw != nil) || m.Text != back.Text || m.Role != "assistant" {
				t.Errorf("got raw %v text %q, want raw %v text %q", m.Raw != nil, m.Text, back.Raw != nil, back.Text)
			}
			if a.Text() != m.Text || a.Len() != len(m.Text) {
				t.Errorf("Text %q, Len %d, message's text %q", a.Text(), a.Len(), m.Text)
			}
		})
	}
}

func TestAssemblerFinishReason(t *testing.T) {
	var a Assembler
	a.Add(textDelta(`"a"`))
	if got := a.FinishReason(); got != "" {
		t.Errorf("before the end: %q", got)
	}
	a.Add(Delta{
		Chunk:   []byte(`"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}]`),
		Content: []byte(`"b"`),
	})
	if a.FinishReason() != "length" || a.Text() != "ab" {
		t.Errorf("got %q, text %q", a.FinishReason(), a.Text())
	}
	a.Reset()
	if m := a.Message(); a.FinishReason() != "" || m.Text != "" || m.Raw != nil || a.Len() != 0 {
		t.Errorf("after Reset: %q %+v", a.FinishReason(), m)
	}
}

// A chunk that looks like the plain ones before it but brings more must not be
// taken for one of them.
func TestAssemblerFrame(t *testing.T) {
	more := []string{
		`"model":"m","choices":[{"index":0,"delta":{"content":"a","refusal":"no"},"finish_reason":null}]`,
		`"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]`,
		`"model":"m","choices":[{"index":0,"delta":{"refusal":"no","content":"a"},"finish_reason":null}]`,
		`"model":"n","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]`,
	}
	for _, chunk := range more {
		var a Assembler
		a.Add(textDelta(`"a"`))
		a.Add(textDelta(`"b"`))
		if !a.frame.holds(textDelta(`"c"`)) {
			t.Fatal("the frame of plain chunks was not learnt")
		}
		a.Add(Delta{Chunk: []byte(chunk), Content: []byte(`"a"`)})
		if a.Message().Raw == nil && a.FinishReason() == "" {
			t.Errorf("lost what else is in %s", chunk)
		}
		if a.Text() != "aba" {
			t.Errorf("text %q after %s", a.Text(), chunk)
		}
	}
	var a Assembler
	a.Add(textDelta(`"a"`))
	padded := textDelta(`"b"`)
	padded.Chunk = append(padded.Chunk, `,"obfuscation":"x7"`...)
	if !a.frame.holds(padded) {
		t.Error("members after choices should not matter")
	}
}

func TestAssemblerMaxBytes(t *testing.T) {
	a := Assembler{MaxBytes: 1000}
	for range 100 {
		a.Add(textDelta(`"0123456789012345678"`))
	}
	a.Add(textDelta(`"."`))
	if !a.Truncated() || a.Len() != 52*19 {
		t.Errorf("truncated %v at %d bytes", a.Truncated(), a.Len())
	}
	a.Reset()
	if a.Truncated() {
		t.Error("still truncated after Reset")
	}
	for range 100 {
		a.Add(choiceDelta(`{"reasoning_content":"01234567890123456789","tool_calls":[{"index":0,"function":{"arguments":"0123456789"}}]}`))
	}
	if m := a.Message(); !a.Truncated() || len(m.Raw) > 1200 || !json.Valid(m.Raw) {
		t.Errorf("truncated %v, raw of %d bytes", a.Truncated(), len(m.Raw))
	}

	var many Assembler
	for i := range 2 * maxAssembledCalls {
		call, _ := json.Marshal(map[string]any{"tool_calls": []any{map[string]any{"index": i, "function": map[string]string{"name": "f"}}}})
		many.Add(choiceDelta(string(call)))
	}
	if !many.Truncated() || len(many.calls) != maxAssembledCalls {
		t.Errorf("truncated %v with %d calls", many.Truncated(), len(many.calls))
	}
}

// literals splits text into string literals at random places: between bytes of
// what is escaped, between characters, and inside surrogate pairs.
func literals(r *rand.Rand, text string) []string {
	var out []string
	piece := []byte{'"'}
	flush := func() {
		out = append(out, string(append(piece, '"')))
		piece = []byte{'"'}
	}
	unit := func(u rune) {
		const hex = "0123456789abcdef"
		piece = append(piece, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	for _, c := range text {
		if r.IntN(3) == 0 {
			flush()
		}
		switch hi, lo := utf16.EncodeRune(c); {
		case c > 0xFFFF && r.IntN(2) == 0:
			unit(hi)
			if r.IntN(2) == 0 {
				flush()
			}
			unit(lo)
		case c <= 0xFFFF && r.IntN(4) == 0:
			unit(c)
		default:
			s := appendJSONString(nil, string(c))
			piece = append(piece, s[1:len(s)-1]...)
		}
	}
	flush()
	return out
}

func TestAssemblerAnySplit(t *testing.T) {
	alphabet := []rune("ab \"\\\n\t/\x00\x1fäß€漢😀🏽\u2028\uFFFD<>&ud83d")
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := make([]rune, r.IntN(200))
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		var a Assembler
		for _, literal := range literals(r, string(text)) {
			if !json.Valid([]byte(literal)) {
				t.Fatalf("the test made %s", literal)
			}
			a.Add(textDelta(literal))
			if r.IntN(10) == 0 && !strings.HasPrefix(string(text), a.Text()) {
				t.Fatalf("seed %d: %q is not the beginning of %q", seed, a.Text(), string(text))
			}
		}
		if a.Text() != string(text) {
			t.Fatalf("seed %d:\n got %q\nwant %q", seed, a.Text(), string(text))
		}
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte(`"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]`), []byte(`"a"`))
	f.Add([]byte(`"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}}]`), []byte(nil))
	f.Add([]byte(`"choices":[{"delta":{"a":[1],"b":{"c":"\ud83d"},"d":1e5,"e":"\q"}}]`), []byte(`"\ud83d"`))
	f.Add([]byte(`{"choices":[{"index":0,"delta":{"content":[{"text":"x"}]},"finish_reason":"stop"}]}`), []byte(nil))
	f.Fuzz(func(t *testing.T, chunk, content []byte) {
		a := Assembler{MaxBytes: 1 << 16}
		for range 3 {
			a.Add(Delta{Chunk: chunk, Content: content})
			a.Add(Delta{Chunk: chunk})
			a.Add(textDelta(`"."`))
		}
		m := a.Message()
		out, err := m.MarshalJSON()
		if err != nil || !json.Valid(out) || !utf8.ValidString(m.Text) {
			t.Fatalf("message %s, text %q, error %v", out, m.Text, err)
		}
		if whole := a.completion("m", nil); !json.Valid(whole) {
			t.Fatalf("completion %s", whole)
		}
	})
}

// FuzzJSONScanner holds the scanner to encoding/json on what is well formed.
func FuzzJSONScanner(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[1,{"c":"\"}"}],"d" : { "e" : null } , "f":"\\"}`))
	f.Add([]byte("{\"a\":\t-1.5e+3\n}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var want map[string]json.RawMessage
		// What is no UTF-8 may be read as more or as fewer replacement characters.
		valid := utf8.Valid(data) && json.Unmarshal(data, &want) == nil && want != nil
		got := map[string][]byte{}
		for s := membersOf(data); s.next(); {
			if !bytes.Equal(data[offsetIn(data, s.value):][:len(s.value)], s.value) {
				t.Fatalf("value %s is not where offsetIn says", s.value)
			}
			got[unescape(s.name)] = s.value
		}
		if !valid {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d: %s", len(got), len(want), data)
		}
		for name, value := range want {
			if string(got[name]) != string(value) {
				t.Fatalf("%q: got %s, want %s", name, got[name], value)
			}
		}
	})
}

func BenchmarkAssemblerText(b *testing.B) {
	d := Delta{
		Chunk:   []byte(`"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_a1b2c3","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]`),
		Content: []byte(`" token"`),
	}
	var a Assembler
	a.Add(d)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100_000 == 0 {
			a.Reset()
		}
		a.Add(d)
	}
}

func BenchmarkAssemblerReasoning(b *testing.B) {
	d := choiceDelta(`{"role":"assistant","content":null,"reasoning_content":" token"}`)
	var a Assembler
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100_000 == 0 {
			a.Reset()
		}
		a.Add(d)
	}
}
