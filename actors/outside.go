package actors

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"agentzero/store"
)

// What another process does to the journal (a command that deletes sessions or
// restores a backup, another gateway) is noticed here: the actors whose sessions
// are gone or have gone on without them end, and so do their turns and watchers.

// watchJournal tells the actors of such changes until the system ends.
func (s *System) watchJournal() {
	if j, ok := s.options.Journal.(store.Watcher); ok {
		s.background(func() { j.Watch(s.life, s.changed) })
	}
}

func (s *System) changed(c store.Change) {
	switch {
	case c.Replaced:
		s.replaced(c.Generation)
	case c.Session != store.ID{}:
		s.recheck(Key{Owner: c.Session.Owner, Name: c.Session.Name})
	default:
		s.recheckAll()
	}
}

// replaced: everything comes from a backup now. What that has of unfinished work
// goes on.
func (s *System) replaced(generation int64) {
	s.options.Logger.Info("the sessions were replaced from a backup: those in memory end")
	s.idempotent.reset()
	for _, pid := range s.registry.live() {
		s.tell(pid, &displaced{generation})
	}
	if !s.options.Resumes {
		return
	}
	if n, err := s.Resume(s.life); err != nil && s.life.Err() == nil {
		s.options.Logger.Error("sessions with unfinished work cannot be found", slog.Any("error", err))
	} else if n > 0 {
		s.options.Logger.Info("sessions with unfinished work go on", slog.Int("count", n))
	}
}

// recheckAll lets the live sessions look at the journal, some at a time.
func (s *System) recheckAll() {
	keys := make(chan Key)
	var readers sync.WaitGroup
	for range resumeAtOnce {
		readers.Go(func() {
			for key := range keys {
				s.recheck(key)
			}
		})
	}
	for _, key := range s.registry.keys() {
		keys <- key
	}
	close(keys)
	readers.Wait()
}

// recheck lets a session look at the journal, if it is in memory, and returns when
// it has, or when the system ends.
func (s *System) recheck(key Key) {
	e := s.registry.leaseLive(key)
	if e == nil {
		return
	}
	defer s.registry.unlease(e) // till then the actor stays
	done := make(chan struct{})
	s.tell(e.pid, &recheck{done})
	limit := time.NewTimer(s.replyTimeout)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	case <-s.life.Done():
	}
}

// leaseLive returns the entry of a key that is live, leased, or nil.
func (r *registry) leaseLive(key Key) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[key]
	if !ok || r.closed {
		return nil
	}
	r.leases++
	e.leases++
	return e
}

// keys names the live sessions.
func (r *registry) keys() []Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.entries))
}

type (
	recheck   struct{ done chan struct{} } // the journal may have another state than the actor; done is closed when it was looked at
	displaced struct{ generation int64 }   // the journal's contents were replaced
	keptState struct {                     // what the journal has, of a recheck
		done   chan struct{} // of the recheck, nil of none
		place  uint64        // of the last event that was appended before
		kept   store.Session
		err    error
		fenced bool // the journal took no more of the session
	}
)

// recheck reads the journal, to see whether the session is still there.
func (s *session) recheck(m *recheck) {
	if s.refusal != nil || s.last == 0 {
		close(m.done)
		return
	}
	s.ask(&keptState{done: m.done, place: s.last})
}

// ask reads what the journal has of the session, after all that was appended
// before, in a goroutine of its own.
func (s *session) ask(found *keptState) {
	self, id := s.self, s.entry.key.id()
	if !s.system.background(func() {
		found.kept, found.err = s.system.options.Journal.Load(s.system.life, id)
		s.system.tell(self, found)
	}) {
		found.err = context.Canceled
		s.compare(found)
	}
}

// compare ends the session if the journal has another state.
func (s *session) compare(m *keptState) {
	if m.done != nil {
		close(m.done)
	}
	if m.fenced {
		if !s.asking {
			return // an incarnation before this one asked
		}
		s.asking = false
	}
	switch {
	case m.fenced && errors.Is(m.err, store.ErrNotFound):
		s.displace(ReasonDeleted, "the session was deleted")
	case m.fenced && m.err == nil && m.kept.Generation != s.generation:
		s.displace(ReasonRestored, "the sessions were restored from a backup")
	case m.fenced:
		s.displace(ReasonMoved, "another owner has taken the session")
	case s.refusal != nil, len(s.owed) > 0: // what was not written tells nothing
	case errors.Is(m.err, store.ErrNotFound):
		if s.last >= m.place {
			s.displace(ReasonDeleted, "the session was deleted")
		}
	case m.err != nil:
	case m.kept.Epoch > s.epoch, m.kept.Last > s.last, m.kept.Last < m.place && s.last >= m.place:
		s.displace(ReasonMoved, "another owner has taken the session")
	}
}

// displaced: the journal's contents come from a backup. A session that was read
// from them already stays.
func (s *session) displaced(m *displaced) {
	if s.entry.ephemeral || s.refusal != nil || s.last == 0 || s.generation == m.generation {
		return
	}
	s.displace(ReasonRestored, "the sessions were restored from a backup")
}

// displace ends a session whose journal is no longer its own: its turns are
// interrupted, its watchers are told, and the next message reads the journal anew.
func (s *session) displace(reason, message string) {
	s.refusal = &Refusal{Code: RefusedUnavailable, Message: message, RetryAfter: time.Second, moved: true}
	s.owed = nil
	s.cutOff(reason)
}

// reset forgets the answers of turns that have ended.
func (i *idempotent) reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for e := i.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*remembered).done != nil {
			i.forget(e)
		}
		e = next
	}
}

// describeAgain is Describe of a session whose former actor may be on its way out.
func (s *System) describeAgain(ctx context.Context, key Key) error {
	for {
		_, err := s.Describe(key)
		var refusal *Refusal
		if !errors.As(err, &refusal) || !refusal.moved {
			return err
		}
		select { // it leaves when its turn has been let go of, which CancelTimeout bounds
		case <-time.After(settleTime):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
