package actors

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
)

func TestTwoMessagesToOneSessionRunOneAfterAnotherAndSeeEachOther(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	if first.Position != 0 || second.Position != 1 {
		t.Errorf("positions %d and %d, want 0 and 1", first.Position, second.Position)
	}
	c := a.next(t)
	c.say("1", "!")
	a.idle(t)
	c.finish()
	equal(t, "first turn", story(rest(t, first)), []string{"turn.started", `"1"`, `"!"`, "turn.completed"})
	c = a.next(t)
	equal(t, "what the second turn sees", texts(c.request.Messages), []string{"user: one", "assistant: 1!", "user: two"})
	c.finish("2")
	equal(t, "second turn", story(rest(t, second)), []string{"turn.queued", "turn.started", `"2"`, "turn.completed"})
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1!", "user: two", "assistant: 2"})
}

func TestFiftySimultaneousMessagesGiveFiftyTurnsInOrderOfAcceptance(t *testing.T) {
	var running, together int
	var mu sync.Mutex
	s := testSystem(t, Options{Live: Live{QueueLimit: 50}, Agent: agentFunc(
		func(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
			mu.Lock()
			running++
			together = max(together, running)
			mu.Unlock()
			for range 5 {
				emit(deltasOf(last(r)))
			}
			mu.Lock()
			running--
			mu.Unlock()
			return agent.Result{}, nil
		})})
	all := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	var wg sync.WaitGroup
	var accepted []*Started
	for i := range 50 {
		wg.Go(func() {
			started, err := s.Start(chat, message(fmt.Sprint(i)), nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			accepted = append(accepted, started)
			mu.Unlock()
		})
	}
	wg.Wait()
	ended, current := 0, ""
	var order []string
	until(t, all, func(e *Event) bool {
		switch {
		case e.Kind == EventStarted:
			if current != "" {
				t.Fatalf("turn %s began within %s", e.Turn, current)
			}
			current = e.Turn
			order = append(order, e.Turn)
		case e.Kind == EventDelta && e.Turn != current:
			t.Fatalf("turn %s spoke within %s", e.Turn, current)
		case e.Kind == EventCompleted:
			current = ""
			ended++
		}
		return ended == 50
	})
	if together > 1 {
		t.Errorf("%d turns ran at once", together)
	}
	after := map[string]uint64{}
	for _, a := range accepted {
		after[a.Turn] = a.After
	}
	for i := 1; i < len(order); i++ {
		if after[order[i]] < after[order[i-1]] {
			t.Fatalf("turn %d was accepted before turn %d", i, i-1)
		}
	}
	if said := conversation(t, s, chat); len(said) != 100 {
		t.Errorf("%d messages in the conversation, want 100", len(said))
	}
}

func TestFiveHundredSessionsDoNotWaitForEachOther(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	var all []*Started
	var calls []*scriptedCall
	for i := range 500 {
		all = append(all, start(t, s, Key{"ann", fmt.Sprint("s", i)}, watched("hi")))
	}
	for range 500 { // all are at work before the first may end
		calls = append(calls, a.next(t))
	}
	if c := s.Counts(); c.Running != 500 || s.Live() != 500 {
		t.Errorf("%d turns run in %d sessions", c.Running, s.Live())
	}
	for _, c := range calls {
		c.finish("ok")
	}
	for _, started := range all {
		rest(t, started)
	}
}

func TestOneSessionNeedsNoNameAndLeavesNothing(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	started := start(t, s, Key{Owner: "ann"}, watched("hi"))
	equal(t, "events", story(rest(t, started)), []string{"turn.started", `"re "`, `"hi"`, "turn.completed"})
	if events, err := started.Events.Read(nil, 10); len(events) > 0 || err != ErrLogClosed {
		gone(t, started.Events)
	}
	if s.Live() != 0 {
		t.Errorf("%d sessions live on", s.Live())
	}
	if list, _ := s.List(t.Context(), "ann", "", 10); len(list) != 0 {
		t.Errorf("journal has %v", list)
	}
}

func TestNamesOfDifferentOwnersAreDifferentSessions(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	for _, key := range []Key{{"ann", "a.b"}, {"ann", "a_b"}, {"bob", "a.b"}} {
		rest(t, start(t, s, key, watched(key.Owner+key.Name)))
	}
	for _, key := range []Key{{"ann", "a.b"}, {"ann", "a_b"}, {"bob", "a.b"}} {
		equal(t, "conversation", conversation(t, s, key), []string{"user: " + key.Owner + key.Name, "assistant: re " + key.Owner + key.Name})
	}
}

func TestReloadHoldsForWhatComesNext(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{SystemPrompt: "be brief"}})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	equal(t, "before", texts(c.request.Messages), []string{"system: be brief", "user: one"})
	s.Reload(Live{SystemPrompt: "be long", BusyPolicy: BusyReject})
	_, err := s.Start(chat, message("two"), nil)
	refused(t, err, RefusedBusy)
	c.finish("1")
	rest(t, first)
	start(t, s, chat, message("three"))
	c = a.next(t)
	equal(t, "after", texts(c.request.Messages), []string{"system: be long", "user: one", "assistant: 1", "user: three"})
	s.Reload(Live{QueueLimit: 1})
	start(t, s, chat, message("four"))
	_, err = s.Start(chat, message("five"), nil)
	refused(t, err, RefusedQueueFull)
}

func TestAConversationOfTheClientsOwnTakesThePlaceOfTheSessions(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, Live: Live{SystemPrompt: "be brief"}})
	rest(t, start(t, s, chat, watched("forget me")))
	m := watched("")
	m.Own = true
	m.Input = []agent.Message{{Role: "system", Text: "be kind"}, {Role: "user", Text: "a"}, {Role: "assistant", Text: "b"}, {Role: "user", Text: "c"}}
	rest(t, start(t, s, chat, m))
	equal(t, "conversation", conversation(t, s, chat), []string{"user: a", "assistant: b", "user: c", "assistant: re c"})
}

func TestALongConversationForgetsItsOldestTurns(t *testing.T) {
	long := strings.Repeat("a", maxConversation/4)
	s := &state{}
	for i := range 6 {
		m := message(long)
		m.Turn = fmt.Sprint(i)
		t, end := newTurn(m, nil, time.Now()), &endRecord{Fate: FateAnswered.String(), Answered: true}
		s.count(t, end, time.Now())
		s.remember(t, end, &agent.Message{Role: "assistant"}, time.Now(), nil)
	}
	if len(s.items) != 6 || s.items[0].Turn != "3" || s.turns != 6 || s.messages != 12 || s.whole() {
		t.Errorf("%d messages from turn %s on are kept; want the last three turns' six", len(s.items), s.items[0].Turn)
	}
}

func TestDescriptionTellsOfASession(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	_, err := s.Describe(chat)
	refused(t, err, RefusedNotFound)
	if _, err := s.Create(chat, []byte(`{"topic":"tea"}`)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(chat, nil)
	refused(t, err, RefusedExists)
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	d, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	if d.Running != first.Turn || len(d.Queue) != 1 || d.Queue[0] != second.Turn || d.Watchers != 2 || string(d.Metadata) != `{"topic":"tea"}` {
		t.Errorf("description %+v", d)
	}
	c.end(agent.Result{Usage: []byte(`{"prompt_tokens":5,"completion_tokens":7}`)}, nil, "1")
	rest(t, first)
	if d, _ = s.Describe(chat); d.Turns != 1 || d.Messages != 2 || d.PromptTokens != 5 || d.CompletionTokens != 7 || d.Running != second.Turn {
		t.Errorf("description %+v", d)
	}
	list, err := s.List(t.Context(), "ann", "", 10)
	if err != nil || len(list) != 1 || list[0].Name != "chat" {
		t.Errorf("list %v, %v", list, err)
	}
	_, err = s.List(t.Context(), "ann", "nobody", 10)
	refused(t, err, RefusedNotFound)
}
