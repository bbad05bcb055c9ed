package actors

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store/sqlite"
)

func benchDisk(b *testing.B) *sqlite.Journal {
	b.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(b.TempDir(), "j.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	return j
}

// BenchmarkStream is a delta of a stream in CPU time: with a session on disk and
// without one, at the pace of a model, 50 streams at once.
func BenchmarkStream(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprintf("durable=%v", durable), func(b *testing.B) {
			const streams = 50
			delta := deltasOf(" token")
			s := testSystem(b, Options{Journal: benchDisk(b), Agent: agentFunc(
				func(ctx context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
					pace := time.NewTicker(2 * time.Millisecond)
					defer pace.Stop()
					for range b.N {
						<-pace.C
						emit(delta)
					}
					return agent.Result{FinishReason: "stop"}, nil
				})})
			ended := make(chan int, streams)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for i := range streams {
				key := Key{Owner: "ann"}
				if durable {
					key.Name = fmt.Sprint(i)
				}
				started := start(b, s, key, watched("hi"))
				go func() { ended <- drainTo(b, started.Events, make([]Event, 0, 256)) }()
			}
			n := 0
			for range streams {
				n += <-ended
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(n), "cpu-ns/delta")
		})
	}
}

// BenchmarkRevival reads a session of 1,000 turns whose answers have 20 deltas.
func BenchmarkRevival(b *testing.B) {
	j := benchDisk(b)
	words := make([]string, 20)
	for i := range words {
		words[i] = " token"
	}
	s := testSystem(b, Options{Journal: j, Agent: agentFunc(
		func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
			emit(deltasOf(words...))
			return agent.Result{FinishReason: "stop"}, nil
		})})
	for range 1000 {
		started := start(b, s, chat, watched("what is the answer to this question?"))
		drainTo(b, started.Events, make([]Event, 0, 256))
		started.Events.Close()
	}
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		at := time.Now()
		r, err := revive(b.Context(), j, chat.id(), 1<<20)
		if err != nil || r.turns != 1000 || len(r.items) != 2000 {
			b.Fatalf("%d turns, %v", r.turns, err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkIdle is the memory of an idle session: in memory, and known only to
// the journal.
func BenchmarkIdle(b *testing.B) {
	const sessions = 10_000
	for b.Loop() {
		j := benchDisk(b)
		s := NewSystem(Options{Journal: j, Agent: echo, MaxLive: 2 * sessions, LogWindow: 64 << 10})
		b.StopTimer()
		before := inUse()
		created := make(chan error, 64)
		for i := range sessions {
			if i >= cap(created) {
				if err := <-created; err != nil {
					b.Fatal(err)
				}
			}
			go func() {
				_, err := s.Create(Key{"ann", fmt.Sprint(i)}, nil)
				created <- err
			}()
		}
		for range cap(created) {
			if err := <-created; err != nil {
				b.Fatal(err)
			}
		}
		live := inUse()
		b.ReportMetric(float64(live-before)/sessions, "B/live")
		for s.Live() > 0 {
			for _, pid := range s.registry.live() {
				s.tell(pid, &idleCheck{now: true})
			}
			runtime.Gosched()
		}
		b.ReportMetric(float64(inUse()-before)/sessions, "B/passivated")
		s.Shutdown(context.Background())
		b.StartTimer()
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
