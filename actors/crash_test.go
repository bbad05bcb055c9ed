package actors

import (
	"context"
	"strings"
	"testing"

	"agentzero/agent"
)

func TestAPanickingAgentFailsOnlyItsTurn(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	neighbour := start(t, s, Key{"ann", "other"}, watched("hi"))
	calm := a.next(t)
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	c.say("half")
	c.panic()
	if e := outcome(t, first); e.Failure == nil || e.Failure.Kind != KindInternal || strings.Contains(e.Failure.Message, "scripted") {
		t.Errorf("ended with %+v", e.Failure)
	}
	c = a.next(t)
	equal(t, "what the next turn sees", texts(c.request.Messages), []string{"user: one", "assistant: half", "user: two"})
	c.finish("2")
	rest(t, second)
	calm.finish("still here")
	rest(t, neighbour)
}

// failingActor is a system whose actors panic at a turn's first delta while fail
// is set.
func failingActor(t *testing.T, o Options) (*System, *scripted, *observer) {
	watcher := newObserver()
	watcher.firstDelta = func() { panic("observer") }
	o.Observer = watcher
	s, a := scriptedSystem(t, o)
	return s, a, watcher
}

func TestAPanickingActorComesBackFromItsJournalWithTheTurnsThatWait(t *testing.T) {
	s, a, _ := failingActor(t, Options{})
	if _, err := s.Create(chat, []byte(`{"topic":"tea"}`)); err != nil {
		t.Fatal(err)
	}
	zero := start(t, s, chat, watched("zero"))
	a.next(t).finish()
	rest(t, zero)
	all := subscribe(t, s, chat, Subscribe{Live: true})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	third := start(t, s, chat, with(watched("three"), BusyQueue))
	c := a.next(t)
	c.say("this makes the actor fail")
	receive(t, c.ctx.Done(), "the call's end")
	if e := outcome(t, first); e.Failure == nil || e.Failure.Kind != KindInternal {
		t.Errorf("ended with %+v", e)
	}
	c = a.next(t)
	if got := texts(c.request.Messages); got[0] != "user: zero" || got[len(got)-1] != "user: two" {
		t.Errorf("the next turn sees %v", got)
	}
	c.finish()
	rest(t, second)
	a.next(t).finish()
	rest(t, third)
	d, err := s.Describe(chat)
	if err != nil || string(d.Metadata) != `{"topic":"tea"}` || d.Turns != 3 || d.Epoch != first.Events.Epoch() {
		t.Errorf("%+v, %v", d, err)
	}
	if d.Watchers != 1 {
		t.Errorf("%d watchers, want that of the session", d.Watchers)
	}
	until(t, all, endOf(third.Turn))
}

func TestAPanickingActorWithoutASessionFailsItsTurn(t *testing.T) {
	s, a, _ := failingActor(t, Options{})
	started := start(t, s, Key{Owner: "ann"}, watched("one"))
	c := a.next(t)
	c.say("this makes the actor fail")
	if e := outcome(t, started); e.Failure == nil || e.Failure.Kind != KindInternal {
		t.Errorf("ended with %+v", e)
	}
	gone(t, started.Events)
}

func TestAnAgentWhoseActorFailsIsNotHeldUp(t *testing.T) {
	over := make(chan error, 1)
	watcher := newObserver()
	watcher.firstDelta = func() { panic("observer") }
	s := testSystem(t, Options{Observer: watcher, Agent: agentFunc(
		func(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
			for ctx.Err() == nil {
				emit(deltasOf(strings.Repeat("x", 10_000)))
			}
			over <- ctx.Err()
			return agent.Result{}, ctx.Err()
		})})
	start(t, s, chat, message("one"))
	receive(t, over, "the agent's end")
}

func TestWhoSentTheMessageThatMadeAnActorFailIsTold(t *testing.T) {
	j := newJournal()
	s := testSystem(t, Options{Journal: j, Agent: echo})
	j.set(func() { j.fail = func(string) error { panic("journal") } })
	_, err := s.Start(chat, message("one"), nil)
	refused(t, err, RefusedUnavailable)
	_, err = s.Create(chat, nil)
	refused(t, err, RefusedUnavailable)
	j.set(func() { j.fail = func(string) error { return nil } })
	rest(t, start(t, s, chat, watched("two")))
}

func TestATurnWhoseEndMakesTheActorFailEndsAllTheSame(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	failed := false
	j.set(func() {
		j.fail = func(kind string) error {
			if kind == journalEnded && !failed {
				failed = true
				panic("journal")
			}
			return nil
		}
	})
	a.next(t).finish("1")
	if e := outcome(t, first); e.Failure == nil {
		t.Errorf("ended with %+v", e)
	}
	c := a.next(t)
	equal(t, "what the next turn sees", texts(c.request.Messages), []string{"user: one", "assistant: 1", "user: two"})
	c.finish("2")
	rest(t, second)
}

func TestTurnsWhoseJournalIsLostInACrashFail(t *testing.T) {
	j := newJournal()
	s, a, _ := failingActor(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	j.set(func() { j.load = func(context.Context) error { return context.DeadlineExceeded } })
	c.say("this makes the actor fail")
	for _, started := range []*Started{first, second} {
		if e := outcome(t, started); e.Failure == nil {
			t.Errorf("ended with %+v", e)
		}
	}
}

func TestAMessageThatIsBeingWrittenWhenTheActorFailsIsAcceptedAllTheSame(t *testing.T) {
	j := newJournal()
	s, a, _ := failingActor(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	waits := start(t, s, chat, watched("cancelled"))
	c := a.next(t)
	drain(j.arrived)
	j.hold()
	cancel(t, s, waits.Turn, waits.Turn)
	j.next(t, journalEnded)
	second := attemptStart(s, chat, watched("two"))
	j.next(t, journalAccepted)
	c.say("this makes the actor fail")
	j.next(t, journalEnded) // of the turn that ran
	j.answer()
	if e := outcome(t, first); e.Failure == nil || e.Failure.Kind != KindInternal {
		t.Errorf("ended with %+v", e)
	}
	if e := outcome(t, waits); e.Reason != ReasonCancelled {
		t.Errorf("the cancelled turn ended with %+v", e)
	}
	two := receive(t, second, "the acceptance")
	if two.err != nil {
		t.Fatal(two.err)
	}
	a.next(t).finish()
	rest(t, two.started)
	two.started.Events.Close()
}

func TestMessagesThatWaitForTheJournalOutliveAFailureOfTheActor(t *testing.T) {
	j := newJournal()
	read := make(chan struct{})
	j.load = func(context.Context) error { <-read; return nil }
	failed := false
	j.fail = func(string) error {
		if !failed {
			failed = true
			panic("journal")
		}
		return nil
	}
	s, a := scriptedSystem(t, Options{Journal: j})
	e := s.registry.lease(chat)
	defer s.registry.unlease(e)
	first, second := message("one"), message("two")
	first.Turn, second.Turn = "turn_1", "turn_2"
	one := s.root.RequestFuture(e.pid, &first, patience)
	two := s.root.RequestFuture(e.pid, &second, patience)
	close(read)
	if answer, err := one.Result(); err != nil {
		t.Error(err)
	} else if _, ok := answer.(*Refusal); !ok {
		t.Errorf("the message that made the actor fail got %+v", answer)
	}
	if answer, err := two.Result(); err != nil {
		t.Error(err)
	} else if _, ok := answer.(*Accepted); !ok {
		t.Errorf("the other message got %+v", answer)
	}
	a.next(t).finish()
}

func TestTooManyMessagesThatWaitForTheJournalAreRefused(t *testing.T) {
	j := newJournal()
	read := make(chan struct{})
	j.load = func(context.Context) error { <-read; return nil }
	s := testSystem(t, Options{Journal: j, Agent: echo})
	e := s.registry.lease(chat)
	defer s.registry.unlease(e)
	for range maxStash {
		s.root.RequestWithCustomSender(e.pid, &Describe{}, e.pid)
	}
	_, err := s.Describe(chat)
	refused(t, err, RefusedUnavailable)
	close(read)
}
