package actors

import (
	"testing"
	"time"

	"agentzero/agent"
)

func TestRejectRefusesWhileTheSessionIsBusy(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, with(watched("one"), BusyReject))
	c := a.next(t)
	_, err := s.Start(chat, with(message("two"), BusyReject), nil)
	if r := refused(t, err, RefusedBusy); r.RetryAfter < time.Second {
		t.Errorf("retry after %v", r.RetryAfter)
	}
	c.finish("1")
	rest(t, first)
	start(t, s, chat, with(message("three"), BusyReject))
	a.next(t).finish("3")
}

func TestRetryAfterIsReckonedFromTheSessionsTurns(t *testing.T) {
	s := &session{mean: 10 * time.Second, queue: make([]*turn, 3), current: &turn{started: time.Now()}}
	if r := s.retryAfter(); r < 39*time.Second || r > 40*time.Second {
		t.Errorf("retry after %v, want what is left of four turns of 10 s", r)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{QueueLimit: 2}})
	for _, text := range []string{"runs", "waits", "waits too"} {
		start(t, s, chat, message(text))
	}
	for _, policy := range BusyPolicies()[1:] {
		_, err := s.Start(chat, with(message("too many"), policy), nil)
		want := RefusedQueueFull
		if policy == BusyReject {
			want = RefusedBusy
		}
		refused(t, err, want)
	}
	for range 3 {
		a.next(t).finish()
	}
}

func TestInterruptKeepsThePartialAnswer(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	waits := start(t, s, chat, watched("waits"))
	c := a.next(t)
	c.say("half")
	until(t, first.Events, kind(EventDelta))
	third := start(t, s, chat, with(watched("stop"), BusyInterrupt))
	if e := outcome(t, first); e.Reason != ReasonInterrupted {
		t.Errorf("the first turn ended with %+v", e)
	}
	c = a.next(t)
	equal(t, "what the next turn sees", texts(c.request.Messages), []string{"user: one", "assistant: half", "user: stop"})
	c.finish("stopped")
	rest(t, third)
	a.next(t).finish("waited")
	rest(t, waits)
	equal(t, "conversation", conversation(t, s, chat), []string{
		"user: one", "assistant: half (interrupted)", "user: stop", "assistant: stopped", "user: waits", "assistant: waited",
	})
}

func TestRollbackRemovesTheInterruptedTurn(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.say("half")
	until(t, first.Events, kind(EventDelta))
	second := start(t, s, chat, with(watched("rather"), BusyRollback))
	if e := outcome(t, first); e.Reason != ReasonRolledBack {
		t.Errorf("the first turn ended with %+v", e)
	}
	c = a.next(t)
	equal(t, "what the next turn sees", texts(c.request.Messages), []string{"user: rather"})
	c.finish("yes")
	rest(t, second)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: rather", "assistant: yes"})
	if n := s.Counts().Ended[FateRolledBack]; n != 1 {
		t.Errorf("%d rolled back", n)
	}
}

func TestOfSeveralInterruptionsTheLastIsAnsweredAfterAllWereHeard(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.stay() // takes its time to let go
	second := start(t, s, chat, with(watched("two"), BusyInterrupt))
	third := start(t, s, chat, with(watched("three"), BusyInterrupt))
	a.idle(t)
	c.finish("late")
	if e := outcome(t, first); e.Reason != ReasonInterrupted {
		t.Errorf("the first turn ended with %+v", e)
	}
	if e := outcome(t, second); e.Reason != ReasonInterrupted {
		t.Errorf("the second turn ended with %+v", e)
	}
	c = a.next(t)
	equal(t, "what the last turn sees", texts(c.request.Messages), []string{"user: one", "assistant: late", "user: two", "user: three"})
	c.finish("3")
	rest(t, third)
}

func TestInterruptReachesATurnThatWaitsForAPlace(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 1})
	other := start(t, s, Key{"bob", "other"}, watched("busy"))
	busy := a.next(t)
	first := start(t, s, chat, watched("one"))
	until(t, first.Events, kind(EventQueued))
	second := start(t, s, chat, with(watched("two"), BusyInterrupt))
	if e := outcome(t, first); e.Reason != ReasonInterrupted {
		t.Errorf("the first turn ended with %+v", e)
	}
	busy.finish()
	rest(t, other)
	c := a.next(t)
	equal(t, "what the next turn sees", texts(c.request.Messages), []string{"user: one", "user: two"})
	c.finish("2")
	rest(t, second)
}

func TestCollectMergesWhatWaits(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, with(watched("one"), BusyCollect))
	second := start(t, s, chat, with(watched("two"), BusyCollect))
	third := start(t, s, chat, with(watched("three"), BusyCollect))
	if third.Follow != second.Turn || third.Turn == second.Turn {
		t.Errorf("the third message's turn is %s, answered by %s; want %s", third.Turn, third.Follow, second.Turn)
	}
	a.next(t).finish("1")
	rest(t, first)
	c := a.next(t)
	equal(t, "what the merged turn sees", texts(c.request.Messages), []string{"user: one", "assistant: 1", "user: two", "user: three"})
	c.finish("2 and 3")
	rest(t, second)
	events := rest(t, third)
	if e := &events[len(events)-1]; e.Kind != EventCompleted {
		t.Errorf("the merged message's watcher saw %v", story(events))
	}
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1", "user: two", "user: three", "assistant: 2 and 3"})
	ended := s.Counts().Ended
	if ended[FateMerged] != 1 || ended[FateAnswered] != 2 {
		t.Errorf("fates %v", ended)
	}
}

func TestCollectMergesOnlyWhatIsAnsweredAlike(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	start(t, s, chat, message("runs"))
	kinds := []func(*StartTurn){
		func(*StartTurn) {},
		func(m *StartTurn) { m.Whole = true },
		func(m *StartTurn) { m.Model = "other" },
		func(m *StartTurn) { m.Params = []byte(`{"temperature":1}`) },
		func(m *StartTurn) { m.Own = true },
	}
	for _, alter := range kinds {
		m := with(message("waits"), BusyCollect)
		alter(&m)
		if started := start(t, s, chat, m); started.Follow != started.Turn {
			t.Errorf("%+v was merged", m)
		}
	}
	for range len(kinds) + 1 {
		a.next(t).finish()
	}
}

func TestCollectedMessagesCountInTheQueue(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{QueueLimit: 3, BusyPolicy: BusyCollect}})
	for range 4 {
		start(t, s, chat, message("more"))
	}
	_, err := s.Start(chat, message("too much"), nil)
	refused(t, err, RefusedQueueFull)
	a.next(t).finish()
	if c := a.next(t); len(c.request.Messages) != 4 {
		t.Errorf("the merged turn sees %v", texts(c.request.Messages))
	} else {
		c.finish()
	}
}

func TestACollectedMessageKeepsTheTurnAliveByItsOwnWish(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	start(t, s, chat, message("runs"))
	c := a.next(t)
	m := with(watched("goes away"), BusyCollect)
	m.Disconnect = Disconnect{}
	second := start(t, s, chat, m)
	third := start(t, s, chat, with(watched("stays away, but wants it"), BusyCollect))
	second.Events.Close()
	third.Events.Close()
	c.finish()
	c = a.next(t)
	if len(c.request.Messages) != 3 {
		t.Errorf("the merged turn sees %v", texts(c.request.Messages))
	}
	c.end(agent.Result{}, nil)
}
