package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Progress is how a run stands.
type Progress struct {
	Phase   string // "ramp", "warm-up" or "measuring"
	Elapsed time.Duration
	Total   time.Duration
	Open    int64 // answers that run now
	Deltas  int64 // so far, within the window
	Failed  int64 // so far, in all
}

// Options of a run. The zero value is good.
type Options struct {
	// Progress, if set, is called every second. It must return soon.
	Progress func(Progress)
	// Baseline of the server's memory, if it was taken before: by it, a server's
	// second run can be compared with its first. 0 means to take it now.
	Baseline int64
}

// run is a plan in the doing.
type run struct {
	target   *Target
	plan     *Plan
	options  Options
	address  address
	name     string // of this run, in the names of its sessions
	prompt   string
	key      []byte // of webhooks; nil where they are not signed
	recorder *recorder
	conns    connections
	open     atomic.Int64
	arrived  atomic.Int64 // idle clients that are connected
	failed   atomic.Int64
	bytes    atomic.Int64
	late     atomic.Int64 // arrivals that found no free client
	tickets  atomic.Int64 // answers begun in all
}

// Run does a plan to a target and returns what came of it. It fails when the
// plan or the target cannot be; all errors of the server are in the Result.
// Cancelling ctx ends it early, with the Result of what was measured till then.
func Run(ctx context.Context, t Target, p Plan, o Options) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	a, err := t.address()
	if err != nil {
		return nil, err
	}
	key, err := webhookKey(t.WebhookSecret)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	if err := needFiles(p.Clients); err != nil {
		return nil, err
	}
	r := &run{
		target: &t, plan: &p, options: o, address: a, recorder: newRecorder(),
		name:   strconv.FormatInt(time.Now().UnixNano(), 36),
		prompt: prompt(p.Prompt), key: key,
	}
	watch := watchProcesses(r.pids(), o.Baseline)
	started := time.Now()

	life, end := context.WithCancel(ctx)
	defer end()
	var clients sync.WaitGroup
	list := make([]*client, p.Clients)
	for i := range list {
		list[i] = r.newClient(i)
	}
	var begun time.Time
	var bytesBefore int64
	measure := func() {
		bytesBefore = r.bytes.Load()
		watch.begin()
		r.recorder.measuring.Store(true)
		begun = time.Now()
	}
	if p.Ramp+p.Warmup == 0 {
		measure() // nothing goes by unseen
	}
	clients.Go(func() {
		if p.Rate > 0 {
			r.openLoop(life, list, &clients)
		} else {
			r.closedLoop(life, list, &clients)
		}
	})
	finished := make(chan struct{})
	go func() {
		clients.Wait()
		close(finished)
	}()

	r.phase(life, "ramp", p.Ramp, finished)
	r.phase(life, "warm-up", p.Warmup, finished)
	if p.Ramp+p.Warmup > 0 {
		measure()
	}
	r.phase(life, "measuring", p.Duration, finished)
	measured := time.Since(begun)
	r.recorder.measuring.Store(false)
	cost := watch.end()
	open, arrived := r.open.Load(), r.arrived.Load()

	end()
	r.conns.end()
	<-finished
	for _, c := range list {
		c.door.close()
	}
	sum := r.recorder.total()
	sum.counts.Bytes = r.bytes.Load() - bytesBefore
	res := r.result(sum, started, measured, cost, list)
	res.OpenAtEnd, res.Late = max(open, arrived), r.late.Load()
	res.reckon()
	return res, nil
}

// phase waits for a part of the run to be over.
func (r *run) phase(ctx context.Context, name string, d time.Duration, finished <-chan struct{}) {
	if d == 0 {
		return
	}
	begun := time.Now()
	over := time.NewTimer(d)
	defer over.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-over.C:
			return
		case <-finished:
			return
		case <-ctx.Done():
			return
		case <-second.C:
			if r.options.Progress != nil {
				r.options.Progress(Progress{
					Phase: name, Elapsed: time.Since(begun), Total: d,
					Open: r.open.Load(), Deltas: r.recorder.deltas(), Failed: r.failed.Load(),
				})
			}
		}
	}
}

func (r *recorder) deltas() (n int64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += s.counts.Deltas
		s.mu.Unlock()
	}
	return n
}

func (r *run) pids() []int {
	if len(r.target.PIDs) > 0 || !r.address.local {
		return r.target.PIDs
	}
	return listeners(r.address.port)
}

// prompt is a question of n bytes.
func prompt(n int) string {
	const words = "Tell me something about streams. "
	if n == 0 {
		return words
	}
	return strings.Repeat(words, n/len(words)+1)[:n]
}
