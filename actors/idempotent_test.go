package actors

import (
	"errors"
	"fmt"
	"testing"

	"agentzero/agent"
)

func once(key, body string) *Idempotency {
	idem := &Idempotency{Key: key}
	copy(idem.Fingerprint[:], body)
	return idem
}

func startOnce(t testing.TB, s *System, key Key, m StartTurn, idem *Idempotency) *Started {
	t.Helper()
	started, err := s.Start(key, m, idem)
	if err != nil {
		t.Fatal(err)
	}
	if started.Events != nil {
		t.Cleanup(started.Events.Close)
	}
	return started
}

func TestARetryAttachesToTheRunningTurnFromItsBeginning(t *testing.T) {
	for _, key := range []Key{chat, {Owner: "ann"}} {
		s, a := scriptedSystem(t, Options{})
		first := startOnce(t, s, key, watched("hi"), once("k", "hi"))
		c := a.next(t)
		c.say("half")
		until(t, first.Events, kind(EventDelta))
		again := startOnce(t, s, key, watched("hi"), once("k", "hi"))
		if !again.Replayed || first.Replayed || again.Turn != first.Turn {
			t.Errorf("first %+v, again %+v", first, again)
		}
		c.finish("end")
		equal(t, "what the retry sees", story(rest(t, again)), []string{"turn.started", `"half"`, `"end"`, "turn.completed"})
		a.idle(t)
	}
}

func TestARetryKeepsTheTurnAliveWhenTheFirstWatcherLeaves(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := startOnce(t, s, chat, leaving("hi", Disconnect{}), once("k", "hi"))
	c := a.next(t)
	again := startOnce(t, s, chat, leaving("hi", Disconnect{}), once("k", "hi"))
	first.Events.Close()
	c.say("still here")
	until(t, again.Events, kind(EventDelta))
	again.Events.Close()
	receive(t, c.ctx.Done(), "the call's end")
}

func TestARetryGetsTheFinishedAnswerAgain(t *testing.T) {
	for _, key := range []Key{chat, {Owner: "ann"}} {
		s := testSystem(t, Options{Agent: echo})
		first := startOnce(t, s, key, watched("hi"), once("k", "hi"))
		events := rest(t, first)
		first.Events.Close()
		if key == chat {
			rest(t, start(t, s, chat, watched("something else")))
			log := peek(t, s, chat)
			askToGo(s, chat)
			gone(t, log) // the actor need not be there
		}
		again := startOnce(t, s, key, watched("hi"), once("k", "hi"))
		if !again.Replayed || again.Turn != first.Turn || again.Session != key.Name {
			t.Errorf("again %+v", again)
		}
		equal(t, "what the retry sees", seqs(rest(t, again)), seqs(events))
		if again := startOnce(t, s, key, message("hi"), once("k", "hi")); again.Events != nil || !again.Replayed {
			t.Errorf("a retry that does not watch: %+v", again)
		}
	}
}

func TestAKeyWithAnotherBodyIsAConflict(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	startOnce(t, s, chat, message("hi"), once("k", "hi"))
	_, err := s.Start(chat, message("ho"), once("k", "ho"))
	refused(t, err, RefusedConflict)
}

func TestWhatWasNotAnsweredIsTriedAgain(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{BusyPolicy: BusyReject}})
	start(t, s, chat, message("busy"))
	c := a.next(t)
	_, err := s.Start(chat, message("hi"), once("k", "hi"))
	refused(t, err, RefusedBusy)
	log := peek(t, s, chat)
	c.finish()
	until(t, log, kind(EventCompleted))

	failed := startOnce(t, s, chat, watched("hi"), once("k", "hi"))
	a.next(t).end(agent.Result{}, errors.New("broken"))
	rest(t, failed)
	cancelled := startOnce(t, s, chat, watched("hi"), once("k", "hi"))
	a.next(t)
	cancel(t, s, cancelled.Turn, cancelled.Turn)
	rest(t, cancelled)
	last := startOnce(t, s, chat, watched("hi"), once("k", "hi"))
	a.next(t).finish("at last")
	rest(t, last)
	if failed.Replayed || cancelled.Replayed || last.Replayed {
		t.Error("a retry got what was not answered")
	}
}

func TestEveryMessageOfACollectedTurnIsRemembered(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{BusyPolicy: BusyCollect}})
	start(t, s, chat, message("busy"))
	c := a.next(t)
	second := startOnce(t, s, chat, watched("two"), once("k2", "two"))
	third := startOnce(t, s, chat, watched("three"), once("k3", "three"))
	c.finish()
	a.next(t).finish("both")
	rest(t, second)
	rest(t, third)
	for _, text := range []string{"two", "three"} {
		again := startOnce(t, s, chat, watched(text), once(map[string]string{"two": "k2", "three": "k3"}[text], text))
		events := rest(t, again)
		if !again.Replayed || events[len(events)-1].Kind != EventCompleted {
			t.Errorf("%s: %+v, %v", text, again, story(events))
		}
	}
	a.idle(t)
}

func TestFinishedAnswersAreForgottenAtTheLimitsAndRunningOnesAreNot(t *testing.T) {
	i := newIdempotent(1000)
	i.maxCount = 10
	l := newLog(1 << 20)
	begin := func(key string) *remembered {
		r, mine := i.claim(once(key, ""))
		if !mine {
			t.Fatalf("%s is known", key)
		}
		i.started(r, &entry{log: l}, &Accepted{Turn: r.turn})
		return r
	}
	finish := func(r *remembered, size int) {
		l.append(pending{kind: EventStarted, turn: r.turn, data: make([]byte, size)})
		i.answered([]turnKey{{r.key, r.turn}}, r.turn, l)
	}
	begin("runs")
	for n := range 20 {
		finish(begin(fmt.Sprint(n)), 1)
	}
	if i.order.Len() != 10 {
		t.Errorf("%d are remembered", i.order.Len())
	}
	finish(begin("large"), 900)
	if i.bytes > 1000 || i.order.Len() != 2 {
		t.Errorf("%d are remembered in %d bytes", i.order.Len(), i.bytes)
	}
	finish(begin("too large"), 2000)
	if i.bytes != 0 || i.known["runs"] == nil || i.order.Len() != 1 {
		t.Errorf("%d are remembered in %d bytes", i.order.Len(), i.bytes)
	}
}

func TestTheEndOfATurnIsNotTakenForThatOfALaterOneWithItsKey(t *testing.T) {
	i := newIdempotent(1000)
	l := newLog(1 << 20)
	first, _ := i.claim(once("k", ""))
	i.forget(i.known["k"])
	i.claim(once("k", ""))
	l.append(pending{kind: EventStarted, turn: first.turn})
	i.answered([]turnKey{{"k", first.turn}}, first.turn, l)
	if i.known["k"].Value.(*remembered).done != nil {
		t.Error("the later turn got the former one's answer")
	}
}
