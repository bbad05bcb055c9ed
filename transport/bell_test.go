package transport

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever was there before a ring is seen after it, and one goroutine at a time
// looks.
func TestABellIsAnsweredForEachRing(t *testing.T) {
	for name, quick := range map[string]func(n int64) bool{
		"always at once": func(int64) bool { return true },
		"never at once":  func(int64) bool { return false },
		"now and then":   func(n int64) bool { return n%3 != 0 },
	} {
		var put, seen, looks atomic.Int64
		var inside atomic.Int32
		look := func() {
			if inside.Add(1) != 1 {
				t.Errorf("%s: two look at once", name)
			}
			seen.Store(put.Load())
			inside.Add(-1)
		}
		var b bell
		b.quick = func() bool {
			if !quick(looks.Add(1)) {
				return false
			}
			look()
			return true
		}
		b.slow = func() bool { look(); return true }
		const ringers, each = 8, 1000
		var wg sync.WaitGroup
		for range ringers {
			wg.Go(func() {
				for range each {
					put.Add(1)
					b.ring()
				}
			})
		}
		wg.Wait()
		for end := time.Now().Add(patience); b.rings.Load() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if seen.Load() != ringers*each || b.rings.Load() != 0 {
			t.Errorf("%s: %d of %d were seen, and %d rings are left", name, seen.Load(), ringers*each, b.rings.Load())
		}
	}
}

func TestABellThatIsOverIsNotAnswered(t *testing.T) {
	answers := make(chan struct{}, 10)
	var b bell
	b.slow = func() bool { answers <- struct{}{}; return false }
	b.hold()
	b.ring() // it is held: whoever holds it will look
	if len(answers) > 0 {
		t.Error("a bell that is held was answered")
	}
	b.answer()
	<-answers
	b.ring()
	if b.rings.Load() == 0 || len(answers) > 0 {
		t.Error("it was answered after it was over")
	}
}
