package actors

import (
	"context"
	"testing"

	"agentzero/agent"
)

// drainTo reads a subscription to its turn's end and returns how many deltas it
// carried.
func drainTo(b *testing.B, sub *Subscription, events []Event) (n int) {
	for {
		<-sub.Wake()
		events, err := sub.Read(events[:0], 256)
		if err != nil {
			b.Fatal(err)
		}
		for i := range events {
			switch k := events[i].Kind; {
			case k == EventDelta:
				n++
			case k.Ends():
				return n
			}
		}
	}
}

// BenchmarkDelta is the way of one delta from the agent through the session's
// log to a subscriber that keeps pace, one emit for each. With "ahead" the agent
// does not wait, so that what has arrived together goes together.
func BenchmarkDelta(b *testing.B) {
	for _, lockstep := range []bool{true, false} {
		name := "ahead"
		if lockstep {
			name = "lockstep"
		}
		b.Run(name, func(b *testing.B) {
			delta := deltasOf(" token")
			read := make(chan struct{}, 1)
			s := testSystem(b, Options{LogWindow: 64 << 20, Agent: agentFunc(
				func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
					for range b.N {
						emit(delta)
						if lockstep {
							<-read
						}
					}
					return agent.Result{}, nil
				})})
			b.ReportAllocs()
			b.ResetTimer()
			started := start(b, s, chat, watched("hi"))
			if !lockstep {
				n := drainTo(b, started.Events, make([]Event, 0, 256))
				if n != b.N {
					b.Fatalf("%d deltas, want %d", n, b.N)
				}
				return
			}
			events := make([]Event, 0, 256)
			for n := 0; n < b.N; {
				<-started.Events.Wake()
				events, err := started.Events.Read(events[:0], 256)
				if err != nil {
					b.Fatal(err)
				}
				for i := range events {
					if events[i].Kind == EventDelta {
						n++
						read <- struct{}{}
					}
				}
			}
		})
	}
}

// BenchmarkStatelessTurn is a whole turn without a session: actor, acceptance,
// ten deltas, end.
func BenchmarkStatelessTurn(b *testing.B) {
	delta := deltasOf(" token")
	s := testSystem(b, Options{Agent: agentFunc(
		func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
			for range 10 {
				emit(delta)
			}
			return agent.Result{FinishReason: "stop"}, nil
		})})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		events := make([]Event, 0, 256)
		for pb.Next() {
			started, err := s.Start(Key{Owner: "ann"}, watched("hi"), nil)
			if err != nil {
				b.Error(err)
				return
			}
			drainTo(b, started.Events, events)
			started.Events.Close()
		}
	})
}
