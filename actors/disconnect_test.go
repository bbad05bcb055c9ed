package actors

import (
	"testing"
	"time"
)

func leaving(text string, d Disconnect) StartTurn {
	m := watched(text)
	m.Disconnect = d
	return m
}

func TestATurnThatNobodyWatchesIsCancelledAtOnce(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	for _, key := range []Key{{Owner: "ann"}, chat} {
		started := start(t, s, key, leaving("hi", Disconnect{}))
		c := a.next(t)
		started.Events.Close()
		receive(t, c.ctx.Done(), "the call's end")
	}
}

func TestATurnIsCancelledWhenNobodyComesBack(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	started := start(t, s, chat, leaving("hi", Disconnect{Grace: 10 * time.Millisecond}))
	c := a.next(t)
	log := peek(t, s, chat)
	started.Events.Close()
	receive(t, c.ctx.Done(), "the call's end")
	if e := tellingOf(t, until(t, log, kind(EventInterrupted))); e.Reason != ReasonDisconnected {
		t.Errorf("ended with %+v", e)
	}
}

func TestATurnGoesOnWhenSomebodyComesBack(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	started := start(t, s, chat, leaving("hi", Disconnect{Grace: time.Hour}))
	c := a.next(t)
	c.say("half")
	until(t, started.Events, kind(EventDelta))
	at := started.Events.Position()
	started.Events.Close()
	c.say("missed")
	sub := subscribe(t, s, chat, Subscribe{After: at, Epoch: started.Events.Epoch()})
	c.finish("end")
	equal(t, "what came after", story(until(t, sub, kind(EventCompleted))), []string{`"missed"`, `"end"`, "turn.completed"})
}

func TestAGraceOfAFormerAbsenceDoesNotEndATurn(t *testing.T) {
	s := &session{system: &System{}}
	tr := newTurn(leaving("hi", Disconnect{Grace: time.Hour}), nil, time.Now())
	s.current = tr
	tr.phase = phaseRunning
	s.abandon(tr)
	former := &graceOver{tr, tr.absence} // it is in the mailbox already
	tr.stay()
	s.abandon(tr)
	s.graceOver(former)
	if tr.stopped != "" || tr.grace == nil {
		t.Error("the turn was cancelled by the grace of an absence that had ended")
	}
	tr.stopTimers()
}

func TestATurnThatIsToContinueNeedsNobody(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	started := start(t, s, chat, watched("hi"))
	log := peek(t, s, chat)
	c := a.next(t)
	started.Events.Close()
	c.finish("end")
	until(t, log, kind(EventCompleted))
}

func TestAWatcherOfTheSessionKeepsItsTurnsAlive(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	all := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	first := start(t, s, chat, leaving("one", Disconnect{}))
	second := start(t, s, chat, leaving("two", Disconnect{}))
	c := a.next(t)
	first.Events.Close()
	second.Events.Close()
	c.finish("1")
	until(t, all, kind(EventCompleted))
	c = a.next(t) // the second one was not dropped from the queue
	all.Close()
	receive(t, c.ctx.Done(), "the call's end")
}

func TestAQueuedTurnThatNobodyWatchesLeavesTheQueue(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	log := peek(t, s, chat)
	second := start(t, s, chat, leaving("two", Disconnect{}))
	second.Events.Close()
	until(t, log, endOf(second.Turn))
	a.next(t).finish("1")
	rest(t, first)
	a.idle(t)
}
