package actors

import (
	"cmp"
	"slices"
	"sort"
	"sync"
)

// EventKind says what an [Event] tells.
type EventKind uint8

// The kinds of events. Their names are the wire's.
const (
	// EventDelta carries a piece of the answer.
	EventDelta EventKind = iota + 1
	// EventQueued: the turn was accepted and waits.
	EventQueued
	// EventStarted: the model is being called.
	EventStarted
	// EventCompletion carries a whole answer that was asked for as one, before
	// the turn's EventCompleted. It is for the turn's own caller.
	EventCompletion
	// EventMerged ends a turn whose message became part of another turn.
	EventMerged
	// EventCompleted ends a turn that was answered.
	EventCompleted
	// EventInterrupted ends a turn that was cancelled; its partial answer stays.
	EventInterrupted
	// EventFailed ends a turn that failed.
	EventFailed
)

var eventNames = [...]string{
	EventDelta: "delta", EventQueued: "turn.queued", EventStarted: "turn.started",
	EventCompletion: "turn.completion", EventMerged: "turn.merged", EventCompleted: "turn.completed",
	EventInterrupted: "turn.interrupted", EventFailed: "turn.failed",
}

func (k EventKind) String() string { return eventNames[k] }

// Ends reports whether the kind is the last of its turn.
func (k EventKind) Ends() bool { return k >= EventMerged }

// Event is one entry of a session's log. Its bytes are never changed after it
// was appended, so an Event may be kept and shared.
type Event struct {
	// Seq counts the events of this log from 1.
	Seq  uint64
	Kind EventKind
	// Turn is the id of the turn the event belongs to.
	Turn string
	// Data is a JSON object; of EventDelta it is the chunk's members without
	// braces (see agent.Delta).
	Data []byte
	// contentAt and contentLen find the delta's text in Data.
	contentAt, contentLen uint32
}

// Content is the text of a delta as a JSON string literal, quotes included, or
// nil where the delta carries no text.
func (e *Event) Content() []byte {
	if e.contentLen == 0 {
		return nil
	}
	return e.Data[e.contentAt : e.contentAt+e.contentLen]
}

func (e *Event) bytes() int { return len(e.Data) + eventOverhead }

// eventOverhead is the size of an Event without its data.
const eventOverhead = 72

// Log is what happened in a session lately: the window of events from which its
// watchers read. Only the session's actor appends; a watcher is a cursor (see
// [Subscription]), so a slow one holds no memory and delays nobody. Events that
// fall out of the window are gone, and a cursor that points there is told so.
type Log struct {
	epoch string
	limit int
	// passing logs drop what all their watchers have read: nobody can come back
	// for it.
	passing bool

	mu      sync.Mutex
	events  []Event // their numbers may have holes
	last    uint64  // sequence number of the newest event
	lost    uint64  // of the newest event that is no longer kept
	held    []held  // events that nobody may see yet, in their order
	bytes   int
	slab    []byte // the bytes of new events are copied here
	subs    []*Subscription
	rung    []*Subscription // those to be notified when mu is unlocked
	closed  bool
	why     string        // it was closed, or ""
	reading chan struct{} // closed when a watcher has read, nil where nobody waits for that
}

// newLog returns a log whose window holds limit bytes.
func newLog(limit int) *Log {
	return &Log{epoch: newLogEpoch(), limit: limit}
}

func newLogEpoch() string { return NewID("")[:8] }

// Epoch names this log; sequence numbers of different epochs are not comparable.
// A session's log keeps its epoch from the session's creation to its deletion.
func (l *Log) Epoch() string { return l.epoch }

// jump is by how much a revived session's numbers go on past those that were
// written down: more than a session can have said without writing it down, so
// that no number is used twice.
const jump = 1 << 20

// restore takes up the log of an earlier incarnation, as far as the journal has
// it: the events from one on, the number before it, and the last number known.
// Who follows already, follows what is to come.
func (l *Log) restore(epoch string, lost uint64, events []numbered, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch, l.lost = epoch, lost
	// The ends of other turns may have been written before what was said before them.
	slices.SortFunc(events, func(a, b numbered) int { return cmp.Compare(a.seq, b.seq) })
	for i := range events {
		if events[i].seq > lost {
			l.put(&events[i].pending, events[i].seq)
		}
	}
	if last > 0 {
		last = (last/jump + 1) * jump
	}
	l.last = max(l.last, last)
	for _, s := range l.subs {
		s.cursor = l.last
	}
	l.trim()
}

// put adds one event; the caller holds mu.
func (l *Log) put(p *pending, seq uint64) {
	l.events = append(l.events, Event{
		Seq: seq, Kind: p.kind, Turn: p.turn, Data: l.keep(p.data),
		contentAt: p.contentAt, contentLen: p.contentLen,
	})
	l.bytes += len(p.data) + eventOverhead
}

// pending is an event to be appended; data is copied.
type pending struct {
	kind                  EventKind
	turn                  string
	data                  []byte
	contentAt, contentLen uint32
}

// held is a run of events that waits to be seen.
type held struct{ first, last uint64 }

// append adds events and wakes whoever watches them. It returns the sequence
// number of the last.
func (l *Log) append(batch ...pending) uint64 {
	if len(batch) == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.unlock()
	return l.add(batch)
}

// hold adds events that nobody sees, nor what comes behind them, until they are
// released: they are numbered before they are certain.
func (l *Log) hold(batch ...pending) (last uint64) {
	l.mu.Lock()
	defer l.unlock()
	l.held = append(l.held, held{l.last + 1, l.last + uint64(len(batch))})
	return l.add(batch)
}

// release shows the held events that end with the number last. final takes the
// place of the last of them, where it is given.
func (l *Log) release(last uint64, final *pending) {
	l.mu.Lock()
	defer l.unlock()
	i := slices.IndexFunc(l.held, func(h held) bool { return h.last == last })
	if i < 0 {
		return
	}
	first, before := l.held[i].first, l.seen()
	l.held = slices.Delete(l.held, i, i+1)
	from, _ := l.after(max(first-1, l.lost))
	for k := from; final != nil && k < len(l.events) && l.events[k].Seq <= last; k++ {
		if e := &l.events[k]; e.Seq == last {
			l.bytes += len(final.data) - len(e.Data)
			e.Kind, e.Data = final.kind, l.keep(final.data)
		}
	}
	if i == 0 {
		l.show(before)
	}
	l.trim()
}

// show tells the watchers of what could not be seen past a number and now can.
func (l *Log) show(before uint64) {
	from, _ := l.after(max(before, l.lost))
	for _, s := range l.subs {
		for k := from; k < len(l.events) && l.events[k].Seq <= l.seen(); k++ {
			s.end(&l.events[k])
		}
		l.ring(s)
	}
}

// seen is the number of the last event that may be seen.
func (l *Log) seen() uint64 {
	if len(l.held) > 0 {
		return l.held[0].first - 1
	}
	return l.last
}

// add appends events; the caller holds mu.
func (l *Log) add(batch []pending) uint64 {
	before, old := l.last, len(l.events)
	for i := range batch {
		l.last++
		l.put(&batch[i], l.last)
	}
	for _, s := range l.subs {
		s.appended(before, l.events[old:])
	}
	l.trim()
	return l.last
}

const (
	minSlab = 1 << 10
	maxSlab = 16 << 10
)

// keep copies data into the current slab, or a new one where it is full. Slabs
// grow with the log, so that a short answer stays small and a long one costs
// few allocations.
func (l *Log) keep(data []byte) []byte {
	if cap(l.slab)-len(l.slab) < len(data) {
		size := min(max(minSlab, 2*cap(l.slab)), maxSlab)
		if l.passing {
			size = minSlab // it is let go of soon
		}
		l.slab = make([]byte, 0, max(size, len(data)))
	}
	start := len(l.slab)
	l.slab = append(l.slab, data...)
	return l.slab[start:len(l.slab):len(l.slab)]
}

// trim drops the oldest events that the window can do without: what is left is
// at least its limit, so that one event as large as the window does not push out
// what stands before it, nor is pushed out by the next. Those that were not seen
// yet always stay.
func (l *Log) trim() {
	if l.passing {
		l.forget()
		return
	}
	drop := 0
	for seen := l.seen(); drop < len(l.events)-1 && l.events[drop].Seq <= seen; drop++ {
		size := l.events[drop].bytes()
		if l.bytes-size < l.limit {
			break
		}
		l.bytes -= size
	}
	if drop == 0 {
		return
	}
	l.lost = l.events[drop-1].Seq
	clear(l.events[:drop]) // let go of their bytes
	l.events = l.events[drop:]
}

// forget drops what all watchers of a passing log have read, and, as trim does,
// what its window cannot hold.
func (l *Log) forget() {
	read := l.last
	for _, s := range l.subs {
		read = min(read, s.cursor)
	}
	drop := 0
	for drop < len(l.events) && (l.events[drop].Seq <= read || drop < len(l.events)-1 && l.bytes-l.events[drop].bytes() >= l.limit) {
		l.bytes -= l.events[drop].bytes()
		drop++
	}
	if drop == 0 {
		return
	}
	l.lost = l.events[drop-1].Seq
	l.events = slices.Delete(l.events, 0, drop) // there are few
}

// after returns the index of the first event past seq, and false where events
// past seq were dropped.
func (l *Log) after(seq uint64) (int, bool) {
	if seq < l.lost {
		return 0, false
	}
	if n := len(l.events); n == 0 || l.events[n-1].Seq <= seq {
		return n, true // the most frequent question: is there something new?
	}
	return sort.Search(len(l.events), func(i int) bool { return l.events[i].Seq > seq }), true
}

// since appends the deltas of a turn past seq to dst. Their bytes are shared.
func (l *Log) since(dst []Event, seq uint64, turn string) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := l.after(max(seq, l.lost))
	for k := i; k < len(l.events); k++ {
		if e := &l.events[k]; e.Kind == EventDelta && e.Turn == turn {
			dst = append(dst, *e)
		}
	}
	return dst
}

// position is the sequence number of the newest event that may be seen.
func (l *Log) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen()
}

// newest is the sequence number of the newest event, seen or not.
func (l *Log) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// holds reports whether all events past seq are there, and seq is not ahead of
// them.
func (l *Log) holds(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.after(seq)
	return ok && seq <= l.last
}

// close ends the log for all who watch it.
func (l *Log) close() { l.end("") }

// end ends the log and says why, "" where there is nothing to say.
func (l *Log) end(why string) {
	l.mu.Lock()
	defer l.unlock()
	if !l.closed {
		l.why = why
	}
	l.closed = true
	for _, s := range l.subs {
		l.ring(s)
	}
}

// ring notes a watcher to be notified when the lock is given up: what it does
// then may be to read from the log at once.
func (l *Log) ring(s *Subscription) { l.rung = append(l.rung, s) }

// unlock gives up the lock and notifies those that were rung.
func (l *Log) unlock() {
	var few [4]*Subscription // nearly always enough, and on the stack
	rung := append(few[:0], l.rung...)
	clear(l.rung)
	l.rung = l.rung[:0]
	l.mu.Unlock()
	for _, s := range rung {
		s.Notify()
	}
}

// extract returns a log of one turn's events alone, or nil where some of them
// are no longer in the window. It has its own copy of the bytes, lest it hold
// all that was appended beside them.
func (l *Log) extract(turn string) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &Log{epoch: l.epoch, limit: l.limit}
	for i := range l.events {
		if e := &l.events[i]; e.Turn == turn {
			out.events = append(out.events, *e)
			out.bytes += e.bytes()
		}
	}
	out.slab = make([]byte, 0, out.bytes-len(out.events)*eventOverhead)
	for i := range out.events {
		out.events[i].Data = out.keep(out.events[i].Data)
	}
	if len(out.events) == 0 || out.events[0].Kind == EventDelta {
		return nil
	}
	out.last = out.events[len(out.events)-1].Seq
	out.closed = true
	return out
}

// subscribe starts a cursor past seq. turn narrows it to one turn's events; ""
// is all of them.
func (l *Log) subscribe(after uint64, turn string) *Subscription {
	return l.join(&Subscription{cursor: after, turn: turn})
}

// follow starts a cursor at the present end of the log, for a turn that is about
// to come.
func (l *Log) follow(turn string, whole bool) *Subscription {
	return l.join(&Subscription{cursor: atEnd, turn: turn, whole: whole})
}

// atEnd is the cursor of a watcher of what is to come.
const atEnd = ^uint64(0)

func (l *Log) join(s *Subscription) *Subscription {
	s.log, s.wake = l, make(chan struct{}, 1)
	s.Notify()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.cursor == atEnd {
		s.cursor = l.seen()
	}
	l.subs = append(l.subs, s)
	return s
}

func (l *Log) unsubscribe(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.subs, s); i >= 0 {
		l.subs = slices.Delete(l.subs, i, i+1)
		l.hasRead()
	}
}
