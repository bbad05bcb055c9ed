package store

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
)

// MemoryOptions bounds a [Memory] journal.
type MemoryOptions struct {
	// MaxSessions is how many sessions are kept; 0 means 10,000.
	MaxSessions int
	// MaxBytes bounds the sum of all events' data; 0 means 256 MiB.
	MaxBytes int64
}

// Memory is a [Journal] that lives as long as the process. At its limits it
// forgets the session that was written longest ago.
type Memory struct {
	options MemoryOptions

	mu       sync.Mutex
	sessions map[ID]*list.Element // of *record
	recent   *list.List           // of *record, the last written first
	serial   uint64
	bytes    int64
	closed   bool
}

type record struct {
	info   Info
	serial uint64 // order of creation
	epoch  uint64
	events []Event
	bytes  int64
}

var _ Journal = (*Memory)(nil)

// NewMemory returns an empty journal.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxSessions <= 0 {
		o.MaxSessions = 10_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	return &Memory{options: o, sessions: make(map[ID]*list.Element), recent: list.New()}
}

// Append implements [Journal].
func (m *Memory) Append(id ID, epoch uint64, events []Event, done func(error)) {
	done(m.append(id, epoch, events))
}

func (m *Memory) append(id ID, epoch uint64, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	element, ok := m.sessions[id]
	if !ok {
		m.serial++
		element = m.recent.PushFront(&record{info: Info{ID: id, Created: events[0].At}, serial: m.serial})
		m.sessions[id] = element
	}
	r := element.Value.(*record)
	if epoch < r.epoch {
		return ErrFenced
	}
	r.epoch = epoch
	for _, e := range events {
		r.events = append(r.events, e)
		r.bytes += eventBytes(e)
		m.bytes += eventBytes(e)
		r.info.Updated = e.At
	}
	m.recent.MoveToFront(element)
	m.evict()
	return nil
}

// eventBytes counts an event's data and roughly what holds it.
func eventBytes(e Event) int64 {
	return int64(len(e.Data)+len(e.Turn)) + 96
}

// evict forgets the sessions written longest ago until the limits hold; the one
// just written stays, whatever its size.
func (m *Memory) evict() {
	for m.recent.Len() > 1 && (m.recent.Len() > m.options.MaxSessions || m.bytes > m.options.MaxBytes) {
		m.remove(m.recent.Back())
	}
}

func (m *Memory) remove(element *list.Element) {
	r := element.Value.(*record)
	m.bytes -= r.bytes
	delete(m.sessions, r.info.ID)
	m.recent.Remove(element)
}

// Load implements [Journal].
func (m *Memory) Load(_ context.Context, id ID) (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Snapshot{}, ErrClosed
	}
	element, ok := m.sessions[id]
	if !ok {
		return Snapshot{}, ErrNotFound
	}
	r := element.Value.(*record)
	return Snapshot{Info: r.info, Epoch: r.epoch, Events: slices.Clone(r.events)}, nil
}

// List implements [Journal].
func (m *Memory) List(_ context.Context, owner, after string, limit int) ([]Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	before := ^uint64(0)
	if after != "" {
		element, ok := m.sessions[ID{Owner: owner, Name: after}]
		if !ok {
			return nil, ErrNotFound
		}
		before = element.Value.(*record).serial
	}
	var found []*record
	for id, element := range m.sessions {
		if r := element.Value.(*record); id.Owner == owner && r.serial < before {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int { return cmp.Compare(b.serial, a.serial) })
	found = found[:min(len(found), max(limit, 0))]
	infos := make([]Info, len(found))
	for i, r := range found {
		infos[i] = r.info
	}
	return infos, nil
}

// Delete implements [Journal].
func (m *Memory) Delete(_ context.Context, id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if element, ok := m.sessions[id]; ok {
		m.remove(element)
	}
	return nil
}

// Ping implements [Journal].
func (m *Memory) Ping(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	return nil
}

// Close implements [Journal].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
