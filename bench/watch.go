package bench

import (
	"sync"
	"time"
)

// watch follows the server's processes, their children included, and the
// machine. Where the system tells nothing, all stays zero.
type watch struct {
	pids      []int
	baseline  int64
	cpuBefore float64 // of the server
	ownBefore float64 // of this process
	machine   machineTime
	cost      Cost
	stop      chan struct{}
	sampling  sync.WaitGroup
}

// measuredCost is what a run has cost both sides.
type measuredCost struct {
	server Cost
	load   Load
}

// machineTime is time of all CPUs since the start of the machine, in ticks.
type machineTime struct{ total, idle uint64 }

// samplePause is the time between two looks at the server's memory.
const samplePause = 500 * time.Millisecond

func watchProcesses(pids []int, baseline int64) *watch {
	w := &watch{pids: pids, baseline: baseline, stop: make(chan struct{})}
	if w.baseline == 0 {
		w.baseline = memory(withChildren(pids))
	}
	return w
}

func (w *watch) begin() {
	w.cpuBefore, w.ownBefore, w.machine = cpuSeconds(withChildren(w.pids)), ownCPU(), readMachine()
	w.sampling.Go(func() {
		ticker := time.NewTicker(samplePause)
		defer ticker.Stop()
		for {
			w.sample()
			select {
			case <-ticker.C:
			case <-w.stop:
				return
			}
		}
	})
}

func (w *watch) sample() {
	all := withChildren(w.pids)
	files, threads := filesAndThreads(all)
	w.cost.MemoryMost = max(w.cost.MemoryMost, memory(all))
	w.cost.FilesMost = max(w.cost.FilesMost, files)
	w.cost.ThreadsMost = max(w.cost.ThreadsMost, threads)
}

func (w *watch) end() measuredCost {
	close(w.stop)
	w.sampling.Wait()
	w.sample()
	all := withChildren(w.pids)
	w.cost.PIDs, w.cost.MemoryBefore = all, w.baseline
	w.cost.CPUSeconds = cpuSeconds(all) - w.cpuBefore
	load := Load{CPUSeconds: ownCPU() - w.ownBefore}
	if now := readMachine(); now.total > w.machine.total {
		load.Idle = float64(now.idle-w.machine.idle) / float64(now.total-w.machine.total)
	}
	return measuredCost{w.cost, load}
}

// Baseline is the memory of a target's processes now, in bytes. It is 0 where it
// cannot be known.
func Baseline(t Target) int64 {
	a, err := t.address()
	if err != nil {
		return 0
	}
	r := run{target: &t, address: a}
	return memory(withChildren(r.pids()))
}
