package actors

import (
	"strings"
	"testing"
)

// A watcher who reads the messages, and then follows from the position they tell,
// hears the whole answer once.
func TestTheAnswerSoFarAndTheEventsAfterItMakeTheAnswer(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	running := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.say("Hel", "lo")
	until(t, running.Events, kind(EventDelta))
	list, err := s.Messages(chat)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 || list.Items[1].Open != OpenRunning {
		t.Fatalf("%+v", list.Items)
	}
	said := list.Items[1].Message.Text
	sub := subscribe(t, s, chat, Subscribe{Epoch: list.Epoch, After: list.Seq})
	c.finish(", world")
	for _, e := range until(t, sub, endOf(running.Turn)) {
		if e.Kind == EventDelta {
			said += strings.Trim(string(e.Content()), `"`)
		}
	}
	if said != "Hello, world" {
		t.Errorf("heard %q", said)
	}
}

func TestAnOverviewWakesNobody(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	a.next(t).finish("1")
	rest(t, first)
	log := peek(t, s, chat)
	askToGo(s, chat)
	gone(t, log)
	other := Key{Owner: "other", Name: "b"}
	second := start(t, s, other, watched("two"))
	c := a.next(t)
	if live := s.Live(); live != 1 {
		t.Fatalf("%d sessions are in memory", live)
	}
	list, err := s.Overview(t.Context(), "", Key{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || !list[0].Live || list[0].Owner != "other" || list[0].Running != second.Turn ||
		list[1].Live || list[1].Owner != chat.Owner || list[1].Turns != 1 || list[1].Messages != 2 {
		t.Errorf("%+v", list)
	}
	if live := s.Live(); live != 1 {
		t.Errorf("afterwards %d sessions are in memory", live)
	}
	after, err := s.Overview(t.Context(), "", other, 10)
	if err != nil || len(after) != 1 || after[0].Name != chat.Name {
		t.Errorf("after the first: %+v, %v", after, err)
	}
	_, err = s.Overview(t.Context(), "", Key{Owner: "other", Name: "none"}, 10)
	refused(t, err, RefusedNotFound)
	c.finish("2")
	rest(t, second)
}
