package actors

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestShutdownWaitsForTheTurnsInFlight(t *testing.T) {
	a := newScripted()
	s := NewSystem(Options{Agent: a})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	over := make(chan int64)
	c := a.next(t)
	s.Drain()
	_, err := s.Start(chat, message("late"), nil)
	refused(t, err, RefusedDraining)
	go func() { over <- s.Shutdown(context.Background()) }()
	c.finish("1")
	a.next(t).finish("2")
	if n := receive(t, over, "the end of the shutdown"); n != 0 {
		t.Errorf("%d turns were interrupted", n)
	}
	for _, started := range []*Started{first, second} {
		if events := rest(t, started); events[len(events)-1].Kind != EventCompleted {
			t.Errorf("events %v", story(events))
		}
		gone(t, started.Events)
	}
	atRest(t, s)
	for _, err := range []error{
		s.Delete(chat),
		func() error { _, err := s.Start(Key{Owner: "ann"}, message("late"), nil); return err }(),
		func() error { _, err := s.Subscribe(chat, Subscribe{Live: true}); return err }(),
		func() error { _, err := s.Describe(chat); return err }(),
	} {
		refused(t, err, RefusedDraining)
	}
}

func TestShutdownCutsOffWhatIsLeft(t *testing.T) {
	a := newScripted()
	s := NewSystem(Options{Agent: a})
	first := start(t, s, chat, watched("one"))
	second := start(t, s, chat, watched("two"))
	stateless := start(t, s, Key{Owner: "ann"}, watched("three"))
	a.next(t).say("half")
	a.next(t)
	if n := s.Shutdown(ended()); n != 3 {
		t.Errorf("%d turns were interrupted, want 3", n)
	}
	for _, started := range []*Started{first, second, stateless} {
		if e := outcome(t, started); e.Reason != ReasonShutdown {
			t.Errorf("ended with %+v", e)
		}
	}
	atRest(t, s)
}

func TestASettledSystemCanStillBeRead(t *testing.T) {
	s := testSystem(t, Options{Agent: echo})
	started := start(t, s, chat, watched("one"))
	if n := s.Settle(context.Background()); n != 0 {
		t.Errorf("%d turns were interrupted", n)
	}
	rest(t, started)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: re one"})
}

func TestShutdownDoesNotWaitForAnAgentThatNeverReturns(t *testing.T) {
	a := newScripted()
	s := NewSystem(Options{Agent: a, CancelTimeout: time.Millisecond})
	started := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.stay()
	s.Shutdown(ended())
	if e := outcome(t, started); e.Reason != ReasonShutdown {
		t.Errorf("ended with %+v", e)
	}
	atRest(t, s)
	c.finish()
}

func TestShutdownEndsReadsOfTheJournalAndTellsWhoWaits(t *testing.T) {
	j := newJournal()
	reading := make(chan struct{}, 1)
	j.load = func(ctx context.Context) error {
		reading <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	s := NewSystem(Options{Agent: echo, Journal: j})
	failed := make(chan error, 1)
	go func() {
		_, err := s.Describe(chat)
		failed <- err
	}()
	receive(t, reading, "the read of the journal")
	s.Shutdown(context.Background())
	var r *Refusal
	if err := receive(t, failed, "the answer"); !errors.As(err, &r) {
		t.Errorf("got %v", err)
	}
}

func TestMessagesDuringAShutdownAreAnsweredOrRefused(t *testing.T) {
	s := NewSystem(Options{Agent: echo, Live: Live{QueueLimit: 10_000}})
	var wg sync.WaitGroup
	begun := make(chan struct{}, 8)
	for i := range 8 {
		wg.Go(func() {
			key := chat
			if i%2 == 0 {
				key.Name = ""
			}
			for n := range 10_000 {
				if n == 1 {
					begun <- struct{}{}
				}
				if _, err := s.Start(key, message("hi"), nil); err != nil {
					refused(t, err, RefusedDraining)
					return
				}
			}
		})
	}
	for range 8 {
		receive(t, begun, "messages")
	}
	s.Shutdown(context.Background())
	atRest(t, s)
	wg.Wait()
	atRest(t, s)
}
