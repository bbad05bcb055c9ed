package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what came of one run. Times are in microseconds, memory in bytes.
type Result struct {
	Target     Target     `json:"target"`
	Plan       Plan       `json:"plan"`
	Conditions Conditions `json:"conditions"`
	Started    time.Time  `json:"started"`
	Measured   float64    `json:"measured_seconds"`

	Counts    Counts              `json:"counts"`
	OpenAtEnd int64               `json:"open_at_end"` // answers, or idle connections
	Late      int64               `json:"late"`        // arrivals of an open loop that had to wait for a free client
	Errors    map[string]*Failure `json:"errors"`
	DeltaRate float64             `json:"deltas_per_second"`
	Fairness  Fairness            `json:"deltas_per_client"`

	Connect Distribution `json:"connect"`       // to open a connection
	First   Distribution `json:"first_delta"`   // from the question to the first delta
	Between Distribution `json:"between"`       // from a delta to the next
	Added   Distribution `json:"added_latency"` // from a delta's sending by the upstream
	Whole   Distribution `json:"whole_answer"`  // from the question to the end

	Server Cost `json:"server"`
	Load   Load `json:"load"`
}

// Conditions under which a run took place.
type Conditions struct {
	Machine string `json:"machine"`
	CPUs    int    `json:"cpus"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
}

// Fairness is how many deltas the clients got in the window; slow readers are
// left out.
type Fairness struct {
	Min    int64 `json:"min"`
	Median int64 `json:"median"`
	Max    int64 `json:"max"`
}

// Cost of the server's processes in the window.
type Cost struct {
	PIDs         []int   `json:"pids"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	CPUPerDelta  float64 `json:"cpu_per_delta"` // microseconds
	MemoryBefore int64   `json:"memory_before"`
	MemoryMost   int64   `json:"memory_most"`
	PerStream    float64 `json:"memory_per_stream"` // of what came on top, by the clients
	FilesMost    int     `json:"files_most"`
	ThreadsMost  int     `json:"threads_most"`
}

// Load says how far the measurement itself can be trusted: a machine without
// idle time measures its own scheduler.
type Load struct {
	CPUSeconds float64 `json:"cpu_seconds"` // of the load generator
	Idle       float64 `json:"idle"`        // share of the machine's time in which it had nothing to do
}

// Distribution is a histogram and what one wants to know of it at a glance.
type Distribution struct {
	Count int64   `json:"count"`
	Min   int64   `json:"min"`
	Mean  float64 `json:"mean"`
	P50   int64   `json:"p50"`
	P90   int64   `json:"p90"`
	P99   int64   `json:"p99"`
	P999  int64   `json:"p999"`
	Max   int64   `json:"max"`
	// HDR is the whole histogram, in HdrHistogram's compressed form (V2, base64), so that
	// results can be merged without loss.
	HDR string `json:"hdr,omitempty"`
}

func newDistribution(h *hdrhistogram.Histogram) Distribution {
	if h.TotalCount() == 0 {
		return Distribution{}
	}
	d := Distribution{
		Count: h.TotalCount(), Min: h.Min(), Mean: h.Mean(), Max: h.Max(),
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90),
		P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9),
	}
	// Encode fails only for cookies it does not know.
	if encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
		d.HDR = string(encoded)
	}
	return d
}

// Histogram is the whole histogram. It fails for a Distribution from a damaged
// file.
func (d Distribution) Histogram() (*hdrhistogram.Histogram, error) {
	if d.HDR == "" {
		return newHistogram(), nil
	}
	h, err := hdrhistogram.Decode([]byte(d.HDR))
	if err != nil {
		return nil, fmt.Errorf("bench: read a histogram: %w", err)
	}
	return h, nil
}

// merge adds up the histograms of several runs.
func merge(list []Distribution) (Distribution, error) {
	sum := newHistogram()
	for _, d := range list {
		h, err := d.Histogram()
		if err != nil {
			return Distribution{}, err
		}
		sum.Merge(h)
	}
	return newDistribution(sum), nil
}

func (r *run) result(sum *shard, started time.Time, measured time.Duration, cost measuredCost, list []*client) *Result {
	t := *r.target
	t.PIDs = cost.server.PIDs
	return &Result{
		Target: t, Plan: *r.plan, Conditions: conditions(), Started: started, Measured: measured.Seconds(),
		Counts: sum.counts, Errors: sum.errors, Fairness: fairness(list),
		Connect: newDistribution(sum.connect), First: newDistribution(sum.first),
		Between: newDistribution(sum.between), Added: newDistribution(sum.added), Whole: newDistribution(sum.whole),
		Server: cost.server, Load: cost.load,
	}
}

// reckon derives what follows from the counts.
func (res *Result) reckon() {
	deltas := res.Counts.Deltas + res.Counts.SlowDeltas
	if res.Measured > 0 {
		res.DeltaRate = float64(deltas) / res.Measured
	}
	if deltas > 0 {
		res.Server.CPUPerDelta = res.Server.CPUSeconds * 1e6 / float64(deltas)
	}
	if res.OpenAtEnd > 0 && res.Server.MemoryBefore > 0 {
		res.Server.PerStream = float64(res.Server.MemoryMost-res.Server.MemoryBefore) / float64(res.OpenAtEnd)
	}
}

func fairness(list []*client) Fairness {
	counts := make([]int64, 0, len(list))
	for _, c := range list {
		if !c.slow {
			counts = append(counts, c.deltas)
		}
	}
	if len(counts) == 0 {
		return Fairness{}
	}
	slices.Sort(counts)
	return Fairness{Min: counts[0], Median: counts[len(counts)/2], Max: counts[len(counts)-1]}
}

func conditions() Conditions {
	machine, _ := os.Hostname() // a name is a courtesy
	if model := cpuModel(); model != "" {
		machine = model
	}
	return Conditions{Machine: machine, CPUs: runtime.NumCPU(), Kernel: runtime.GOOS + " " + kernel(), Go: runtime.Version()}
}
