package responses

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/actors"
)

var update = flag.Bool("update", false, "write the golden files")

const turn = "turn_0123456789abcdefghjkmnpq"

// told makes events of a turn: deltas of the first choice, or whole ends.
func told(t testing.TB, background bool, deltas []string, end actors.EventKind, data string) (Settings, []actors.Event) {
	t.Helper()
	request := `{"model":"m","input":"Hi."}`
	if background {
		request = `{"model":"m","input":"Hi.","background":true}`
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(request), &fields); err != nil {
		t.Fatal(err)
	}
	r, err := Parse(fields)
	if err != nil {
		t.Fatal(err)
	}
	events := []actors.Event{{Kind: actors.EventQueued, Turn: turn}, {Kind: actors.EventStarted, Turn: turn}}
	for _, d := range deltas {
		events = append(events, actors.Event{Kind: actors.EventDelta, Turn: turn, Data: []byte(`"model":"m-1","choices":[{"index":0,` + d + `}]`)})
	}
	return r.Settings, append(events, actors.Event{Kind: end, Turn: turn, Data: []byte(data)})
}

func tell(s Settings, events []actors.Event, after int64) []byte {
	created := time.Unix(1767225600, 0)
	b := NewBuilder(New(Ref{Turn: turn, Session: "conv_x", Place: 41}.ID(), created, s), turn, after)
	var out []byte
	for i := range events {
		out, _ = b.Add(out, &events[i])
	}
	return out
}

const usage = `"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}`

var stories = []struct {
	name       string
	background bool
	deltas     []string
	end        actors.EventKind
	data       string
}{
	{"text", false, []string{`"delta":{"role":"assistant","content":"Hel"}`, `"delta":{"content":"lo \ud83d"}`, `"delta":{"content":"\ude00"},"finish_reason":"stop"`},
		actors.EventCompleted, `{"finish_reason":"stop","model":"m-1",` + usage + `}`},
	{"reasoning", false, []string{`"delta":{"reasoning_content":"Six by "}`, `"delta":{"reasoning_content":"seven."}`, `"delta":{"content":"42"}`},
		actors.EventCompleted, `{"finish_reason":"stop","model":"m-1"}`},
	{"calls", false, []string{
		`"delta":{"content":"Let me see."}`,
		`"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"weather","arguments":""}}]}`,
		`"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}`,
		`"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]}`,
		`"delta":{"tool_calls":[{"index":1,"id":"call_2","function":{"name":"weather","arguments":"{}"}}]}`,
	}, actors.EventCompleted, `{"finish_reason":"tool_calls","model":"m-1"}`},
	{"interleaved_calls", false, []string{
		`"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"a","arguments":"{\"x\":"}}]}`,
		`"delta":{"tool_calls":[{"index":1,"id":"call_2","function":{"name":"b","arguments":"{}"}}]}`,
		`"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`,
	}, actors.EventCompleted, `{"finish_reason":"tool_calls"}`},
	{"refusal", false, []string{`"delta":{"refusal":"No."}`}, actors.EventCompleted, `{"finish_reason":"stop"}`},
	{"logprobs", false, []string{`"delta":{"content":"A"},"logprobs":{"content":[{"token":"A","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"B","logprob":-1,"bytes":[66]}]}]}`},
		actors.EventCompleted, `{"finish_reason":"stop"}`},
	{"length", false, []string{`"delta":{"content":"One"}`}, actors.EventCompleted, `{"finish_reason":"length"}`},
	{"failure", false, []string{`"delta":{"content":"One"}`}, actors.EventFailed, `{"failure":{"kind":"cut","message":"provider mock: the answer broke off"}}`},
	{"rate_limited", true, nil, actors.EventFailed, `{"failure":{"kind":"status","status":429,"message":"provider mock: Slow down."}}`},
	{"cancelled", true, []string{`"delta":{"content":"One"}`}, actors.EventInterrupted, `{"reason":"cancelled"}`},
	{"crashed", true, []string{`"delta":{"content":"One"}`, `"delta":{"content":" two"}`}, actors.EventInterrupted, `{"reason":"gateway_restarted"}`},
}

// TestTheEventsOfAResponse holds whole streams. test/conformance holds the same
// files against the types of OpenAI's client.
func TestTheEventsOfAResponse(t *testing.T) {
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			s, events := told(t, story.background, story.deltas, story.end, story.data)
			got := tell(s, events, -1)
			path := filepath.Join("testdata", story.name+".sse")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the stream is\n%s\nwant\n%s", got, want)
			}
			if story.name == "crashed" {
				return
			}
			frames := strings.SplitAfter(strings.TrimSuffix(string(want), "\n\n"), "\n\n")
			for after := range frames {
				if got, want := string(tell(s, events, int64(after))), strings.Join(frames[after+1:], ""); strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("past %d the stream is\n%s\nwant\n%s", after, got, want)
				}
			}
		})
	}
}

func numbersOf(t testing.TB, stream []byte) (numbers []int64, types []string) {
	t.Helper()
	for line := range strings.Lines(string(stream)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e struct {
			Type   string
			Number int64 `json:"sequence_number"`
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		numbers, types = append(numbers, e.Number), append(types, e.Type)
	}
	return numbers, types
}

// A client may have seen more than a crash has left. It is told the end all the
// same, under numbers that follow the last one it knows.
func TestTheEndOfACrashedResponseIsNotMissed(t *testing.T) {
	story := stories[len(stories)-1]
	s, events := told(t, story.background, story.deltas, story.end, story.data)
	numbers, types := numbersOf(t, tell(s, events, 99))
	if want := []int64{100, 101, 102, 103}; !slices.Equal(numbers, want) {
		t.Errorf("the numbers are %v, want %v", numbers, want)
	}
	if types[len(types)-1] != "response.incomplete" {
		t.Errorf("the events are %v", types)
	}
}

func FuzzBuilder(f *testing.F) {
	for _, story := range stories {
		f.Add(strings.Join(story.deltas, "\n"), story.data, uint8(story.end))
	}
	f.Fuzz(func(t *testing.T, deltas, data string, end uint8) {
		b := NewBuilder(New(Ref{Turn: turn}.ID(), time.Unix(0, 0), Settings{}), turn, -1)
		var out []byte
		for delta := range strings.SplitSeq(deltas, "\n") {
			chunk := []byte(`"choices":[{"index":0,` + delta + `}]`)
			if !json.Valid(append(append([]byte{'{'}, chunk...), '}')) {
				continue // what an agent never gives
			}
			out, _ = b.Add(out, &actors.Event{Kind: actors.EventDelta, Turn: turn, Data: chunk})
		}
		out, last := b.Add(out, &actors.Event{Kind: actors.EventMerged + actors.EventKind(end%4), Turn: turn, Data: []byte(data)})
		if !last {
			t.Fatal("the end is none")
		}
		numbers, _ := numbersOf(t, out)
		for i, n := range numbers {
			if n != int64(i) {
				t.Fatalf("the numbers are %v", numbers)
			}
		}
	})
}
