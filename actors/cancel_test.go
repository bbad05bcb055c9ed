package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"agentzero/agent"
)

func cancel(t testing.TB, s *System, turn string, want ...string) {
	t.Helper()
	cancelled, err := s.Cancel(chat, turn)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "cancelled", cancelled.Turns, want)
}

func TestCancelEndsTheRunningTurnAndKeepsWhatWasSaid(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	started := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.say("half")
	until(t, started.Events, kind(EventDelta))
	cancel(t, s, started.Turn, started.Turn)
	receive(t, c.ctx.Done(), "the call's end")
	if e := outcome(t, started); e.Reason != ReasonCancelled {
		t.Errorf("ended with %+v", e)
	}
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: half (interrupted)"})
	cancel(t, s, started.Turn)
}

func TestAQueuedTurnIsCancelledByItsIdAndLeavesNothing(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	third := start(t, s, chat, watched("three"))
	cancel(t, s, second.Turn, second.Turn)
	equal(t, "second turn", story(rest(t, second)), []string{"turn.queued", "turn.interrupted"})
	a.next(t).finish("1")
	rest(t, first)
	c := a.next(t)
	equal(t, "what the third turn sees", texts(c.request.Messages), []string{"user: one", "assistant: 1", "user: three"})
	c.finish("3")
	rest(t, third)
}

func TestCancelWithoutAnIdEndsAllTurns(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	a.next(t)
	cancel(t, s, "", second.Turn, first.Turn)
	rest(t, first)
	rest(t, second)
	a.idle(t)
}

func TestATurnThatWaitsForAPlaceCanBeCancelled(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 1})
	other := start(t, s, Key{"bob", "other"}, watched("busy"))
	busy := a.next(t)
	started := start(t, s, chat, watched("one"))
	cancel(t, s, started.Turn, started.Turn)
	rest(t, started)
	busy.finish()
	rest(t, other)
	start(t, s, chat, message("the place is free again"))
	a.next(t).finish()
}

func TestAnAgentThatDoesNotLetGoIsGivenUp(t *testing.T) {
	s, a := scriptedSystem(t, Options{CancelTimeout: time.Millisecond})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.stay()
	c.say("half")
	until(t, first.Events, kind(EventDelta))
	cancel(t, s, first.Turn, first.Turn)
	if e := outcome(t, first); e.Reason != ReasonCancelled {
		t.Errorf("ended with %+v", e)
	}
	second := start(t, s, chat, watched("two"))
	next := a.next(t)
	c.say("nobody listens")
	c.finish()
	next.finish("2")
	equal(t, "second turn", story(rest(t, second))[1:], []string{`"2"`, "turn.completed"})
}

func expiring(m StartTurn, in time.Duration) StartTurn {
	m.Deadline = time.Now().Add(in)
	return m
}

func TestAMessageThatComesTooLateIsRefused(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	_, err := s.Start(chat, expiring(message("late"), -time.Second), nil)
	refused(t, err, RefusedExpired)
	a.idle(t)
}

func TestADeadlineThatPassesInTheQueueCostsNoCall(t *testing.T) {
	s, a := scriptedSystem(t, Options{})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, expiring(watched("two"), 20*time.Millisecond))
	if e := outcome(t, second); e.Failure == nil || !e.Failure.Expired {
		t.Errorf("ended with %+v", e)
	}
	a.next(t).finish("1")
	rest(t, first)
	a.idle(t)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1"})
	if n := s.Counts().Ended[FateExpired]; n != 1 {
		t.Errorf("%d expired", n)
	}
}

func TestADeadlineThatPassesBeforeThereIsAPlaceCostsNoCall(t *testing.T) {
	s, a := scriptedSystem(t, Options{MaxRunning: 1})
	start(t, s, Key{"bob", "other"}, message("busy"))
	busy := a.next(t)
	started := start(t, s, chat, expiring(watched("one"), 20*time.Millisecond))
	if e := outcome(t, started); e.Failure == nil || !e.Failure.Expired {
		t.Errorf("ended with %+v", e)
	}
	a.idle(t)
	busy.finish()
}

func TestADeadlineEndsARunningTurn(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		t.Run(fmt.Sprintf("of an agent that minds it not, %v", stubborn), func(t *testing.T) {
			s, a := scriptedSystem(t, Options{CancelTimeout: 10 * time.Millisecond})
			started := start(t, s, chat, expiring(watched("one"), 300*time.Millisecond))
			c := a.next(t)
			if stubborn {
				c.stay()
				defer c.finish()
			}
			c.say("half")
			if e := outcome(t, started); e.Failure == nil || !e.Failure.Expired || e.Failure.Kind != agent.KindTimeout {
				t.Errorf("ended with %+v", e)
			}
			equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: half (interrupted)"})
			if n := s.Counts().Ended[FateExpired]; n != 1 {
				t.Errorf("%d expired", n)
			}
		})
	}
}

func TestAProvidersOwnTimeoutIsNoDeadline(t *testing.T) {
	s, a := scriptedSystem(t, Options{Live: Live{TurnTimeout: time.Hour}})
	started := start(t, s, chat, watched("one"))
	a.next(t).end(agent.Result{}, &agent.Error{Kind: agent.KindTimeout, Provider: "p", Message: "no first byte", Err: context.DeadlineExceeded})
	if e := outcome(t, started); e.Failure == nil || e.Failure.Expired || e.Failure.Kind != agent.KindTimeout {
		t.Errorf("ended with %+v", e)
	}
}
