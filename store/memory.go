package store

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// MemoryOptions bounds a [Memory] journal.
type MemoryOptions struct {
	// MaxSessions is how many sessions are kept; 0 means 10,000.
	MaxSessions int
	// MaxBytes bounds the sum of all events' data; 0 means 256 MiB.
	MaxBytes int64
}

// Memory is a [Journal] that lives as long as the process. At its limits it
// forgets the session that was written longest ago and has no work in flight.
type Memory struct {
	options MemoryOptions

	mu       sync.Mutex
	sessions map[ID]*list.Element // of *record
	recent   *list.List           // of *record, the last written first
	claims   map[string]Claim
	inboxes  map[string]*inbox
	places   uint64 // of deliveries
	serial   uint64
	bytes    int64
	closed   bool
}

type record struct {
	Session
	serial   uint64 // order of creation
	snapshot []byte
	events   []Event
	claims   []string
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
	return &Memory{options: o, sessions: make(map[ID]*list.Element), recent: list.New(), claims: make(map[string]Claim), inboxes: make(map[string]*inbox)}
}

// Append implements [Journal].
func (m *Memory) Append(id ID, epoch uint64, b Batch, done func(error)) {
	done(m.append(id, epoch, b))
}

func (m *Memory) append(id ID, epoch uint64, b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	element, ok := m.sessions[id]
	if !ok {
		if b.After != 0 {
			return ErrFenced
		}
		m.serial++
		element = m.recent.PushFront(&record{Session: Session{Info: Info{ID: id, Created: b.at(), Updated: b.at()}}, serial: m.serial})
		m.sessions[id] = element
	}
	r := element.Value.(*record)
	if epoch < r.Epoch || b.After != r.Last {
		return ErrFenced
	}
	r.Epoch, r.Open = epoch, b.Open
	if len(b.Events) > 0 {
		r.Updated = b.at()
		m.recent.MoveToFront(element)
	}
	if b.Snapshot != nil {
		m.resize(r, int64(len(b.Snapshot)-len(r.snapshot)))
		r.snapshot = b.Snapshot
	}
	if b.Head != nil {
		m.resize(r, int64(len(b.Head)-len(r.Head)))
		r.Head = b.Head
	}
	for _, e := range b.Events {
		r.Last++
		e.Seq = r.Last
		r.events = append(r.events, e)
		m.resize(r, eventBytes(e))
	}
	for _, key := range b.Forgets {
		delete(m.claims, key)
	}
	for _, c := range b.Claims {
		m.claims[c.Key] = c
		r.claims = append(r.claims, c.Key)
	}
	m.evict()
	return nil
}

// at is the time of a batch.
func (b *Batch) at() time.Time {
	if n := len(b.Events); n > 0 {
		return b.Events[n-1].At
	}
	return time.Now()
}

func (m *Memory) resize(r *record, by int64) {
	r.Bytes += by
	m.bytes += by
}

// eventBytes counts an event's data and roughly what holds it.
func eventBytes(e Event) int64 {
	return int64(len(e.Data)+len(e.Turn)) + 104
}

// evict forgets the sessions written longest ago until the limits hold. The one
// just written stays, whatever its size, and so do those with work in flight.
func (m *Memory) evict() {
	var before *list.Element
	for e := m.recent.Back(); e != m.recent.Front() && (m.recent.Len() > m.options.MaxSessions || m.bytes > m.options.MaxBytes); e = before {
		before = e.Prev()
		if !e.Value.(*record).Open {
			m.remove(e)
		}
	}
}

func (m *Memory) remove(element *list.Element) {
	r := element.Value.(*record)
	m.bytes -= r.Bytes
	for _, key := range r.claims {
		if m.claims[key].Session == r.ID {
			delete(m.claims, key)
		}
	}
	delete(m.sessions, r.ID)
	m.recent.Remove(element)
}

// find returns a session; the caller holds mu.
func (m *Memory) find(id ID) (*record, error) {
	if m.closed {
		return nil, ErrClosed
	}
	element, ok := m.sessions[id]
	if !ok {
		return nil, ErrNotFound
	}
	return element.Value.(*record), nil
}

// Load implements [Journal].
func (m *Memory) Load(_ context.Context, id ID) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(id)
	if err != nil {
		return Session{}, err
	}
	return r.Session, nil
}

// Snapshot implements [Journal].
func (m *Memory) Snapshot(_ context.Context, id ID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(id)
	if err == ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.snapshot, nil
}

// Read implements [Journal].
func (m *Memory) Read(_ context.Context, id ID, after uint64, max int) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(id)
	if err == ErrNotFound || err == nil && after >= r.Last {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	events := r.events[after:]
	events = events[:min(len(events), max)]
	size := 0
	for i, e := range events {
		if size += len(e.Data); size >= MaxReadBytes {
			events = events[:i+1]
			break
		}
	}
	return slices.Clone(events), nil
}

// List implements [Journal].
func (m *Memory) List(_ context.Context, owner string, after ID, limit int) ([]Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := ^uint64(0)
	if after.Name != "" {
		if after.Owner == "" {
			after.Owner = owner
		}
		r, err := m.find(after)
		if err != nil {
			return nil, err
		}
		before = r.serial
	}
	if m.closed {
		return nil, ErrClosed
	}
	var found []*record
	for id, element := range m.sessions {
		if r := element.Value.(*record); (owner == "" || id.Owner == owner) && r.serial < before {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int { return cmp.Compare(b.serial, a.serial) })
	found = found[:min(len(found), max(limit, 0))]
	infos := make([]Info, len(found))
	for i, r := range found {
		infos[i] = r.Info
	}
	return infos, nil
}

// Claimed implements [Journal].
func (m *Memory) Claimed(_ context.Context, key string) (Claim, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Claim{}, false, ErrClosed
	}
	c, ok := m.claims[key]
	return c, ok, nil
}

// ForgetClaims implements [Journal].
func (m *Memory) ForgetClaims(_ context.Context, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for key, c := range m.claims {
		if c.At.Before(before) {
			delete(m.claims, key)
		}
	}
	return nil
}

// Surplus implements [Journal].
func (m *Memory) Surplus(_ context.Context, r Retention, now time.Time, limit int) ([]ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	count, bytes := m.recent.Len(), m.bytes
	var surplus []ID
	for e := m.recent.Back(); e != nil && len(surplus) < limit; e = e.Prev() {
		s := e.Value.(*record)
		if !r.Forbids(s.Updated, now, int64(count), bytes) {
			break
		}
		surplus = append(surplus, s.ID)
		count--
		bytes -= s.Bytes
	}
	return surplus, nil
}

// Forbids reports whether the session written longest ago, at updated, must go
// from among count that take bytes.
func (r Retention) Forbids(updated, now time.Time, count, bytes int64) bool {
	return r.MaxAge > 0 && now.Sub(updated) > r.MaxAge ||
		r.MaxSessions > 0 && count > int64(r.MaxSessions) ||
		r.MaxBytes > 0 && bytes > r.MaxBytes
}

// Unfinished implements [Journal].
func (m *Memory) Unfinished(_ context.Context, after ID, limit int) ([]ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	past := uint64(0)
	if element, ok := m.sessions[after]; ok {
		past = element.Value.(*record).serial
	}
	var open []*record
	for _, element := range m.sessions {
		if r := element.Value.(*record); r.Open && r.serial > past {
			open = append(open, r)
		}
	}
	slices.SortFunc(open, func(a, b *record) int { return cmp.Compare(a.serial, b.serial) })
	open = open[:min(len(open), max(limit, 0))]
	ids := make([]ID, len(open))
	for i, r := range open {
		ids[i] = r.ID
	}
	return ids, nil
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
