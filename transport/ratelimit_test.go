package transport

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// tick is a clock that tests set.
type tick struct{ ns atomic.Int64 }

func (c *tick) Now() time.Time          { return time.Unix(1_700_000_000, c.ns.Load()) }
func (c *tick) Advance(d time.Duration) { c.ns.Add(int64(d)) }

func TestASlidingWindowHasNoEdges(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 2, Window: 10 * time.Second, Now: clock.Now})
	steps := []struct {
		after time.Duration
		want  Decision
	}{
		{0, Decision{OK: true, Limit: 2, Remaining: 1, Reset: 10 * time.Second}},
		{9 * time.Second, Decision{OK: true, Limit: 2, Remaining: 0, Reset: 10 * time.Second}},
		{time.Second - 1, Decision{Limit: 2, Reset: 9*time.Second + 1, RetryAfter: 1}},
		{1, Decision{OK: true, Limit: 2, Remaining: 0, Reset: 10 * time.Second}},
		{0, Decision{Limit: 2, Reset: 10 * time.Second, RetryAfter: 9 * time.Second}},
		{9 * time.Second, Decision{OK: true, Limit: 2, Remaining: 0, Reset: 10 * time.Second}},
		{time.Minute, Decision{OK: true, Limit: 2, Remaining: 1, Reset: 10 * time.Second}},
	}
	for i, step := range steps {
		clock.Advance(step.after)
		if got := l.Allow("key"); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

func TestKeysDoNotShareALimit(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 1, Window: time.Minute, Now: clock.Now})
	for _, key := range []string{"a", "b", ""} {
		if !l.Allow(key).OK || l.Allow(key).OK {
			t.Errorf("key %q shares its limit", key)
		}
	}
}

func TestALimitOfZeroIsOff(t *testing.T) {
	for _, opts := range []LimiterOptions{{Max: 0, Window: time.Minute}, {Max: 1, Window: 0}, {Max: -1, Window: time.Minute}} {
		l := NewLimiter(opts)
		for range 3 {
			if got := l.Allow("key"); got != (Decision{OK: true}) {
				t.Errorf("%+v: %+v", opts, got)
			}
		}
	}
}

func TestTheLimitChangesLive(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 3, Window: 10 * time.Second, Now: clock.Now})
	for range 3 {
		l.Allow("key")
		clock.Advance(time.Second)
	}
	// Admitted at 0, 1 and 2 s; now it is 3 s.
	l.SetLimit(1, 10*time.Second)
	if got := l.Allow("key"); got.OK || got.RetryAfter != 9*time.Second {
		t.Errorf("lowered: %+v", got)
	}
	l.SetLimit(4, 10*time.Second)
	if got := l.Allow("key"); !got.OK || got.Remaining != 0 {
		t.Errorf("raised: %+v", got)
	}
	l.SetLimit(2, time.Second)
	if got := l.Allow("key"); !got.OK || got.Remaining != 0 {
		t.Errorf("with a shorter window: %+v", got)
	}
	l.SetLimit(0, 0)
	if got := l.Allow("key"); !got.OK || got.Limit != 0 {
		t.Errorf("turned off: %+v", got)
	}
}

func TestAClockSetBackKeepsTheLimit(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 2, Window: time.Minute, Now: clock.Now})
	l.Allow("key")
	clock.Advance(-time.Hour)
	if got := l.Allow("key"); !got.OK || got.Remaining != 0 {
		t.Errorf("set back: %+v", got)
	}
	if got := l.Allow("key"); got.OK || got.RetryAfter != time.Minute {
		t.Errorf("set back and full: %+v", got)
	}
}

// naive is the definition of a sliding window in as few words as there are.
type naive struct {
	admitted map[string][]time.Time
}

func (n *naive) allow(key string, now time.Time, max int, window time.Duration) Decision {
	var within []time.Time
	for _, t := range n.admitted[key] {
		if now.Sub(t) < window {
			within = append(within, t)
		}
	}
	if len(within) < max {
		within = append(within, now)
		n.admitted[key] = within
		return Decision{OK: true, Limit: max, Remaining: max - len(within), Reset: window}
	}
	d := Decision{Limit: max, Reset: within[len(within)-1].Add(window).Sub(now)}
	for _, t := range within {
		left := 0
		for _, u := range within {
			if u.After(t) {
				left++
			}
		}
		if left < max {
			d.RetryAfter = t.Add(window).Sub(now)
			break
		}
	}
	return d
}

func TestTheLimiterDecidesAsTheDefinitionDoes(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			clock := &tick{}
			window := time.Duration(1 + rnd.IntN(1_000_000_000))
			most := 1 + rnd.IntN(80)
			l := NewLimiter(LimiterOptions{Max: most, Window: window, Now: clock.Now})
			reference := &naive{admitted: map[string][]time.Time{}}
			pace := 2 * int64(window) / int64(most)
			for i := range 4000 {
				switch rnd.IntN(100) {
				case 0:
					clock.Advance(window)
				case 1:
					// Only a shorter window: a longer one reaches back to what
					// has been forgotten.
					most, window = 1+rnd.IntN(80), window-window/8
					l.SetLimit(most, window)
				default:
					// Bursts, even traffic and pauses, and often the same instant.
					clock.Advance(time.Duration(rnd.Int64N(1 + pace>>rnd.IntN(12))))
				}
				key := fmt.Sprint(rnd.IntN(1 + rnd.IntN(4)))
				want := reference.allow(key, clock.Now(), most, window)
				if got := l.Allow(key); got != want {
					t.Fatalf("request %d of key %s, %d in %v: %+v, want %+v", i, key, most, window, got, want)
				}
			}
		})
	}
}

func TestTheLeastRecentlyUsedKeyIsForgotten(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 1, Window: time.Minute, MaxKeys: 3, Now: clock.Now})
	for _, key := range []string{"a", "b", "c", "a", "d"} {
		l.Allow(key)
	}
	for _, key := range []string{"a", "c", "d"} {
		if l.Allow(key).OK {
			t.Errorf("%s was forgotten", key)
		}
	}
	if !l.Allow("b").OK {
		t.Error("b, the least recently used, was kept")
	}
}

func TestKeysAreBounded(t *testing.T) {
	const maxKeys = 5000
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 10, Window: time.Minute, MaxKeys: maxKeys, Now: clock.Now})
	for i := range 4 * maxKeys {
		l.Allow(fmt.Sprint("key ", i))
	}
	if n := keysOf(l); n > maxKeys || n < maxKeys*9/10 {
		t.Errorf("%d keys of at most %d", n, maxKeys)
	}
	clock.Advance(time.Minute)
	for range 4 * maxKeys {
		l.Allow("other")
	}
	if n := keysOf(l); n != 1 {
		t.Errorf("%d keys are kept, all but one have been idle for a window", n)
	}
}

func keysOf(l *Limiter) int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		listed := 0
		for h := s.front; h != nil; h = h.next {
			listed++
		}
		if listed != len(s.keys) {
			panic("the list and the map disagree")
		}
		n += listed
	}
	return n
}

func TestAKeyGrownQuietGivesItsMemoryBack(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 100_000, Window: time.Minute, MaxKeys: 1, Now: clock.Now})
	for range 50_000 {
		l.Allow("key")
	}
	for range 100 {
		clock.Advance(20 * time.Second)
		l.Allow("key")
	}
	if n := len(l.shards[0].keys["key"].ring); n > 4*minRing {
		t.Errorf("room for %d requests is kept for 3", n)
	}
}

func TestTheKeysBytesAreNotKept(t *testing.T) {
	l := NewLimiter(LimiterOptions{Max: 1, Window: time.Hour})
	buffer := []byte("key")
	l.Allow(unsafe.String(&buffer[0], len(buffer)))
	copy(buffer, "xxx")
	if l.Allow("key").OK {
		t.Error("the key changed with the caller's buffer")
	}
}

func TestManyAtOnceGetNoMoreThanTheLimit(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 100, Window: time.Minute, Now: clock.Now})
	var admitted [4]atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 400 {
				if key := i % len(admitted); l.Allow(fmt.Sprint(key)).OK {
					admitted[key].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for key := range admitted {
		if n := admitted[key].Load(); n != 100 {
			t.Errorf("key %d: %d admitted, want 100", key, n)
		}
	}
}

func TestAddressKey(t *testing.T) {
	tests := []struct {
		name, a, b string
		same       bool
	}{
		{"two of one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"two of different /64s", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"two IPv4 addresses", "192.0.2.1", "192.0.2.2", false},
		{"an IPv4 address and its IPv6 form", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"two IPv4 addresses in IPv6 form", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"one address with two zones", "fe80::1%eth0", "fe80::1%eth1", true},
		{"an IPv4 address and an IPv6 network of its bytes", "192.0.2.1", "0:ffff:c000:201::", false},
	}
	for _, test := range tests {
		a, b := addressKey(netip.MustParseAddr(test.a)), addressKey(netip.MustParseAddr(test.b))
		if (a == b) != test.same {
			t.Errorf("%s: %q and %q", test.name, a, b)
		}
	}
	if addressKey(netip.Addr{}) == "" {
		t.Error("no key for an unknown address")
	}
}

func TestASteadyLimiterAllocatesNothing(t *testing.T) {
	clock := &tick{}
	l := NewLimiter(LimiterOptions{Max: 50, Window: time.Second, Now: clock.Now})
	addr := netip.MustParseAddr("2001:db8::1")
	step := func() {
		clock.Advance(15 * time.Millisecond)
		l.Allow(addressKey(addr))
		l.Allow("tok_0123456789")
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	for _, keys := range []int{1, defaultMaxKeys} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			l := NewLimiter(LimiterOptions{Max: 600, Window: time.Second})
			names := make([]string, keys)
			for i := range names {
				names[i] = fmt.Sprintf("tok_%010d", i)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(keys); pb.Next(); i++ {
					l.Allow(names[i%keys])
				}
			})
		})
	}
}

func BenchmarkAllowAddress(b *testing.B) {
	l := NewLimiter(LimiterOptions{Max: 600, Window: time.Second})
	addr := netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(addressKey(addr))
	}
}
