package actors

import (
	"log/slog"
	"time"

	"agentzero/store"
)

// defaultSaveEvery is how long what a running turn has said waits to be written down: a
// crash loses no more of it.
const defaultSaveEvery = 800 * time.Millisecond

// noteStart writes down that a turn runs: after a crash it is not run again.
// Nobody waits for that.
func (s *session) noteStart(t *turn) {
	t.saved = s.log.newest()
	if s.entry.ephemeral {
		return
	}
	s.note(t, journalStarted, &startRecord{Seq: t.saved})
}

// room tells whether n more bytes of deltas can wait in the log: what waits must
// not fall out of its window.
func (s *session) room(t *turn, n int) bool {
	return s.entry.ephemeral || t.unsaved+n <= s.log.limit/2
}

// saveLater sees to it that what was said is written down in time.
func (s *session) saveLater(t *turn) {
	if s.entry.ephemeral || t.saver != nil {
		return
	}
	self := s.self
	t.saver = time.AfterFunc(untilSave(time.Now(), s.system.options.SaveEvery), func() { s.system.tell(self, &checkpoint{t}) })
}

// untilSave is how long to wait before writing: until a moment that is the same for
// all sessions, so that they share a transaction, and no longer than every.
func untilSave(now time.Time, every time.Duration) time.Duration {
	step := every / 8
	if step <= 0 {
		return every
	}
	return now.Add(every).Truncate(step).Sub(now)
}

// checkpoint writes down what a running turn has said since the last time.
func (s *session) checkpoint(t *turn) {
	if t != s.current || t.phase != phaseRunning {
		return
	}
	if t.saver != nil {
		t.saver.Stop()
		t.saver = nil
	}
	t.unsaved = 0
	said := s.unsaid(t)
	if said == nil {
		return
	}
	t.saved = s.log.newest()
	s.note(t, journalSaid, said)
}

// unsaid is what a turn has said and no record tells yet.
func (s *session) unsaid(t *turn) *saidRecord {
	scratch, _ := s.system.scratch.Get().(*[]Event)
	if scratch == nil {
		scratch = new([]Event)
	}
	deltas := s.log.since((*scratch)[:0], t.saved, t.Turn)
	said := sayRecord(deltas)
	clear(deltas) // lets go of their bytes
	*scratch = deltas[:0]
	s.system.scratch.Put(scratch)
	return said
}

// note writes something about a turn that nobody waits for.
func (s *session) note(t *turn, kind string, record any) {
	data, err := encode(record)
	if err != nil { // a chunk that is no JSON; the turn's end will tell
		s.system.options.Logger.Error("a note cannot be written", slog.String("turn_id", t.Turn), slog.Any("error", err))
		t.torn = true
		return
	}
	s.repay()
	b := store.Batch{Open: true, Events: []store.Event{{Kind: kind, Turn: t.Turn, At: time.Now(), Data: data}}}
	s.append(b, []owed{s.debt(b.Events[0], nil)}, func(err error) any { return &noted{err} })
}

// takeUp takes the log of the incarnations before this process's first.
func (s *session) takeUp(r *revival) {
	if s.entry.revived {
		return // the log is older than this incarnation
	}
	s.log.restore(r.head.Log, r.lost, r.events, r.used)
	s.entry.older = r.snap.At > 0
}

// finishLost sees to the turns whose end the journal does not know and nobody
// here has in flight: those of a process that died. One that ran is over, with
// what there is of its answer; the others run, in their order. A process that is
// shutting down leaves them to the next.
func (s *session) finishLost(r *revival) {
	for _, t := range r.open {
		if s.inFlight(t.Turn) {
			continue
		}
		if s.system.draining.Load() && s.system.options.Resumes {
			s.left = append(s.left, t.place)
			continue
		}
		s.flight = append(s.flight, t)
		s.system.ledger.accepted.Add(1)
		s.system.ledger.queued.Add(1)
		t.saved = s.log.newest() // what the journal has of it, it has
		if !t.started.IsZero() {
			t.stop(ReasonCrashed)
			s.finish(t)
			continue
		}
		t.phase = phaseQueued
		s.place(t)
		if t.interrupts() {
			s.interrupt(t)
		}
		if !t.Deadline.IsZero() {
			s.expireAt(t)
		}
		s.abandon(t)
	}
}

func (s *session) inFlight(id string) bool {
	for _, t := range s.flight {
		if t.Turn == id {
			return true
		}
	}
	return false
}
