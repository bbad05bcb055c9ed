package actors

import (
	"context"
	"errors"
	"testing"
	"time"

	"agentzero/agent"
)

// burst is an agent that says n words as quickly as it can.
func burst(n int) agentFunc {
	return func(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
		words := deltasOf(" token", " token", " token", " token")
		for range n / len(words) {
			emit(words)
		}
		return agent.Result{FinishReason: "stop"}, nil
	}
}

func TestABurstLargerThanTheWindowReachesWhoReads(t *testing.T) {
	for name, key := range map[string]Key{"durable": chat, "stateless": {Owner: "ann"}} {
		t.Run(name, func(t *testing.T) {
			s := testSystem(t, Options{Agent: burst(20_000), LogWindow: 64 << 10}) // of about 3 MB
			started := start(t, s, key, watched("go"))
			n := 0
			for {
				receive(t, started.Events.Wake(), "an event")
				events, err := started.Events.Read(nil, 64)
				if err != nil {
					t.Fatalf("after %d deltas: %v", n, err)
				}
				for i := range events {
					if events[i].Kind == EventDelta {
						n++
					} else if events[i].Kind.Ends() {
						if n != 20_000 {
							t.Errorf("%d deltas", n)
						}
						return
					}
				}
			}
		})
	}
}

// A watcher that does not read holds the turn up for a second at most.
func TestAWatcherThatDoesNotReadHoldsUpNobodyForLong(t *testing.T) {
	ends := newObserver()
	s := testSystem(t, Options{Agent: burst(20_000), LogWindow: 64 << 10, Observer: ends})
	began := time.Now()
	started := start(t, s, chat, watched("go"))
	if fate := receive(t, ends.ends, "the turn's end"); fate != FateAnswered {
		t.Errorf("it was %v", fate)
	}
	if took := time.Since(began); took < maxPatience*9/10 {
		t.Errorf("it waited %v", took)
	}
	if _, err := started.Events.Read(nil, 10); !errors.Is(err, ErrGap) {
		t.Errorf("got %v", err)
	}
}
