package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of what is measured, in microseconds. A value beyond counts as the
// largest.
const (
	leastMicros = 1
	mostMicros  = int64(5 * time.Minute / time.Microsecond)
	digits      = 3 // exact to one in a thousand
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastMicros, mostMicros, digits)
}

// recorder takes down what clients see. Clients share few shards of it, so that
// memory does not grow with them and locks hardly meet.
type recorder struct {
	measuring atomic.Bool // what happens outside the window is not taken down
	shards    [8]shard
}

type shard struct {
	mu      sync.Mutex
	first   *hdrhistogram.Histogram
	between *hdrhistogram.Histogram
	added   *hdrhistogram.Histogram
	whole   *hdrhistogram.Histogram
	connect *hdrhistogram.Histogram
	counts  Counts
	errors  map[string]*Failure
	_       [64]byte
}

// Counts of what happened within the window.
type Counts struct {
	Connections int64 `json:"connections"` // opened
	Begun       int64 `json:"begun"`       // answers asked for
	Whole       int64 `json:"whole"`       // answers that came to their end
	HungUp      int64 `json:"hung_up"`     // cut by their client, as planned
	Failed      int64 `json:"failed"`      // the sum of the errors
	Deltas      int64 `json:"deltas"`
	SlowDeltas  int64 `json:"slow_deltas,omitempty"` // by slow readers
	Bytes       int64 `json:"bytes"`                 // read from the wire
}

func (c *Counts) add(d Counts) {
	c.Connections += d.Connections
	c.Begun += d.Begun
	c.Whole += d.Whole
	c.HungUp += d.HungUp
	c.Failed += d.Failed
	c.Deltas += d.Deltas
	c.SlowDeltas += d.SlowDeltas
	c.Bytes += d.Bytes
}

// Failure is a kind of error.
type Failure struct {
	Count   int64  `json:"count"`
	Example string `json:"example"` // the first one's own words
}

func newRecorder() *recorder {
	r := new(recorder)
	for i := range r.shards {
		r.shards[i] = shard{
			first: newHistogram(), between: newHistogram(), added: newHistogram(),
			whole: newHistogram(), connect: newHistogram(), errors: make(map[string]*Failure),
		}
	}
	return r
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	micros := max(leastMicros, min(int64(d/time.Microsecond), mostMicros))
	_ = h.RecordValue(micros) // within the range
}

// count changes the counts, within the window.
func (r *recorder) count(s *shard, change func(*Counts)) {
	if r.measuring.Load() {
		s.mu.Lock()
		change(&s.counts)
		s.mu.Unlock()
	}
}

func (r *recorder) fail(s *shard, kind, example string) {
	if !r.measuring.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Failed++
	f := s.errors[kind]
	if f == nil {
		f = &Failure{Example: example}
		s.errors[kind] = f
	}
	f.Count++
}

// total sums all shards up.
func (r *recorder) total() *shard {
	sum := &shard{
		first: newHistogram(), between: newHistogram(), added: newHistogram(),
		whole: newHistogram(), connect: newHistogram(), errors: make(map[string]*Failure),
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		sum.first.Merge(s.first)
		sum.between.Merge(s.between)
		sum.added.Merge(s.added)
		sum.whole.Merge(s.whole)
		sum.connect.Merge(s.connect)
		sum.counts.add(s.counts)
		mergeFailures(sum.errors, s.errors)
		s.mu.Unlock()
	}
	return sum
}

func mergeFailures(into, from map[string]*Failure) {
	for kind, f := range from {
		if g := into[kind]; g != nil {
			g.Count += f.Count
			continue
		}
		into[kind] = &Failure{Count: f.Count, Example: f.Example}
	}
}
