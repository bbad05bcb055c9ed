package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Comparison sets results of several targets side by side, at each number of
// streams that was tried.
type Comparison struct {
	Conditions Conditions `json:"conditions"`
	Started    time.Time  `json:"started"`
	// Reference is the target that the others are set against: the first.
	Reference string `json:"reference"`
	Steps     []Step `json:"steps"`
	// Results are all there were, in the order in which they were taken.
	Results []*Result `json:"results"`
}

// Step is one load, and what each target made of it.
type Step struct {
	Plan    Plan    `json:"plan"`
	Entries []Entry `json:"entries"`
}

// Entry sums up a target's rounds of a step.
type Entry struct {
	Target      string              `json:"target"`
	Rounds      int                 `json:"rounds"`
	CPUPerDelta Spread              `json:"cpu_per_delta"` // microseconds
	P50         Spread              `json:"p50"`           // of the added latency, in microseconds
	P99         Spread              `json:"p99"`
	PerStream   Spread              `json:"memory_per_stream"` // bytes
	DeltaRate   Spread              `json:"deltas_per_second"`
	Least       float64             `json:"least_share"` // what the worst off client got, by the median client's
	Idle        Spread              `json:"idle"`        // share of the machine
	Errors      map[string]*Failure `json:"errors"`
	Added       Distribution        `json:"added_latency"` // of all rounds together
	Ratio       *Ratio              `json:"ratio,omitempty"`
}

// Spread is a median of rounds and how far they lie apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Ratio sets a target against the reference: each round against the same round,
// because what disturbs the machine disturbs both.
type Ratio struct {
	CPUPerDelta Spread `json:"cpu_per_delta"`
	P50         Spread `json:"p50"`
	P99         Spread `json:"p99"`
	PerStream   Spread `json:"memory_per_stream"`
	DeltaRate   Spread `json:"deltas_per_second"`
}

// CompareOptions say how a comparison is done.
type CompareOptions struct {
	Rounds   int           // at least 1
	Clients  []int         // the steps; none means the plan's own number
	Settle   time.Duration // between two runs, for what the first leaves behind
	Progress func(target string, round, clients int, p Progress)
	// Result, if set, is called after every run.
	Result func(*Result)
}

// maxRounds bounds a comparison.
const maxRounds = 100

// Compare runs a plan against several targets: in each round every target in
// turn, the order turning too, so that none always comes first. Cancelling ctx
// ends it with an error.
func Compare(ctx context.Context, targets []Target, p Plan, o CompareOptions) (*Comparison, error) {
	if o.Rounds < 1 || o.Rounds > maxRounds {
		return nil, fmt.Errorf("rounds is %d, but must be between 1 and %d", o.Rounds, maxRounds)
	}
	if err := distinct(targets); err != nil {
		return nil, err
	}
	steps := o.Clients
	if len(steps) == 0 {
		steps = []int{p.Clients}
	}
	baselines := make([]int64, len(targets))
	for i, t := range targets {
		baselines[i] = Baseline(t)
	}
	var results []*Result
	for _, clients := range steps {
		p.Clients = clients
		for round := range o.Rounds {
			for i := range targets {
				at := (i + round) % len(targets)
				t := targets[at]
				options := Options{Baseline: baselines[at]}
				if o.Progress != nil {
					options.Progress = func(p Progress) { o.Progress(t.Name, round+1, clients, p) }
				}
				r, err := Run(ctx, t, p, options)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", t.Name, err)
				}
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if o.Result != nil {
					o.Result(r)
				}
				results = append(results, r)
				if !sleep(ctx, o.Settle) {
					return nil, ctx.Err()
				}
			}
		}
	}
	return Group(results, targets[0].Name)
}

func distinct(targets []Target) error {
	if len(targets) == 0 {
		return errors.New("there is no target")
	}
	seen := make(map[string]bool)
	for _, t := range targets {
		if t.Name == "" || seen[t.Name] {
			return fmt.Errorf("each target needs a name of its own, but %q comes twice or is empty", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// Group makes a comparison of results. Those with one plan, but for its times,
// are a step; those of one target there are its rounds. The reference is a
// target's name; "" means the first result's.
func Group(results []*Result, reference string) (*Comparison, error) {
	if len(results) == 0 {
		return nil, errors.New("there is no result to compare")
	}
	if reference == "" {
		reference = results[0].Target.Name
	}
	c := &Comparison{Conditions: results[0].Conditions, Started: results[0].Started, Reference: reference, Results: results}
	var loads []Plan
	byLoad := make(map[Plan][]*Result)
	for _, r := range results {
		key := r.Plan
		key.Ramp, key.Warmup, key.Duration = 0, 0, 0
		if byLoad[key] == nil {
			loads = append(loads, key)
		}
		byLoad[key] = append(byLoad[key], r)
	}
	slices.SortStableFunc(loads, func(a, b Plan) int { return a.Clients - b.Clients })
	for _, key := range loads {
		step, err := newStep(byLoad[key], reference)
		if err != nil {
			return nil, err
		}
		c.Steps = append(c.Steps, step)
	}
	return c, nil
}

func newStep(results []*Result, reference string) (Step, error) {
	step := Step{Plan: results[0].Plan}
	var names []string
	rounds := make(map[string][]*Result)
	for _, r := range results {
		name := r.Target.Name
		if rounds[name] == nil {
			names = append(names, name)
		}
		rounds[name] = append(rounds[name], r)
	}
	// Rounds begin with a target each in turn; a table keeps one order.
	slices.SortStableFunc(names, func(a, b string) int {
		return rounds[a][0].Started.Compare(rounds[b][0].Started)
	})
	for _, name := range names {
		e, err := newEntry(name, rounds[name])
		if err != nil {
			return Step{}, err
		}
		if name != reference && len(rounds[reference]) > 0 {
			e.Ratio = newRatio(rounds[name], rounds[reference])
		}
		step.Entries = append(step.Entries, e)
	}
	return step, nil
}

// The figures that are compared.
func cpuPerDelta(r *Result) float64 { return r.Server.CPUPerDelta }
func addedP50(r *Result) float64    { return float64(r.Added.P50) }
func addedP99(r *Result) float64    { return float64(r.Added.P99) }
func perStream(r *Result) float64   { return r.Server.PerStream }
func deltaRate(r *Result) float64   { return r.DeltaRate }

func newEntry(name string, rounds []*Result) (Entry, error) {
	e := Entry{
		Target: name, Rounds: len(rounds), Errors: make(map[string]*Failure), Least: 1,
		CPUPerDelta: spread(rounds, cpuPerDelta), P50: spread(rounds, addedP50), P99: spread(rounds, addedP99),
		PerStream: spread(rounds, perStream), DeltaRate: spread(rounds, deltaRate),
		Idle: spread(rounds, func(r *Result) float64 { return r.Load.Idle }),
	}
	added := make([]Distribution, len(rounds))
	for i, r := range rounds {
		added[i] = r.Added
		mergeFailures(e.Errors, r.Errors)
		if r.Fairness.Median > 0 {
			e.Least = min(e.Least, float64(r.Fairness.Min)/float64(r.Fairness.Median))
		}
	}
	var err error
	e.Added, err = merge(added)
	return e, err
}

func spread(rounds []*Result, figure func(*Result) float64) Spread {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = figure(r)
	}
	return spreadOf(values)
}

func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	n := len(values)
	median := values[n/2]
	if n%2 == 0 {
		median = (values[n/2-1] + median) / 2
	}
	return Spread{Median: median, Min: values[0], Max: values[n-1]}
}

func newRatio(rounds, reference []*Result) *Ratio {
	ratio := func(figure func(*Result) float64) Spread {
		var values []float64
		for i := range min(len(rounds), len(reference)) {
			if base := figure(reference[i]); base > 0 {
				values = append(values, figure(rounds[i])/base)
			}
		}
		return spreadOf(values)
	}
	return &Ratio{
		CPUPerDelta: ratio(cpuPerDelta), P50: ratio(addedP50), P99: ratio(addedP99),
		PerStream: ratio(perStream), DeltaRate: ratio(deltaRate),
	}
}
