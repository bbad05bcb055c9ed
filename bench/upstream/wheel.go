package upstream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// slots is the length of the wheel. What is due later than one turn of it is
// looked at once a turn.
const slots = 4096

// wheel drives all answers in one goroutine. A slot holds the answers that are
// due within one tick; the wheel sleeps from tick to tick, and for good while
// there is no answer.
type wheel struct {
	counts *counts
	tick   time.Duration
	start  time.Time
	now    int64 // the tick whose slot is next
	slot   [slots][]*answer
	active int
	writer writer

	mu      sync.Mutex
	rand    *rand.Rand
	inbox   []*answer
	stopped bool
	wake    chan struct{} // of one place: something is new
}

const defaultTick = 250 * time.Microsecond

func newWheel(c *counts, tick time.Duration, seed uint64) *wheel {
	if tick <= 0 {
		tick = defaultTick
	}
	return &wheel{
		counts: c, tick: tick, start: time.Now(),
		writer: newWriter(),
		rand:   rand.New(rand.NewPCG(seed, 0)),
		wake:   make(chan struct{}, 1),
	}
}

// add hands an answer over; the wheel closes its done when it is over.
func (w *wheel) add(a *answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.begun.Add(1)
	if w.stopped {
		w.end(a, &w.counts.hungUp)
		return
	}
	a.due = time.Now()
	if a.behaviour.Cuts > 0 && w.rand.Float64() < a.behaviour.Cuts {
		a.cutAt = 1 + w.rand.IntN(max(a.behaviour.Tokens, 1))
	}
	w.inbox = append(w.inbox, a)
	w.ring()
}

// refusal returns the status of the refusal that a request is in for, or 0.
func (w *wheel) refusal(b Behaviour) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case b.Errors == 0 || w.rand.Float64() >= b.Errors:
		return 0
	case b.Status == 0:
		return 500
	}
	return b.Status
}

func (w *wheel) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.ring()
}

func (w *wheel) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *wheel) run() {
	var fresh []*answer
	for {
		if w.active == 0 {
			<-w.wake
			w.now = int64(time.Since(w.start) / w.tick)
		} else {
			sleepUntil(w.start.Add(time.Duration(w.now+1) * w.tick))
		}
		w.mu.Lock()
		fresh, w.inbox = w.inbox, fresh[:0]
		stopped := w.stopped
		w.mu.Unlock()
		for _, a := range fresh {
			w.active++
			w.serve(a)
		}
		clear(fresh)
		if stopped {
			w.abandon()
			return
		}
		w.turn(int64(time.Since(w.start) / w.tick))
	}
}

// turn serves all slots up to the tick.
func (w *wheel) turn(until int64) {
	w.now = max(w.now, until-slots) // one turn of the wheel sees all
	for ; w.now <= until; w.now++ {
		list := &w.slot[w.now%slots]
		for i, a := range *list {
			(*list)[i] = nil
			w.serve(a)
		}
		*list = (*list)[:0]
	}
}

// serve lets an answer say what is due, and places it for the next time.
func (w *wheel) serve(a *answer) {
	if again := a.step(w, time.Now()); again {
		// Never the present slot, which is being emptied.
		at := max(int64(a.due.Sub(w.start)/w.tick), w.now+1)
		at = min(at, w.now+slots-1)
		w.slot[at%slots] = append(w.slot[at%slots], a)
		return
	}
	w.active--
}

// abandon gives up what is left when the server closes.
func (w *wheel) abandon() {
	for i := range w.slot {
		for _, a := range w.slot[i] {
			w.end(a, &w.counts.hungUp)
		}
		w.slot[i] = nil
	}
}

// wait is a wait of about d.
func (w *wheel) wait(d time.Duration, b *Behaviour) time.Duration {
	if b.Jitter == 0 {
		return d
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(0, d+time.Duration(w.rand.Int64N(2*int64(b.Jitter)+1))-b.Jitter)
}

// grown returns a buffer of n bytes in the place of b.
func grown(b []byte, n int) []byte { return slices.Grow(b[:0], n)[:n] }
