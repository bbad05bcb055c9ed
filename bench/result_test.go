package bench

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestHistogramsAreMergedWithoutLoss(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := newHistogram()
	parts := make([]Distribution, 3)
	for i := range parts {
		h := newHistogram()
		for range 1000 {
			d := time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
			record(h, d)
			record(all, d)
		}
		parts[i] = newDistribution(h)
	}
	merged, err := merge(parts)
	if err != nil {
		t.Fatal(err)
	}
	if want := newDistribution(all); merged != want {
		t.Errorf("merged %+v\nwant %+v", merged, want)
	}
}

func TestValuesBeyondTheRangeCountAsItsEnds(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{-time.Second, 0, time.Hour} {
		record(h, d)
	}
	if d := newDistribution(h); d.Count != 3 || d.Min != leastMicros || d.Max < mostMicros {
		t.Errorf("got %+v", d)
	}
}

func TestADamagedHistogramIsAnError(t *testing.T) {
	if _, err := (Distribution{HDR: "damaged"}).Histogram(); err == nil {
		t.Error("it was taken")
	}
}
