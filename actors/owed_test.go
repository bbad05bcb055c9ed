package actors

import (
	"testing"
)

func onlyEnds(kind string) bool { return kind == journalEnded }

// crash makes a session's actor fail and returns when the next incarnation answers.
func crash(t *testing.T, s *System, key Key) {
	t.Helper()
	e := s.registry.lease(key)
	s.registry.unlease(e)
	s.tell(e.pid, (*checkpoint)(nil))
	if _, err := s.Describe(key); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsOwedOutlivesTheActor(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	first := start(t, s, chat, watched("one"))
	c := a.next(t)
	j.failing(onlyEnds)
	c.finish("1")
	rest(t, first)
	crash(t, s, chat)
	equal(t, "after a crash", conversation(t, s, chat), []string{"user: one", "assistant: 1"})
	j.failing(nil)
	second := start(t, s, chat, watched("two"))
	c = a.next(t)
	equal(t, "what the model sees", texts(c.request.Messages), []string{"user: one", "assistant: 1", "user: two"})
	c.finish("2")
	rest(t, second)
	if d, said := revived(t, j, chat); d.Turns != 2 || d.Messages != 4 {
		t.Errorf("another process reads %+v %v", d, said)
	}
}

// The turn of a key is neither in flight nor ended in the journal, which could not
// be written; its answer is in the log.
func TestARetryOfATurnWhoseEndIsOwedGetsItsAnswer(t *testing.T) {
	j := newJournal()
	s, a := scriptedSystem(t, Options{Journal: j})
	idem := &Idempotency{Key: "k", Fingerprint: [32]byte{1}}
	first, err := s.Start(chat, watched("one"), idem)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Events.Close()
	c := a.next(t)
	j.failing(onlyEnds)
	c.finish("the answer")
	rest(t, first)
	s.idempotent.reset() // as if it was too long ago
	again, err := s.Start(chat, watched("one"), idem)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Events.Close()
	if !again.Replayed || again.Turn != first.Turn {
		t.Errorf("%+v, want the turn %s", again.Accepted, first.Turn)
	}
	equal(t, "the answer again", story(rest(t, again)), []string{"turn.started", `"the answer"`, "turn.completed"})
	a.idle(t)
	j.failing(nil)
}
