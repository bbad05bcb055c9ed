package actors

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// journal is a store whose answers the test holds back, or makes fail.
type journal struct {
	*store.Memory

	mu      sync.Mutex
	holding bool
	held    []func() // answers that were held back, in order
	arrived chan string
	fail    func(kind string) error
	load    func(context.Context) error
}

func newJournal() *journal {
	return &journal{
		Memory: store.NewMemory(store.MemoryOptions{}), arrived: make(chan string, 4096),
		fail: func(string) error { return nil }, load: func(context.Context) error { return nil },
	}
}

func (j *journal) Append(id store.ID, epoch uint64, b store.Batch, done func(error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kind := b.Events[len(b.Events)-1].Kind
	err := j.fail(kind)
	if err == nil {
		j.Memory.Append(id, epoch, b, func(e error) { err = e })
	}
	if kind == journalStarted || kind == journalSaid { // nobody waits for these
		done(err)
		return
	}
	if j.holding {
		j.held = append(j.held, func() { done(err) })
	} else {
		done(err)
	}
	j.arrived <- kind
}

// takeOver writes as another owner would, with a newer epoch.
func (j *journal) takeOver(t testing.TB, metadata string) {
	t.Helper()
	kept, err := j.Memory.Load(t.Context(), chat.id())
	if err != nil {
		t.Fatal(err)
	}
	j.Memory.Append(chat.id(), 100, store.Batch{
		After: kept.Last, Events: []store.Event{{Kind: journalCreated}},
		Head: []byte(`{"log":"other","from":` + strconv.FormatUint(kept.Last+2, 10) + `,"metadata":` + metadata + `}`),
	}, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

func (j *journal) Load(ctx context.Context, id store.ID) (store.Session, error) {
	j.mu.Lock()
	load := j.load
	j.mu.Unlock()
	if err := load(ctx); err != nil {
		return store.Session{}, err
	}
	return j.Memory.Load(ctx, id)
}

func (j *journal) set(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

func (j *journal) hold() { j.set(func() { j.holding = true }) }

// answer gives the answers that were held back, and no longer holds any.
func (j *journal) answer() {
	j.set(func() {
		j.holding = false
		for _, done := range j.held {
			done()
		}
		j.held = nil
	})
}

// answerOne gives the first answer that was held back.
func (j *journal) answerOne() {
	j.set(func() {
		done := j.held[0]
		j.held = j.held[1:]
		done()
	})
}

func (j *journal) next(t testing.TB, kind string) {
	t.Helper()
	if got := receive(t, j.arrived, kind); got != kind {
		t.Fatalf("the journal was given %s, want %s", got, kind)
	}
}

// attempt is a Start that may wait for the journal.
type attempt struct {
	started *Started
	err     error
}

func attemptStart(s *System, key Key, m StartTurn) chan attempt {
	c := make(chan attempt, 1)
	go func() {
		started, err := s.Start(key, m, nil)
		c <- attempt{started, err}
	}()
	return c
}

func TestAcceptanceIsDurableBeforeItIsToldAndBeforeTheModelIsCalled(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	j.hold()
	first := attemptStart(s, chat, watched("one"))
	j.next(t, journalAccepted)
	second := attemptStart(s, chat, watched("two"))
	j.next(t, journalAccepted)
	if d, err := s.Describe(chat); err != nil || len(d.Queue) != 2 || d.Running != "" {
		t.Errorf("%+v, %v", d, err)
	}
	a.idle(t)
	select {
	case <-first:
		t.Fatal("the client heard before the journal had it")
	default:
	}
	j.answerOne()
	one := receive(t, first, "the acceptance").started
	c := a.next(t)
	j.answerOne()
	two := receive(t, second, "the acceptance").started
	c.finish("1")
	j.next(t, journalEnded)
	until(t, one.Events, kind(EventDelta))
	if events, err := one.Events.Read(nil, 10); len(events) > 0 || err != nil {
		t.Errorf("the end was told before the journal had it: %v, %v", story(events), err)
	}
	a.idle(t)
	j.answer()
	rest(t, one)
	a.next(t).finish("2")
	rest(t, two)
}

func TestEventsOfATurnStayInOrderHoweverLateTheJournalAnswers(t *testing.T) {
	j := newJournal()
	s := testSystem(t, Options{Journal: j, Agent: echo})
	if _, err := s.Create(chat, nil); err != nil {
		t.Fatal(err)
	}
	all := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	j.next(t, journalCreated)
	j.hold()
	waiting := []chan attempt{}
	for range 10 {
		waiting = append(waiting, attemptStart(s, chat, message("hi")))
		j.next(t, journalAccepted)
	}
	for i := range 10 {
		j.answerOne()
		if i == 0 {
			j.next(t, journalEnded)
		}
	}
	for range 10 {
		j.answerOne() // of a turn's end
		if len(waiting) > 1 {
			j.next(t, journalEnded)
		}
		receive(t, waiting[0], "an acceptance")
		waiting = waiting[1:]
	}
	turns := map[string][]string{}
	ends := 0
	until(t, all, func(e *Event) bool {
		turns[e.Turn] = append(turns[e.Turn], e.Kind.String())
		if e.Kind.Ends() {
			ends++
		}
		return ends == 10
	})
	for id, kinds := range turns {
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return k == "turn.queued" })
		equal(t, id, kinds, []string{"turn.started", "delta", "delta", "turn.completed"})
	}
}

func TestCancelBeforeTheAcceptanceIsWritten(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	j.hold()
	waiting := attemptStart(s, chat, watched("one"))
	j.next(t, journalAccepted)
	d, err := s.Describe(chat)
	if err != nil {
		t.Fatal(err)
	}
	cancel(t, s, d.Queue[0], d.Queue[0])
	cancel(t, s, "")
	askToGo(s, chat) // it must not: a client waits
	j.answer()
	one := receive(t, waiting, "the acceptance").started
	equal(t, "events", story(rest(t, one)), []string{"turn.interrupted"})
	a.idle(t)
	equal(t, "conversation", conversation(t, s, chat), nil)
}

func TestADeadlineThatPassesBeforeTheAcceptanceIsWritten(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	j.hold()
	m := expiring(watched("one"), 20*time.Millisecond)
	waiting := attemptStart(s, chat, m)
	j.next(t, journalAccepted)
	<-time.After(time.Until(m.Deadline))
	j.answer()
	one := receive(t, waiting, "the acceptance").started
	if e := outcome(t, one); e.Failure == nil || !e.Failure.Expired {
		t.Errorf("ended with %+v", e)
	}
	a.idle(t)
}

func TestAnActorDoesNotLeaveBeforeTheEndOfItsTurnsIsWritten(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	start(t, s, chat, message("one"))
	second := start(t, s, chat, watched("two"))
	c := a.next(t)
	j.hold()
	cancel(t, s, second.Turn, second.Turn)
	c.finish()
	askToGo(s, chat)
	if _, err := s.Describe(chat); err != nil { // it has seen that it should go
		t.Fatal(err)
	}
	j.answer()
	rest(t, second)
}

func TestAMessageThatCannotBeStoredIsRefusedAndNothingIsKept(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	full := func(string) error { return errors.New("disk full") }
	j.set(func() { j.fail = full })
	_, err := s.Start(chat, message("one"), once("k", "one"))
	refused(t, err, RefusedUnavailable)
	_, err = s.Create(chat, []byte(`{"a":1}`))
	refused(t, err, RefusedUnavailable)
	_, err = s.Describe(chat)
	refused(t, err, RefusedNotFound)
	if c := s.Counts(); c.Accepted != 0 {
		t.Errorf("%d accepted", c.Accepted)
	}
	j.set(func() { j.fail = func(string) error { return nil } })
	again := startOnce(t, s, chat, watched("one"), once("k", "one"))
	a.next(t).finish("1")
	rest(t, again)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1"})
}

func TestAQueuedMessageThatCannotBeStoredDoesNotStopTheOthers(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	j.set(func() { j.fail = func(string) error { return errors.New("disk full") } })
	_, err := s.Start(chat, message("two"), nil)
	refused(t, err, RefusedUnavailable)
	j.set(func() { j.fail = func(string) error { return nil } })
	third := start(t, s, chat, watched("three"))
	c.finish()
	rest(t, first)
	a.next(t).finish()
	rest(t, third)
}

func TestAnAnswerThatCannotBeStoredIsToldAllTheSame(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	started := start(t, s, chat, watched("one"))
	j.set(func() { j.fail = func(string) error { return errors.New("disk full") } })
	a.next(t).finish("1")
	equal(t, "events", story(rest(t, started)), []string{"turn.started", `"1"`, "turn.completed"})
}

func TestAJournalThatCannotBeReadRefusesUntilItCan(t *testing.T) {
	j := newJournal()
	s := testSystem(t, Options{Journal: j, Agent: echo})
	for _, load := range []func(context.Context) error{
		func(context.Context) error { return errors.New("disk broken") },
		func(context.Context) error { panic("disk broken") },
	} {
		j.set(func() { j.load = load })
		_, err := s.Start(chat, message("one"), nil)
		refused(t, err, RefusedUnavailable)
		_, err = s.Describe(chat)
		refused(t, err, RefusedUnavailable)
		_, err = s.Subscribe(chat, Subscribe{Live: true, Create: true})
		refused(t, err, RefusedUnavailable)
		log := peek(t, s, chat)
		askToGo(s, chat)
		gone(t, log)
	}
	j.set(func() { j.load = func(context.Context) error { return nil } })
	rest(t, start(t, s, chat, watched("one")))
}

func TestAJournalOfUnknownContentIsRefused(t *testing.T) {
	for _, e := range []store.Event{
		{Kind: "unknown"}, {Kind: journalAccepted, Data: []byte("{")}, {Kind: journalEnded, Data: []byte("{")},
	} {
		j := newJournal()
		j.Memory.Append(chat.id(), 1, store.Batch{Events: []store.Event{e}, Head: []byte(`{"from":1}`)}, func(error) {})
		s := testSystem(t, Options{Journal: j, Agent: echo})
		_, err := s.Start(chat, message("one"), nil)
		refused(t, err, RefusedUnavailable)
	}
}

func TestASessionThatAnotherOwnerHasTakenIsReadAnew(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j, SaveEvery: time.Hour, CancelTimeout: patience})
	running := start(t, s, chat, watched("one"))
	waits := start(t, s, chat, watched("waits"))
	c := a.next(t)
	c.stay() // so that the session cannot be read anew yet
	c.say("half")
	j.takeOver(t, `{"owner":"other"}`)
	log := peek(t, s, chat)
	_, err := s.Start(chat, message("two"), nil)
	refused(t, err, RefusedUnavailable)
	c.end(agent.Result{}, nil)
	for _, started := range []*Started{running, waits} {
		if e := outcome(t, started); e.Reason != ReasonMoved {
			t.Errorf("ended with %+v", e)
		}
	}
	gone(t, log)
	start(t, s, chat, message("three"))
	a.next(t).finish()
	if d, err := s.Describe(chat); err != nil || string(d.Metadata) != `{"owner":"other"}` {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAnAnswerOfAFencedSessionIsAFailure(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	started := start(t, s, chat, watched("one"))
	c := a.next(t)
	j.takeOver(t, "null")
	c.finish("1")
	if e := outcome(t, started); e.Failure == nil || e.Failure.Kind != KindInternal {
		t.Errorf("ended with %+v", e)
	}
}

func TestAMessageWhoseSenderHasGivenUpDoesNotRun(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j, Live: Live{BusyPolicy: BusyCollect}})
	start(t, s, chat, message("runs"))
	c := a.next(t)
	kept := start(t, s, chat, leaving("kept", Disconnect{}))
	drain(j.arrived)
	j.hold()
	s.replyTimeout = time.Millisecond // nothing else asks now
	_, err := s.Start(chat, message("late"), once("k", "late"))
	refused(t, err, RefusedUnavailable)
	merged := leaving("merged", Disconnect{})
	_, err = s.Start(chat, merged, nil)
	refused(t, err, RefusedUnavailable)
	s.replyTimeout = patience
	j.answer()
	c.finish()
	c = a.next(t)
	if last(c.request) != "kept" {
		t.Errorf("the agent is asked %v", texts(c.request.Messages))
	}
	kept.Events.Close()
	receive(t, c.ctx.Done(), "the call's end: nobody watches")
}

func drain[T any](c <-chan T) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}
