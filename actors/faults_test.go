package actors

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

var errDisk = errors.New("disk full")

// failing makes the journal refuse what keeps, or with nil nothing.
func (j *journal) failing(fails func(kind string) bool) {
	j.set(func() {
		j.fail = func(kind string) error {
			if fails != nil && fails(kind) {
				return errDisk
			}
			return nil
		}
	})
}

func all(string) bool { return true }

// revived is the session as another process reads it from the journal.
func revived(t testing.TB, j store.Journal, key Key) (*Description, []string) {
	t.Helper()
	s := testSystem(t, Options{Journal: j, Agent: echo})
	d, err := s.Describe(key)
	if err != nil {
		t.Fatal(err)
	}
	return d, conversation(t, s, key)
}

func TestWritesThatFailTogetherLeaveTheSessionInStep(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	running := start(t, s, chat, watched("one"))
	c := a.next(t)
	drain(j.arrived)
	j.hold()
	j.failing(all)
	var waiting []chan attempt
	for range 3 {
		waiting = append(waiting, attemptStart(s, chat, message("lost")))
		j.next(t, journalAccepted)
	}
	j.failing(nil)
	j.answer()
	for _, w := range waiting {
		refused(t, receive(t, w, "the refusal").err, RefusedUnavailable)
	}
	two := start(t, s, chat, watched("two"))
	c.finish("1")
	rest(t, running)
	a.next(t).finish("2")
	rest(t, two)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1", "user: two", "assistant: 2"})
}

// The journal refuses what was put behind a batch that failed. That is no sign of
// another owner.
func TestAWriteBehindOneThatFailedDoesNotEndTheTurnThatRuns(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	running := start(t, s, chat, watched("one"))
	c := a.next(t)
	drain(j.arrived)
	j.hold()
	j.failing(all)
	first := attemptStart(s, chat, message("lost"))
	j.next(t, journalAccepted)
	j.failing(nil)
	second := attemptStart(s, chat, message("lost, too"))
	j.next(t, journalAccepted)
	j.answer()
	refused(t, receive(t, first, "the refusal").err, RefusedUnavailable)
	refused(t, receive(t, second, "the refusal").err, RefusedUnavailable)
	c.finish("1")
	if e := outcome(t, running); e.FinishReason != "stop" {
		t.Errorf("the running turn ended with %+v", e)
	}
	if d, said := revived(t, j, chat); d.Messages != 2 || len(said) != 2 {
		t.Errorf("%+v %v", d, said)
	}
}

func TestAFirstMessageThatFailsTogetherWithTheNextLeavesNoSession(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	j.hold()
	j.failing(all)
	first := attemptStart(s, chat, message("lost"))
	j.next(t, journalAccepted)
	second := attemptStart(s, chat, message("lost"))
	j.next(t, journalAccepted)
	j.failing(nil)
	j.answerOne()
	refused(t, receive(t, first, "the refusal").err, RefusedUnavailable)
	third := attemptStart(s, chat, watched("three")) // while the second has no answer yet
	j.next(t, journalAccepted)
	j.answer()
	refused(t, receive(t, second, "the refusal").err, RefusedUnavailable)
	three := receive(t, third, "the acceptance")
	if three.err != nil {
		t.Fatal(three.err)
	}
	defer three.started.Events.Close()
	a.next(t).finish("3")
	rest(t, three.started)
	if d, said := revived(t, j, chat); d.Messages != 2 || d.Created.IsZero() {
		t.Errorf("%+v %v", d, said)
	}
}

func TestWhatCouldNotBeNotedIsWrittenWhenItCan(t *testing.T) {
	for _, name := range []string{"while it runs", "with the end", "behind the end"} {
		t.Run(name, func(t *testing.T) {
			j := newJournal()
			s, a := scriptedSystem(t, Options{Journal: j, SaveEvery: time.Millisecond, LogWindow: 1000})
			started := start(t, s, chat, watched("one"))
			c := a.next(t)
			noted := make(chan struct{}, 1000)
			j.failing(func(kind string) bool {
				if kind == journalSaid {
					noted <- struct{}{}
				}
				return true
			})
			want := ""
			for range 10 {
				word := strings.Repeat("w", 100)
				c.say(word)
				want += word
				receive(t, noted, "a note")
			}
			if name == "while it runs" {
				j.failing(nil)
				c.say("!")
				want += "!"
			}
			for range 2 { // it has heard of the last failure
				if _, err := s.Describe(chat); err != nil {
					t.Fatal(err)
				}
			}
			if name == "with the end" {
				j.failing(nil)
			}
			c.finish("?")
			want += "?"
			started.Events.Close()
			for ended := false; !ended; {
				ended = receive(t, j.arrived, journalEnded) == journalEnded
			}
			if _, err := s.Describe(chat); err != nil { // it knows of the end
				t.Fatal(err)
			}
			if name == "behind the end" {
				j.failing(nil)
				two := start(t, s, chat, watched("two"))
				a.next(t).finish("2")
				rest(t, two)
			}
			live, err := s.Describe(chat)
			if err != nil {
				t.Fatal(err)
			}
			d, said := revived(t, j, chat)
			if said[1] != "assistant: "+want {
				t.Errorf("%d bytes are kept, want %d: %v", len(said[1]), len(want), said)
			}
			if d.Turns != live.Turns || d.Messages != live.Messages || d.Messages != len(said) {
				t.Errorf("revived %+v, live %+v, %d messages", d, live, len(said))
			}
		})
	}
}

func TestAnIdleSessionWritesWhatItOwesBeforeItLeaves(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	started := start(t, s, chat, watched("one"))
	j.failing(func(kind string) bool { return kind == journalEnded })
	a.next(t).finish("1")
	rest(t, started)
	started.Events.Close()
	log := peek(t, s, chat)
	j.failing(nil)
	drain(j.arrived)
	askToGo(s, chat)
	j.next(t, journalEnded)
	if _, err := s.Describe(chat); err != nil { // it has heard of that
		t.Fatal(err)
	}
	askToGo(s, chat)
	gone(t, log)
	equal(t, "conversation", conversation(t, s, chat), []string{"user: one", "assistant: 1"})
}

func TestAnAnswerOfWhichTheJournalCannotTakeADeltaIsKept(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	started := start(t, s, chat, watched("one"))
	c := a.next(t)
	c.step(func(emit func([]agent.Delta)) (r agent.Result, err error, end bool) {
		emit([]agent.Delta{{}, {Chunk: []byte(`no JSON`)}})
		return
	})
	c.finish("1")
	rest(t, started)
	d, said := revived(t, j, chat)
	equal(t, "conversation", said, []string{"user: one", "assistant: 1"})
	if d.Turns != 1 {
		t.Errorf("%+v", d)
	}
}

func TestAMessageToASessionThatTheJournalHasForgottenBeginsItAnew(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	a.next(t).finish("1")
	rest(t, first)
	if err := j.Memory.Delete(t.Context(), chat.id()); err != nil {
		t.Fatal(err)
	}
	again := start(t, s, chat, watched("two"))
	c := a.next(t)
	equal(t, "what the model sees", texts(c.request.Messages), []string{"user: two"})
	c.finish("2")
	rest(t, again)
}

// A watcher must not keep a session from being read anew.
func TestAWatchedSessionWhoseJournalHasGoneOnIsReadAnew(t *testing.T) {
	j := newJournal()
	s, _ := scriptedSystem(t, Options{Journal: j})
	if _, err := s.Create(chat, nil); err != nil {
		t.Fatal(err)
	}
	watcher := subscribe(t, s, chat, Subscribe{Live: true, Create: true})
	j.takeOver(t, `{"by":"other"}`)
	if _, err := s.Start(chat, message("one"), nil); err != nil {
		t.Error(err)
	}
	gone(t, watcher)
	if d, err := s.Describe(chat); err != nil || string(d.Metadata) != `{"by":"other"}` {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestASessionThatCannotBeReadDoesNotKeepTheOthersFromBeingSwept(t *testing.T) {
	j := newJournal()
	j.Memory.Append(chat.id(), 1, store.Batch{Events: []store.Event{{Kind: "unknown"}}, Head: []byte(`{"from":1}`)}, func(error) {})
	s := testSystem(t, Options{Journal: j, Agent: echo, Live: Live{Retention: store.Retention{MaxSessions: 1}}})
	for _, name := range []string{"a", "b"} {
		rest(t, start(t, s, Key{"ann", name}, watched("hi")))
	}
	if n, err := s.Sweep(t.Context()); n != 1 || err == nil {
		t.Errorf("removed %d, %v", n, err)
	}
}

// The answers of the journal can come late: the end of a turn must not get before
// what was said in it.
func TestTheEndOfATurnWaitsForWhatIsOwedBeforeIt(t *testing.T) {
	s := &session{state: &state{last: 5}}
	event := func(kind string) owed { return s.debt(store.Event{Kind: kind, Turn: "t"}, nil) }
	first := &written{after: 3, err: errDisk, owed: []owed{event(journalStarted)}}
	second := &written{after: 4, err: store.ErrFenced, owed: []owed{event(journalSaid)}}
	s.writing = []*written{first, second}
	if err := s.written(first); !errors.Is(err, errDisk) || s.last != 3 {
		t.Errorf("%v, at %d", err, s.last)
	}
	if len(s.owed) != 2 || s.owed[0].event.Kind != journalStarted || s.owed[1].event.Kind != journalSaid {
		t.Errorf("owed %+v", s.owed)
	}
	if err := s.written(second); !errors.Is(err, errBehind) || len(s.owed) != 2 || s.last != 3 {
		t.Errorf("%v, owed %+v, at %d", err, s.owed, s.last)
	}
}
