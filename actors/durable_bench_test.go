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
	"agentzero/store"
	"agentzero/store/postgres"
	"agentzero/store/sqlite"
	postgrestest "agentzero/test/postgres"
)

func onDisk(b testing.TB) *sqlite.Journal {
	b.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(b.TempDir(), "j.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	return j
}

// BenchmarkStream is a delta of a stream in CPU time, with a session on disk and
// without one, at the pace of a model, 50 streams at once, in turns; and how much
// the disk adds.
func BenchmarkStream(b *testing.B) {
	const rounds = 4
	s := testSystem(b, Options{Journal: onDisk(b), Agent: agentFunc(
		func(_ context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
			delta := deltasOf(" token")
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for range max(1, b.N/rounds) {
				<-pace.C
				emit(delta)
			}
			return agent.Result{FinishReason: "stop"}, nil
		})})
	took := map[bool]time.Duration{}
	said := map[bool]int{}
	for range rounds {
		for _, durable := range []bool{false, true} {
			d, n := streams(b, s, durable)
			took[durable] += d
			said[durable] += n
		}
	}
	perDelta := func(durable bool) float64 { return float64(took[durable].Nanoseconds()) / float64(said[durable]) }
	b.ReportMetric(perDelta(false), "stateless-cpu-ns/delta")
	b.ReportMetric(perDelta(true), "durable-cpu-ns/delta")
	b.ReportMetric(perDelta(true)/perDelta(false), "durable/stateless")
}

// streams runs 50 streams at once and tells the CPU time and how many events came.
func streams(b *testing.B, s *System, durable bool) (took time.Duration, said int) {
	const together = 50
	ended := make(chan int, together)
	before := cpuTime(b)
	for range together {
		key := Key{Owner: "ann"}
		if durable {
			key.Name = NewID("")
		}
		started := start(b, s, key, watched("hi"))
		go func() { ended <- drainTo(b, started.Events, make([]Event, 0, 256)) }()
	}
	for range together {
		said += <-ended
	}
	return cpuTime(b) - before, said
}

// BenchmarkRevival is the time from the first question to a passivated session of
// 1,000 turns, whose answers have 20 deltas, to its answer: with the snapshot that
// it left, and where the gateway was killed before it could leave one.
func BenchmarkRevival(b *testing.B) {
	for name, open := range map[string]func(*testing.B) store.Journal{
		"sqlite": func(b *testing.B) store.Journal { return onDisk(b) },
		"postgres": func(b *testing.B) store.Journal {
			j, err := postgres.Open(b.Context(), postgres.Options{URL: postgrestest.Database(b)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { j.Close() })
			return j
		},
	} {
		b.Run(name, func(b *testing.B) {
			j := open(b)
			words := slices.Repeat([]string{" token"}, 20)
			a := agentFunc(func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
				emit(deltasOf(words...))
				return agent.Result{FinishReason: "stop"}, nil
			})
			s := testSystem(b, Options{Journal: j, Agent: a})
			for range 1000 {
				started := start(b, s, chat, watched("what is the answer to this question?"))
				drainTo(b, started.Events, make([]Event, 0, 256))
				started.Events.Close()
			}
			for _, passivated := range []bool{false, true} {
				b.Run(fmt.Sprintf("passivated=%v", passivated), func(b *testing.B) {
					if passivated {
						log := peek(b, s, chat)
						askToGo(s, chat)
						gone(b, log)
					}
					var took []time.Duration
					b.ReportAllocs()
					for b.Loop() {
						b.StopTimer()
						fresh := NewSystem(Options{Journal: unwatched{j}, Agent: a})
						b.StartTimer()
						at := time.Now()
						d, err := fresh.Describe(chat)
						took = append(took, time.Since(at))
						if err != nil || d.Turns != 1000 || d.Messages != 2000 {
							b.Fatalf("%+v, %v", d, err)
						}
						b.StopTimer()
						fresh.registry.close()
						fresh.Shutdown(ended())
						b.StartTimer()
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				})
			}
		})
	}
}

// unwatched is a journal that tells of no other process: a watch of its own for each
// system would be measured, too.
type unwatched struct{ store.Journal }

// BenchmarkIdle is the memory of an idle session: in memory, and known only to
// the journal.
func BenchmarkIdle(b *testing.B) {
	const sessions = 10_000
	for b.Loop() {
		j := onDisk(b)
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

// BenchmarkKnown is the memory that sessions cost which the journal knows and
// nobody uses: 100,000 of them.
func BenchmarkKnown(b *testing.B) {
	const sessions = 100_000
	for b.Loop() {
		b.StopTimer()
		j := onDisk(b)
		s := testSystem(b, Options{Journal: j, Agent: echo})
		rest(b, start(b, s, chat, watched("hi")))
		before := inUse()
		kept := make(chan error, sessions)
		for i := range sessions {
			j.Append(store.ID{Owner: "ann", Name: fmt.Sprint(i)}, 1, store.Batch{
				Events: []store.Event{{Kind: journalCreated, At: time.Now()}}, Head: []byte(`{"log":"0","from":2}`),
			}, func(err error) { kept <- err })
		}
		for range sessions {
			if err := <-kept; err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if d, err := s.Describe(Key{"ann", "77777"}); err != nil || d.Name != "77777" {
			b.Fatal(d, err)
		}
		b.ReportMetric(float64(inUse()-before)/sessions, "B/known")
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
