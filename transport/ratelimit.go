package transport

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// LimiterOptions say how a Limiter limits.
type LimiterOptions struct {
	// Max is how many requests of a key are admitted within Window. 0 turns
	// the limit off.
	Max int
	// Window is how long an admitted request counts. 0 turns the limit off.
	Window time.Duration
	// MaxKeys bounds the keys that are remembered; past it the least recently
	// used is forgotten, and starts anew when it comes again. 0 means 10,000.
	MaxKeys int
	// Now is the clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
}

// Decision is what a Limiter says to one request.
type Decision struct {
	// OK admits the request.
	OK bool
	// Limit is how many requests are admitted within the window, 0 where the
	// limit is off.
	Limit int
	// Remaining is how many more would be admitted now.
	Remaining int
	// Reset is how long until the whole limit is free again, provided that no
	// request comes: what x-ratelimit-reset-requests means in OpenAI's API.
	Reset time.Duration
	// RetryAfter is how long until a next request is admitted; 0 with OK. Round
	// it up where it is told in seconds.
	RetryAfter time.Duration
}

// Limiter admits a request if and only if fewer than Max requests of the same
// key were admitted in the Window before it: a true sliding window, to the
// nanosecond. Requests that are refused do not count.
//
// It remembers when each request of the last window was admitted. So its
// memory follows the requests admitted in a window, 8 bytes each and at most
// four times that in a key that has become quieter, and at most MaxKeys keys;
// keys whose requests have all left the window are dropped as others come.
//
// All methods are safe for use by many goroutines. There is none behind it.
type Limiter struct {
	limit  atomic.Pointer[limit]
	now    func() time.Time
	epoch  time.Time
	seed   maphash.Seed
	shards []shard
}

// limit is what SetLimit changes.
type limit struct {
	max    int
	window time.Duration
}

const (
	defaultMaxKeys = 10_000
	// maxShards is how many goroutines can be in the limiter at once.
	maxShards = 16
	// minShardKeys is below what a shard's own idea of the least recently used
	// key would stray too far from the whole's.
	minShardKeys = 256
	// sweepEvery is after how many requests in a shard another one is swept.
	sweepEvery = 16
)

// NewLimiter makes a Limiter.
func NewLimiter(opts LimiterOptions) *Limiter {
	if opts.MaxKeys <= 0 {
		opts.MaxKeys = defaultMaxKeys
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	l := &Limiter{
		now:    opts.Now,
		epoch:  opts.Now(),
		seed:   maphash.MakeSeed(),
		shards: make([]shard, min(maxShards, max(1, opts.MaxKeys/minShardKeys))),
	}
	for i := range l.shards {
		l.shards[i].maxKeys = opts.MaxKeys / len(l.shards)
		l.shards[i].keys = make(map[string]*history)
	}
	l.SetLimit(opts.Max, opts.Window)
	return l
}

// SetLimit changes the limit for the requests that follow. What was admitted
// before counts on, as far as the former window reached.
func (l *Limiter) SetLimit(max int, window time.Duration) {
	l.limit.Store(&limit{max: max, window: window})
}

// Allow decides on a request of key and counts it if it is admitted. It does
// not keep key's bytes, and allocates only for keys it does not know and while
// a key's history grows.
func (l *Limiter) Allow(key string) Decision {
	limit := l.limit.Load()
	if limit.max <= 0 || limit.window <= 0 {
		return Decision{OK: true}
	}
	s := &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
	s.mu.Lock()
	// Read with the lock held, so that times come in the order of decisions.
	now := l.now().Sub(l.epoch)
	// A call adds one key at most, so idle ones dwindle.
	s.expire(now, limit.window, 2)
	d := s.touch(key).decide(now, limit)
	s.calls++
	calls := s.calls
	s.mu.Unlock()
	if calls%sweepEvery == 0 {
		l.sweep(int(calls/sweepEvery), now, limit.window)
	}
	return d
}

// sweep drops idle keys of one shard, so that those which get no requests any
// more are cleared as well.
func (l *Limiter) sweep(turn int, now, window time.Duration) {
	s := &l.shards[turn%len(l.shards)]
	// Whoever has the lock is a request, which does the same.
	if s.mu.TryLock() {
		s.expire(now, window, 2*sweepEvery)
		s.mu.Unlock()
	}
}

// shard holds a part of the keys. Its list has the most recently used in front.
type shard struct {
	mu          sync.Mutex
	maxKeys     int
	calls       uint
	keys        map[string]*history
	front, back *history
	_           [64]byte // keeps the locks of two shards on lines of their own
}

// expire drops idle keys, at most so many.
func (s *shard) expire(now, window time.Duration, most int) {
	for range most {
		h := s.back
		if h == nil || h.n > 0 && now-h.newest() < window {
			return
		}
		s.drop(h)
	}
}

// touch gives the key's history and makes it the most recently used.
func (s *shard) touch(key string) *history {
	h := s.keys[key]
	switch {
	case h == nil:
		if len(s.keys) >= s.maxKeys {
			s.drop(s.back)
		}
		// The caller's string may lie in a buffer that is used again.
		h = &history{key: strings.Clone(key)}
		s.keys[h.key] = h
	case h == s.front:
		return h
	default:
		s.unlink(h)
	}
	h.next = s.front
	if s.front != nil {
		s.front.prev = h
	} else {
		s.back = h
	}
	s.front = h
	return h
}

func (s *shard) drop(h *history) {
	s.unlink(h)
	delete(s.keys, h.key)
}

func (s *shard) unlink(h *history) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		s.front = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		s.back = h.prev
	}
	h.prev, h.next = nil, nil
}

// history is when the requests of one key were admitted, as far as they may
// still be in the window: a ring of times since the limiter's epoch, oldest
// first.
type history struct {
	key        string
	prev, next *history
	ring       []time.Duration
	first, n   int
}

// decide admits or refuses a request at now.
func (h *history) decide(now time.Duration, limit *limit) Decision {
	if h.n > 0 {
		// A clock that is set back must not unsort the ring.
		now = max(now, h.newest())
	}
	h.forget(now - limit.window)
	if h.n < limit.max {
		h.add(now, limit.max)
		return Decision{OK: true, Limit: limit.max, Remaining: limit.max - h.n, Reset: limit.window}
	}
	// After SetLimit has lowered Max more than Max may be in the window; all
	// but Max-1 of them must leave.
	frees := h.at(h.n - limit.max)
	return Decision{
		Limit:      limit.max,
		Reset:      h.newest() + limit.window - now,
		RetryAfter: frees + limit.window - now,
	}
}

// forget drops what was admitted at or before until.
func (h *history) forget(until time.Duration) {
	for h.n > 0 && h.at(0) <= until {
		h.n--
		if h.first++; h.first == len(h.ring) {
			h.first = 0
		}
	}
	// A key that was busy once must not keep the memory of that for ever.
	if len(h.ring) >= 4*minRing && h.n <= len(h.ring)/4 {
		h.resize(len(h.ring) / 2)
	}
}

// minRing is the first size of a ring, in requests.
const minRing = 4

func (h *history) add(now time.Duration, most int) {
	if h.n == len(h.ring) {
		h.resize(min(max(minRing, 2*h.n), most))
	}
	h.n++
	*h.slot(h.n - 1) = now
}

func (h *history) resize(size int) {
	ring := make([]time.Duration, size)
	for i := range h.n {
		ring[i] = h.at(i)
	}
	h.ring, h.first = ring, 0
}

func (h *history) newest() time.Duration { return h.at(h.n - 1) }

func (h *history) at(i int) time.Duration { return *h.slot(i) }

func (h *history) slot(i int) *time.Duration {
	if i += h.first; i >= len(h.ring) {
		i -= len(h.ring)
	}
	return &h.ring[i]
}

// addressKey is the key under which an address is limited. An IPv6 address
// counts with its /64, which is what a provider gives one customer: whoever has
// one can take any address of it. The zero Addr counts with the /64 of ::. The
// first byte is one that no token id has. The function is small enough to be
// inlined, and then allocates nothing where the key does not outlive its use,
// as with [Limiter.Allow].
func addressKey(addr netip.Addr) string {
	key := networkOf(addr)
	return string(key[:])
}

func networkOf(addr netip.Addr) (key [9]byte) {
	bytes := addr.As16()
	if addr.Is4() || addr.Is4In6() {
		key[0] = 4
		copy(key[1:], bytes[8:])
	} else {
		key[0] = 6
		copy(key[1:], bytes[:8])
	}
	return key
}
