package actors

import (
	"errors"
	"strings"
	"testing"

	"agentzero/store"
)

func TestWhoJoinsFromTheTurnHearsAllOfIt(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	a.next(t).finish("1")
	rest(t, first)
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	c.say("half")
	until(t, second.Events, kind(EventDelta))
	late := subscribe(t, s, chat, Subscribe{Live: true, FromTurn: true})
	live := subscribe(t, s, chat, Subscribe{Live: true})
	c.finish(" and half")
	equal(t, "from the turn", story(until(t, late, kind(EventCompleted))), []string{"turn.started", `"half"`, `" and half"`, "turn.completed"})
	equal(t, "live", story(until(t, live, kind(EventCompleted))), []string{`" and half"`, "turn.completed"})
	idle := subscribe(t, s, chat, Subscribe{Live: true, FromTurn: true})
	start(t, s, chat, message("three"))
	c = a.next(t)
	equal(t, "from an idle session", story(until(t, idle, kind(EventStarted))), []string{"turn.started"})
	c.finish("3")
}

func TestATurnWhoseBeginningIsKeptNoMoreIsJoinedLive(t *testing.T) {
	s, a := scriptedSystem(t, Options{LogWindow: 2000})
	started := start(t, s, chat, message("one"))
	c := a.next(t)
	all := subscribe(t, s, chat, Subscribe{Live: true})
	long := strings.Repeat("x", 1500)
	for range 3 {
		c.say(long)
		until(t, all, kind(EventDelta))
	}
	_, err := s.Subscribe(chat, Subscribe{After: started.After})
	refused(t, err, RefusedGap)
	late := subscribe(t, s, chat, Subscribe{Live: true, FromTurn: true})
	c.say("end")
	equal(t, "live", story(until(t, late, kind(EventDelta))), []string{`"end"`})
	got, err := s.Messages(chat)
	if err != nil || len(got.Items) != 2 || got.Items[1].Message.Text != long+long+long+"end" || got.Items[1].Open != OpenRunning {
		t.Errorf("the partial answer: %d items, %v", len(got.Items), err)
	}
	c.finish()
}

func TestAPositionThatIsNotThereYetIsToldSo(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	rest(t, start(t, s, chat, watched("one")))
	d, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Subscribe(chat, Subscribe{Epoch: d.Epoch, After: d.Seq + 1})
	if r := refused(t, err, RefusedGap); strings.Contains(r.Message, "no longer") || !strings.Contains(r.Message, "no such position") {
		t.Errorf("%q", r.Message)
	}
	subscribe(t, s, chat, Subscribe{Epoch: d.Epoch, After: d.Seq})
}

// With the messages and the events past their position, a client has everything
// once.
func TestMessagesAndTheEventsBehindThemAreEverything(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	a.next(t).finish("1")
	rest(t, first)
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	start(t, s, chat, message("three"))
	c.say("half")
	until(t, second.Events, kind(EventDelta))
	got, err := s.Messages(chat)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, item := range got.Items {
		lines = append(lines, item.Message.Role+": "+item.Message.Text+" "+item.Open)
	}
	equal(t, "messages", lines, []string{"user: one ", "assistant: 1 ", "user: two in_progress", "assistant: half in_progress", "user: three queued"})
	on := subscribe(t, s, chat, Subscribe{Epoch: got.Epoch, After: got.Seq})
	c.finish(" and half")
	equal(t, "the events behind", story(until(t, on, kind(EventCompleted))), []string{`" and half"`, "turn.completed"})
	a.next(t).finish("3")
}

// A watched session without a message is in no journal, and leaves with its
// watcher.
func TestASessionInWhichNothingIsSaidIsNotKept(t *testing.T) {
	j := store.NewMemory(store.MemoryOptions{})
	s, a := scriptedSystem(t, Options{Journal: j})
	sub := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	if d, err := s.Describe(chat); err != nil || d.Turns != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := j.Load(t.Context(), chat.id()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is kept: %v", err)
	}
	log := peek(t, s, chat)
	sub.Close()
	gone(t, log)
	_, err := s.Describe(chat)
	refused(t, err, RefusedNotFound)

	subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	if _, err := s.Create(chat, []byte(`{"a":1}`)); err != nil {
		t.Errorf("made by name: %v", err)
	}
	other := Key{"ann", "other"}
	talk := subscribe(t, s, other, Subscribe{Live: true, Create: true})
	start(t, s, other, message("hi"))
	a.next(t).finish("hello")
	until(t, talk, kind(EventCompleted))
	if kept, err := j.Load(t.Context(), other.id()); err != nil || kept.Last == 0 {
		t.Errorf("after a message: %+v, %v", kept, err)
	}
}
