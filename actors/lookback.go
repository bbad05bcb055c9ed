package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/store"
)

// lookBack reads what a watcher asks for from the journal. A session that was
// revived from a snapshot has only the events since then in its log: most need no
// more.
func (s *session) lookBack(m *Subscribe, sender *actor.PID) {
	m.looked = true
	back := &lookedBack{subscribe: m, sender: sender, seam: s.log.beginning()}
	var places []uint64 // of turns, the oldest first
	for i := range s.items {
		if n := len(places); n == 0 || places[n-1] != s.items[i].place {
			places = append(places, s.items[i].place)
		}
	}
	self := s.self
	if !s.system.background(func() {
		back.events, back.lost = s.system.lookBack(s.entry.key.id(), places, m.After, back.seam)
		s.system.tell(self, back)
	}) {
		s.refuse(sender, RefusedDraining, "the gateway is shutting down", time.Second)
	}
}

// lookBack reads the events past a number and up to the seam; the number before
// those that it found is the seam where it found none. It begins with the last
// turn and goes back in growing steps.
func (s *System) lookBack(id store.ID, places []uint64, after, seam uint64) (events []numbered, lost uint64) {
	for i, step := len(places)-1, 1; i >= 0; i, step = i-step, 2*step {
		r, err := replay(s.life, s.options.Journal, id, places[i], s.options.LogWindow)
		if err != nil || !r.exists {
			return nil, seam
		}
		if r.lost <= after || i == 0 {
			return r.events, r.lost
		}
		if i < step {
			i = step // the first comes next
		}
	}
	return nil, seam
}

// replay reads a session's events from a place on.
func replay(ctx context.Context, journal store.Journal, id store.ID, place uint64, window int) (*revival, error) {
	r, err := loadHead(ctx, journal, id)
	if err != nil || !r.exists {
		return r, err
	}
	r.window = window
	return r, r.read(ctx, journal, id, place)
}

// lookedBack lets the watcher in, if its place was found.
func (s *session) lookedBack(m *lookedBack) {
	s.log.extend(m.seam, m.lost, m.events)
	s.subscribe(m.subscribe, m.sender)
}

// extend puts older events before the log's, unless some were dropped from it
// meanwhile.
func (l *Log) extend(seam, lost uint64, events []numbered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != seam || lost >= seam {
		return
	}
	slices.SortFunc(events, func(a, b numbered) int { return cmp.Compare(a.seq, b.seq) })
	older := make([]Event, 0, len(events)+len(l.events))
	for i := range events {
		e := &events[i]
		if e.seq <= lost || e.seq > seam {
			continue
		}
		older = append(older, Event{Seq: e.seq, Kind: e.kind, Turn: e.turn, Data: e.data, contentAt: e.contentAt, contentLen: e.contentLen})
		l.bytes += older[len(older)-1].bytes()
	}
	l.events, l.lost = append(older, l.events...), lost
	l.trim()
}
