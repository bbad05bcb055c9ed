package actors

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"agentzero/store"
)

// written is what the journal answers to a batch.
type written struct {
	after   uint64
	owed    []owed // what of it must be written later if it was not
	void    bool   // it was put behind a batch that was not written
	err     error
	message func(error) any // what the actor is to be told then
}

// append writes a batch behind what was written before, and tells the actor the
// message when that is done. Its events are in the order of the calls. debts are
// what of it must be written later if it cannot be now.
func (s *session) append(b store.Batch, debts []owed, message func(err error) any) {
	b.After = s.last
	w := &written{after: b.After, owed: debts, message: message}
	self := s.self
	s.system.options.Journal.Append(s.entry.key.id(), s.epoch, b, func(err error) {
		w.err = err
		s.system.tell(self, w)
	})
	s.last += uint64(len(b.Events))
	for i := range b.Events {
		s.grown += len(b.Events[i].Data)
	}
	s.writing = append(s.writing, w)
}

// errBehind is the fate of a batch behind one that was not written.
var errBehind = errors.New("what was to be written before could not be")

// written takes the journal's answer and returns what it means. What was not
// written is as if it had never been tried: the next batch takes its place, and
// the journal refuses those that are on their way behind it, which is no sign of
// another owner. What they tell is owed from now on, lest something later get
// before it.
func (s *session) written(w *written) error {
	i := slices.Index(s.writing, w)
	if i < 0 { // of an incarnation before this one, which has read what the journal has
		if errors.Is(w.err, store.ErrFenced) {
			return errBehind
		}
		if w.err != nil && s.refusal == nil {
			s.owe(w.owed...)
		}
		return w.err
	}
	behind := s.writing[i+1:]
	switch {
	case w.void && w.err == nil: // what was called a failure was none: what is known here is out of date
		w.err = store.ErrFenced
	case w.void && errors.Is(w.err, store.ErrFenced):
		w.err = errBehind
	case w.void, w.err == nil, errors.Is(w.err, store.ErrFenced):
	default:
		s.last = w.after
		s.owe(w.owed...)
		for _, b := range behind {
			s.owe(b.owed...)
			b.void, b.owed = true, nil
		}
	}
	s.writing = slices.Delete(s.writing, i, i+1)
	return w.err
}

// owed is an event that could not be written, although what it tells has
// happened: it goes before the next.
type owed struct {
	event   store.Event
	forgets []string
	n       uint64 // in the order in which they were to be written first
}

// debt makes an event one that is owed if it cannot be written.
func (s *session) debt(e store.Event, forgets []string) owed {
	s.debts++
	return owed{e, forgets, s.debts}
}

// noted tells that what nobody waits for was written, or not.
type noted struct{ err error }

const (
	// repayEvery is how often an idle session tries to write what it owes.
	repayEvery = time.Second
	// maxOwed bounds the bytes that a session owes; past it, what answers have
	// grown by is left to the record of their end.
	maxOwed = 4 << 20
)

// owe keeps events for later, in the order in which they happened.
func (s *session) owe(events ...owed) {
	s.owed = append(s.owed, events...)
	slices.SortFunc(s.owed, func(a, b owed) int { return cmp.Compare(a.n, b.n) })
	size := 0
	s.owed = slices.DeleteFunc(s.owed, func(o owed) bool {
		if o.event.Kind == journalSaid && size+len(o.event.Data) > maxOwed {
			if t := s.find(o.event.Turn); t != nil {
				t.torn = true
			}
			return true
		}
		size += len(o.event.Data)
		return false
	})
}

// repay tries again to write what is owed, before anything else.
func (s *session) repay() {
	if len(s.owed) == 0 || s.refusal != nil {
		return
	}
	debts := s.owed
	s.owed = nil
	b := store.Batch{Open: s.open(nil)}
	for i := range debts {
		b.Events = append(b.Events, debts[i].event)
		b.Forgets = append(b.Forgets, debts[i].forgets...)
	}
	s.append(b, debts, func(err error) any { return &noted{err} })
}

// open tells whether the next owner has work to see to, once t has ended.
func (s *session) open(t *turn) bool {
	return len(s.left) > 0 ||
		slices.ContainsFunc(s.flight, func(f *turn) bool { return f != t && f.phase != phaseSettle })
}
