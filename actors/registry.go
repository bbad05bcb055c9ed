package actors

import (
	"container/list"
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// registry knows the live sessions of this process. It makes sure that a key has
// one actor at a time and that no message is sent to one that is leaving: who
// sends holds a lease, and an actor may only go when nobody does.
type registry struct {
	system *System

	mu      sync.Mutex
	entries map[Key]*entry
	recent  *list.List          // of *entry, the latest leased first
	brief   map[*entry]struct{} // those of stateless requests, and of deleted sessions
	serial  uint64
	leases  int
	closed  bool
	empty   chan struct{} // closed when the registry is, and no lease is left
}

// entry is a session's place in the registry, and what outlives the actor's
// incarnations when it is restarted.
type entry struct {
	key       Key
	ephemeral bool
	log       *Log
	pid       *actor.PID
	mailbox   mailbox
	leases    int
	place     *list.Element

	// What a crashed incarnation leaves to the next; the actor's alone.
	flight  []*turn
	queue   []*turn
	stash   []stashed
	watched int
	owed    []owed
	crashed bool
	revived bool // the log was restored from the journal
	older   bool // the journal has events from before those that were restored
}

func newRegistry(s *System) *registry {
	return &registry{system: s, entries: make(map[Key]*entry), recent: list.New(), brief: make(map[*entry]struct{}), empty: make(chan struct{})}
}

// lease returns the session's entry, with its actor alive until unlease; or nil
// when the system is shut down.
func (r *registry) lease(key Key) *entry {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.leases++
	e, ok := r.entries[key]
	if ok {
		e.leases++
		r.recent.MoveToFront(e.place)
		r.mu.Unlock()
		return e
	}
	e = &entry{key: key, log: newLog(r.system.options.LogWindow), leases: 1}
	e.pid = r.spawn(e)
	e.place = r.recent.PushFront(e)
	r.entries[key] = e
	oldest := r.overflow()
	r.mu.Unlock()
	if oldest != nil {
		r.system.tell(oldest, &idleCheck{now: true})
	}
	return e
}

// peek leases a session's entry if it is in memory, and does not count as a use
// of it. The caller unleases it.
func (r *registry) peek(key Key) *entry {
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

// spawn starts an actor. Its name carries a number, because the one before it
// may not be gone entirely.
func (r *registry) spawn(e *entry) *actor.PID {
	r.serial++
	props := actor.PropsFromProducer(func() actor.Actor {
		return &session{system: r.system, entry: e, log: e.log}
	}, actor.WithMailbox(func() actor.Mailbox { return &e.mailbox }))
	name := e.key.address() + "/" + strconv.FormatUint(r.serial, 36)
	pid, err := r.system.root.SpawnNamed(props, name)
	if err != nil {
		panic("actors: the number of an actor's name was used before: " + err.Error())
	}
	return pid
}

// ephemeral starts an actor that no other message can reach. It is leased, too.
// again tells that a retry may ask for the answer from its beginning.
func (r *registry) ephemeral(owner string, again bool) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.leases++
	e := &entry{key: Key{Owner: owner}, ephemeral: true, log: newLog(r.system.options.LogWindow), leases: 1}
	e.log.passing = !again
	e.pid = r.spawn(e)
	r.brief[e] = struct{}{}
	return e
}

// stopped forgets an actor that has ended by itself.
func (r *registry) stopped(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.brief, e)
}

// overflow returns the actor to be asked to go when there are too many.
func (r *registry) overflow() *actor.PID {
	if len(r.entries) <= r.system.options.MaxLive {
		return nil
	}
	for place := r.recent.Back(); place != nil; place = place.Prev() {
		if e := place.Value.(*entry); e.leases == 0 {
			r.recent.MoveToFront(place) // should it be busy, ask another the next time
			return e.pid
		}
	}
	return nil
}

func (r *registry) unlease(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.leases--
	r.leases--
	if r.closed && r.leases == 0 {
		close(r.empty)
	}
}

// close lets nobody in any more. When the last lease ends, nothing that an actor
// was sent waits for its answer.
func (r *registry) close() (empty <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		if r.leases == 0 {
			close(r.empty)
		}
	}
	return r.empty
}

// release lets an actor go, unless somebody holds a lease.
func (r *registry) release(e *entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.leases > 0 {
		return false
	}
	r.remove(e)
	return true
}

// retire frees the name of an actor that has ended its session. Who holds a
// lease can still talk to it.
func (r *registry) retire(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(e)
	r.brief[e] = struct{}{}
}

func (r *registry) remove(e *entry) {
	if r.entries[e.key] == e {
		delete(r.entries, e.key)
		r.recent.Remove(e.place)
	}
}

func (r *registry) live() []*actor.PID {
	r.mu.Lock()
	defer r.mu.Unlock()
	pids := make([]*actor.PID, 0, len(r.entries)+len(r.brief))
	for _, e := range r.entries {
		pids = append(pids, e.pid)
	}
	for e := range r.brief {
		pids = append(pids, e.pid)
	}
	return pids
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries)
}
