package actors

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"agentzero/agent"
	"agentzero/store"
)

// callingAgent thinks, speaks and calls two tools.
var callingAgent = agentFunc(func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	emit([]agent.Delta{{Chunk: []byte(`"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm.","content":"See:","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]`)}})
	return agent.Result{FinishReason: "tool_calls"}, nil
})

// items puts a conversation in words: of answers the parts that are left.
func items(t *testing.T, s *System, key Key) (out []string) {
	t.Helper()
	c, err := s.Messages(key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Items {
		it := &c.Items[i]
		if it.Message.Role == "assistant" {
			out = append(out, strings.Join(it.Parts(), "+"))
		} else {
			out = append(out, it.Message.Text)
		}
	}
	return out
}

// TestChangesAreTheSameAfterARevival reads the journal, with a snapshot and without.
func TestChangesAreTheSameAfterARevival(t *testing.T) {
	for _, c := range []struct{ name, pad string }{{"from events", ""}, {"from a snapshot", strings.Repeat("word ", 8<<10)}} {
		t.Run(c.name, func(t *testing.T) {
			s := testSystem(t, Options{Agent: callingAgent, Journal: store.NewMemory(store.MemoryOptions{})})
			key := Key{Owner: "o", Name: "conv_1"}
			if _, err := s.CreateWith(key, CreateSession{Turn: "turn_made", Items: []agent.Message{{Role: "developer", Text: "first"}, {Role: "user", Text: "second" + c.pad}}}); err != nil {
				t.Fatal(err)
			}
			m := watched("third")
			m.Items, m.Existing, m.Extra = true, true, json.RawMessage(`{"x":1}`)
			started := start(t, s, key, m)
			rest(t, started)
			started.Events.Close()
			do := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			do(s.AddItems(key, AddItems{Turn: "turn_added", Items: []agent.Message{{Role: "user", Text: "fourth"}}}))
			do(s.RemoveItem(key, RemoveItem{Turn: "turn_made", Index: 0}))
			do(s.RemoveItem(key, RemoveItem{Turn: started.Turn, Index: -1, Part: agent.PartContent}))
			do(s.RemoveItem(key, RemoveItem{Turn: started.Turn, Index: -1, Part: agent.PartCall + "0"}))
			for _, gone := range []RemoveItem{{Turn: "turn_made", Index: 0}, {Turn: started.Turn, Index: -1, Part: agent.PartContent}, {Turn: "turn_other", Index: 0}} {
				refused(t, s.RemoveItem(key, gone), RefusedNotFound)
			}
			_, err := s.Update(key, json.RawMessage(`{"topic":"y"}`))
			do(err)
			if told, err := s.Turn(key, started.Turn, started.Place, false); err != nil || !told.Ended || string(told.Start.Extra) != `{"x":1}` {
				t.Fatalf("the turn is %+v, %v", told, err)
			}
			do(s.Hide(key, HideTurn{Turn: started.Turn, Place: started.Place}))

			want := []string{"second" + c.pad, "third", "reasoning+call1", "fourth"}
			check := func() {
				t.Helper()
				if got := items(t, s, key); !slices.Equal(got, want) {
					t.Errorf("the items are %.200q", got)
				}
				d, err := s.Describe(key)
				if err != nil || d.Messages != len(want) || string(d.Metadata) != `{"topic":"y"}` {
					t.Errorf("the session is %+v, %v", d, err)
				}
				_, err = s.Turn(key, started.Turn, started.Place, false)
				refused(t, err, RefusedNotFound)
			}
			check()
			log := peek(t, s, key)
			askToGo(s, key)
			gone(t, log)
			check()
		})
	}
}

func TestTheModelIsGivenItemsAsMessages(t *testing.T) {
	s, model := scriptedSystem(t, Options{})
	m := watched("")
	m.Items = true
	m.System = []agent.Message{{Role: "system", Text: "now"}}
	raw := func(text string) (m agent.Message) {
		if err := m.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	m.Input = []agent.Message{
		{Role: "user", Text: "q"},
		raw(`{"role":"assistant","content":null,"reasoning_content":"Hm."}`),
		{Role: "assistant", Text: "See:"},
		raw(`{"role":"assistant","content":null,"tool_calls":[{"id":"a"}]}`),
		raw(`{"role":"assistant","content":null,"tool_calls":[{"id":"b"}]}`),
		raw(`{"role":"tool","tool_call_id":"a","content":"1"}`),
		{Role: "assistant", Text: "One."},
		{Role: "assistant", Text: "Two."},
	}
	started := start(t, s, chat, m)
	call := model.next(t)
	got, err := encode(call.request.Messages)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"role":"system","content":"now"},{"role":"user","content":"q"},` +
		`{"role":"assistant","content":"See:","reasoning_content":"Hm.","tool_calls":[{"id":"a"},{"id":"b"}]},` +
		`{"role":"tool","tool_call_id":"a","content":"1"},{"role":"assistant","content":"One."},{"role":"assistant","content":"Two."}]`
	if string(got) != want {
		t.Errorf("the model is given\n%s\nwant\n%s", got, want)
	}
	call.finish("ok")
	rest(t, started)
	started.Events.Close()

	// What leads one turn leads no other.
	next := start(t, s, chat, watched("next"))
	call = model.next(t)
	if call.request.Messages[0].Role != "user" {
		t.Errorf("the next turn begins with %+v", call.request.Messages[0])
	}
	call.finish("ok")
	rest(t, next)
	next.Events.Close()
}

func TestATurnMayAskToBeTheNextOfAnother(t *testing.T) {
	s, model := scriptedSystem(t, Options{})
	m := watched("none")
	m.Existing = true
	_, err := s.Start(chat, m, nil)
	refused(t, err, RefusedNotFound)

	first := start(t, s, chat, watched("one"))
	model.next(t).finish("ok")
	rest(t, first)
	first.Events.Close()
	m = watched("two")
	m.Behind = first.Turn
	second := start(t, s, chat, m)
	call := model.next(t)
	_, err = s.Start(chat, m, nil) // the second is the last by now
	refused(t, err, RefusedPassed)
	refused(t, s.AddItems(chat, AddItems{Turn: "turn_x", Items: user("x")}), RefusedBusy)
	call.finish("ok")
	rest(t, second)
	second.Events.Close()
}
