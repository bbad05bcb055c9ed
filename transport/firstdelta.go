package transport

import (
	"math"
	"sync/atomic"
	"time"
)

// firstDeltaBuckets holds times to the first delta, from 0.1 ms on in steps of a
// quarter, the last bucket all above 5 minutes.
const firstDeltaBuckets = 68

// firstDeltas counts turns by the time to their first delta, finely enough for
// quantiles. It is counted once a turn.
type firstDeltas struct {
	n [firstDeltaBuckets]atomic.Uint64
}

// firstDeltaCounts is a copy of the counts, or the difference of two.
type firstDeltaCounts [firstDeltaBuckets]uint64

const (
	firstDeltaLeast = 1e-4 // seconds
	firstDeltaStep  = 1.25
)

func (f *firstDeltas) add(d time.Duration) {
	i := 0
	if s := d.Seconds(); s > firstDeltaLeast {
		i = int(math.Ceil(math.Log(s/firstDeltaLeast) / math.Log(firstDeltaStep)))
	}
	f.n[min(i, firstDeltaBuckets-1)].Add(1)
}

func (f *firstDeltas) counts() (c firstDeltaCounts) {
	for i := range f.n {
		c[i] = f.n[i].Load()
	}
	return c
}

func (c firstDeltaCounts) minus(other firstDeltaCounts) firstDeltaCounts {
	for i := range c {
		c[i] -= other[i]
	}
	return c
}

func (c firstDeltaCounts) plus(other firstDeltaCounts) firstDeltaCounts {
	for i := range c {
		c[i] += other[i]
	}
	return c
}

// quantile is in seconds, within an eighth of the true one; nil of nothing.
func (c firstDeltaCounts) quantile(q float64) *float64 {
	total := uint64(0)
	for _, n := range c {
		total += n
	}
	if total == 0 {
		return nil
	}
	rank := uint64(math.Ceil(q * float64(total)))
	seen := uint64(0)
	for i, n := range c {
		if seen += n; seen >= rank {
			// The middle of the bucket, on its own scale.
			v := firstDeltaLeast * math.Pow(firstDeltaStep, float64(i)-.5)
			return &v
		}
	}
	return nil
}
