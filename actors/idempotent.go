package actors

import (
	"container/list"
	"sync"
	"time"
)

// Idempotency makes retries of a message harmless.
type Idempotency struct {
	// Key is the client's, made unique by its owner and route.
	Key string
	// Fingerprint is a digest of the body; the same key with another one is
	// refused.
	Fingerprint [32]byte
}

const (
	idempotentAge   = 24 * time.Hour
	idempotentCount = 100_000
)

// idempotent remembers the messages that came with a key: while the turn runs,
// where to watch it; when it was answered, the answer. A message that was
// refused, or whose turn was not answered, is forgotten, so that a retry tries
// again.
type idempotent struct {
	maxBytes, maxCount int

	mu    sync.Mutex
	known map[string]*list.Element // of *remembered
	order list.List                // of *remembered, the oldest first
	bytes int
}

type remembered struct {
	key         string
	fingerprint [32]byte
	at          time.Time
	ready       chan struct{} // closed when the message was accepted or refused
	refused     bool

	turn     string // of the caller's attempt
	accepted Accepted
	session  string
	entry    *entry
	done     *Log // the finished turn's events alone; nil while it runs
	bytes    int
}

func newIdempotent(maxBytes int) *idempotent {
	return &idempotent{maxBytes: maxBytes, maxCount: idempotentCount, known: make(map[string]*list.Element)}
}

// claim returns what is remembered of a key, or makes it the caller's to start.
func (i *idempotent) claim(idem *Idempotency) (r *remembered, mine bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	for e := i.order.Front(); e != nil && now.Sub(e.Value.(*remembered).at) > idempotentAge; e = i.order.Front() {
		i.forget(e)
	}
	if e, ok := i.known[idem.Key]; ok {
		return e.Value.(*remembered), false
	}
	r = &remembered{key: idem.Key, fingerprint: idem.Fingerprint, at: now, turn: NewID("turn_"), ready: make(chan struct{})}
	i.known[idem.Key] = i.order.PushBack(r)
	i.bound()
	return r, true
}

// bound forgets the oldest finished answers until the limits hold. The messages
// whose turns run are fewer than the turns in flight, and stay.
func (i *idempotent) bound() {
	var next *list.Element
	for e := i.order.Front(); e != nil && (i.bytes > i.maxBytes || i.order.Len() > i.maxCount); e = next {
		next = e.Next()
		if e.Value.(*remembered).done != nil {
			i.forget(e)
		}
	}
}

func (i *idempotent) forget(e *list.Element) {
	r := e.Value.(*remembered)
	i.bytes -= r.bytes
	i.order.Remove(e)
	delete(i.known, r.key)
}

// started records what became of the caller's attempt.
func (i *idempotent) started(r *remembered, e *entry, accepted *Accepted) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if accepted == nil {
		r.refused = true
		if e, ok := i.known[r.key]; ok && e.Value == r {
			i.forget(e)
		}
	} else {
		r.accepted, r.session = *accepted, e.key.Name
		if r.done == nil {
			r.entry = e
		}
	}
	close(r.ready)
}

// answered keeps the events of an answered turn for the keys of all messages in it.
func (i *idempotent) answered(keys []turnKey, turn string, log *Log) {
	answer := log.extract(turn)
	if answer == nil {
		i.failed(keys)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, key := range keys {
		if e, ok := i.find(key); ok {
			r := e.Value.(*remembered)
			r.done, r.entry, r.bytes = answer, nil, answer.bytes
			i.bytes += r.bytes
		}
	}
	i.bound()
}

// failed forgets the messages of a turn that was not answered.
func (i *idempotent) failed(keys []turnKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, key := range keys {
		if e, ok := i.find(key); ok {
			i.forget(e)
		}
	}
}

// find returns what is remembered of a key, if it is still of this turn.
func (i *idempotent) find(key turnKey) (*list.Element, bool) {
	e, ok := i.known[key.key]
	return e, ok && e.Value.(*remembered).turn == key.turn
}

// startOnce starts a message unless its key has been seen.
func (s *System) startOnce(key Key, m StartTurn, idem *Idempotency) (*Started, error) {
	for {
		r, mine := s.idempotent.claim(idem)
		if mine {
			if key.Name == "" {
				return s.startFirst(key, m, r)
			}
			if known, err := s.recall(r); err != nil {
				return nil, err
			} else if !known {
				return s.startFirst(key, m, r)
			}
		}
		if r.fingerprint != idem.Fingerprint {
			return nil, errConflict
		}
		<-r.ready // acceptance takes no longer than a write to the journal
		if r.refused {
			continue // refusals are not remembered
		}
		return s.replay(r, m.Watch, m.Whole), nil
	}
}

var errConflict = &Refusal{Code: RefusedConflict, Message: "this Idempotency-Key came before with another body"}

func (s *System) startFirst(key Key, m StartTurn, r *remembered) (*Started, error) {
	m.IdempotencyKey, m.Fingerprint, m.Turn = r.key, r.fingerprint, r.turn
	e, sub, accepted, err := s.begin(key, &m)
	s.idempotent.started(r, e, accepted)
	if err != nil {
		return nil, err
	}
	return s.started(e, sub, accepted), nil
}

// replay attaches to the turn that was started before.
func (s *System) replay(r *remembered, watched, whole bool) *Started {
	started := &Started{Accepted: r.accepted, Session: r.session, Replayed: true}
	started.Position = 0
	if !watched {
		return started
	}
	s.idempotent.mu.Lock()
	done, e := r.done, r.entry
	s.idempotent.mu.Unlock()
	if done != nil {
		started.Events = done.subscribe(0, r.accepted.Follow)
		return started
	}
	started.Events = e.log.join(&Subscription{cursor: r.accepted.After, turn: r.accepted.Follow, whole: whole})
	s.watching(e, started.Events, r.accepted.Follow)
	s.tell(e.pid, &watch{r.accepted.Follow})
	return started
}
