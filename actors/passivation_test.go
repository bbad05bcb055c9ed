package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

func TestAnIdleSessionLeavesAndIsRevivedAsItWas(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, IdleTimeout: 20 * time.Millisecond})
	if _, err := s.Create(chat, []byte(`{"topic":"tea"}`)); err != nil {
		t.Fatal(err)
	}
	log := peek(t, s, chat)
	m := watched("one")
	m.Input = append([]agent.Message{{Role: "system", Text: "be kind"}}, m.Input...)
	started := start(t, s, chat, m)
	rest(t, started)
	before, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	started.Events.Close()
	gone(t, log)
	if s.Live() != 0 {
		t.Errorf("%d sessions live", s.Live())
	}
	after, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	if string(after.Metadata) != `{"topic":"tea"}` || after.Turns != 1 || after.Messages != 2 ||
		after.PromptTokens != 2 || after.CompletionTokens != 3 || !after.Created.Equal(before.Created) || !after.Updated.Equal(before.Updated) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	if after.Epoch != before.Epoch || after.Seq <= before.Seq {
		t.Errorf("the log is %s at %d, was %s at %d", after.Epoch, after.Seq, before.Epoch, before.Seq)
	}
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: re one"})
	again := subscribe(t, s, chat, Subscribe{Epoch: before.Epoch, After: before.Seq - 1})
	equal(t, "what a watcher has missed", story(until(t, again, kind(EventCompleted))), []string{"turn.completed"})
	_, err = s.Subscribe(chat, Subscribe{Epoch: "another", After: before.Seq})
	refused(t, err, RefusedGap)
}

func TestARevivedSessionRemembersInterruptedMergedAndRolledBackTurnsAlike(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	say := func(m StartTurn) *Started { return start(t, s, chat, m) }
	first := say(watched("one"))
	c := a.next(t)
	c.say("half")
	until(t, first.Events, kind(EventDelta))
	second := say(with(watched("two"), BusyInterrupt))
	a.next(t)
	rolled := second
	third := say(with(watched("three"), BusyRollback))
	rest(t, rolled)
	c = a.next(t)
	fourth := say(with(watched("four"), BusyCollect))
	fifth := say(with(watched("five"), BusyCollect))
	sixth := say(watched("six"))
	cancel(t, s, sixth.Turn, sixth.Turn)
	c.finish("3")
	rest(t, third)
	a.next(t).finish("4 and 5")
	rest(t, fourth)
	rest(t, fifth)
	rest(t, sixth)
	before := conversation(t, s, chat)
	for _, started := range []*Started{first, second, third, fourth, fifth, sixth} {
		started.Events.Close()
	}
	log := peek(t, s, chat)
	askToGo(s, chat)
	gone(t, log)
	equal(t, "before", before, []string{
		"user: one", "assistant: half (interrupted)", "user: three", "assistant: 3", "user: four", "user: five", "assistant: 4 and 5",
	})
	equal(t, "after", conversation(t, s, chat), before)
}

func TestASessionThatIsWatchedOrAtWorkStays(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	started := start(t, s, chat, message("one"))
	c := a.next(t)
	epoch := func() string {
		askToGo(s, chat)
		d, err := s.Describe(chat)
		if err != nil {
			t.Fatal(err)
		}
		return d.Epoch
	}
	first := epoch()
	sub := subscribe(t, s, chat, Subscribe{After: started.After})
	c.finish("1")
	until(t, sub, kind(EventCompleted))
	if epoch() != first {
		t.Error("the session left while it was watched")
	}
}

func TestTheLeastRecentlyUsedIdleSessionsLeaveWhenThereAreTooMany(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, MaxLive: 2})
	key := func(i int) Key { return Key{"ann", fmt.Sprint("s", i)} }
	var logs []*Subscription
	for i := range 4 {
		rest(t, start(t, s, key(i), watched("hi")))
		logs = append(logs, peek(t, s, key(i)))
	}
	gone(t, logs[0])
	gone(t, logs[1])
	if s.Live() != 2 {
		t.Errorf("%d sessions live", s.Live())
	}
	equal(t, "conversation", conversation(t, s, key(0)), []string{"user: hi", "assistant: re hi"})
}

func TestAMessageIsNotLostWhenItsActorIsAboutToLeave(t *testing.T) {
	s := testSystem(t, Options{Agent: echo, MaxLive: 1, Live: Live{QueueLimit: 1000}})
	const sessions, each = 8, 50
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			key := Key{"ann", fmt.Sprint("s", i)}
			for range each {
				if _, err := s.Start(key, message("hi"), nil); err != nil {
					t.Error(err)
				}
				askToGo(s, key)
			}
		})
	}
	wg.Wait()
	s.Settle(context.Background())
	for i := range sessions {
		if got := len(conversation(t, s, Key{"ann", fmt.Sprint("s", i)})); got != 2*each {
			t.Errorf("session %d has %d messages, want %d", i, got, 2*each)
		}
	}
}

func TestASessionThatIsNotThereLeavesSoon(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	_, err := s.Describe(chat)
	refused(t, err, RefusedNotFound)
	gone(t, peek(t, s, chat))
}

func TestDeleteEndsWhatRunsAndForgetsAll(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	refused(t, s.Delete(chat), RefusedNotFound)
	all := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	a.next(t)
	if err := s.Delete(chat); err != nil {
		t.Fatal(err)
	}
	for _, started := range []*Started{first, second} {
		if e := outcome(t, started); e.Reason != ReasonDeleted {
			t.Errorf("ended with %+v", e)
		}
	}
	gone(t, all)
	_, err := s.Describe(chat)
	refused(t, err, RefusedNotFound)
	if list, err := s.List(t.Context(), "ann", "", 10); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
	if _, err := s.Create(chat, []byte(`{"new":1}`)); err != nil {
		t.Fatal(err)
	}
	third := start(t, s, chat, watched("three"))
	c := a.next(t)
	equal(t, "what the new session's turn sees", texts(c.request.Messages), []string{"user: three"})
	c.finish()
	rest(t, third)
}

func TestADeleteThatFailsLeavesTheSession(t *testing.T) {
	j := &undeletable{newJournal()}
	s := testSystem(t, Options{Journal: j, Agent: echo})
	rest(t, start(t, s, chat, watched("one")))
	refused(t, s.Delete(chat), RefusedUnavailable)
	rest(t, start(t, s, chat, watched("two")))
}

type undeletable struct{ *journal }

func (*undeletable) Delete(context.Context, store.ID) error { return errors.New("disk broken") }
