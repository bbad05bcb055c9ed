package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// TestFatesSumToWhatWasAccepted lets all that can happen to a turn happen at
// random, and then counts.
func TestFatesSumToWhatWasAccepted(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	o := &moody{}
	s := NewSystem(Options{
		Agent: agentFunc(moodyAgent), Observer: o, Journal: &moodyJournal{Memory: store.NewMemory(store.MemoryOptions{})},
		MaxRunning: 4, MaxWaiting: 8, MaxLive: 3, LogWindow: 5000, CancelTimeout: 5 * time.Millisecond,
		IdleTimeout: time.Millisecond, Live: Live{QueueLimit: 5, TurnTimeout: 50 * time.Millisecond}, MaxIdempotent: 10_000,
	})
	const clients, each = 16, 150
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range each {
				moodyClient(s, r)
			}
		})
	}
	wg.Wait()
	s.Shutdown(context.Background())
	atRest(t, s)
	t.Logf("accepted %d: %v", s.Counts().Accepted, s.Counts().Ended)
	if n := s.admission.free; n != 4 {
		t.Errorf("%d of 4 places are free in the end", n)
	}
	for f := range FateDeadLettered {
		if s.Counts().Ended[f] == 0 {
			t.Errorf("nothing was %v: the test does not test it", f)
		}
	}
}

func moodyClient(s *System, r *rand.Rand) {
	key := Key{fmt.Sprint("owner", r.IntN(3)), fmt.Sprint("s", r.IntN(4))}
	if r.IntN(5) == 0 {
		key.Name = ""
	}
	m := StartTurn{
		Input: user(fmt.Sprint(r.IntN(100))), Busy: BusyPolicies()[r.IntN(5)], Class: Class(r.IntN(2)),
		Watch: r.IntN(3) > 0, Whole: r.IntN(4) == 0,
	}
	m.Disconnect = []Disconnect{{}, {Continue: true}, {Grace: time.Millisecond}}[r.IntN(3)]
	if r.IntN(4) == 0 {
		m.Deadline = time.Now().Add(time.Duration(r.IntN(5)) * time.Millisecond)
	}
	var idem *Idempotency
	if r.IntN(3) == 0 {
		idem = once(fmt.Sprint(key, r.IntN(50)), "same")
	}
	started, err := s.Start(key, m, idem)
	if err != nil {
		return
	}
	if key.Name != "" {
		switch r.IntN(30) {
		case 0:
			_ = s.Delete(key)
		case 1, 2:
			_, _ = s.Cancel(key, "")
		case 3, 4, 5:
			_, _ = s.Cancel(key, started.Turn)
		case 6, 7:
			if sub, err := s.Subscribe(key, Subscribe{Live: true, Create: true}); err == nil {
				defer sub.Close()
			}
		case 8, 9, 10:
			askToGo(s, key)
		}
	}
	if started.Events == nil {
		return
	}
	defer started.Events.Close()
	if r.IntN(2) == 0 {
		return // hangs up
	}
	for {
		<-started.Events.Wake()
		events, err := started.Events.Read(nil, 1+r.IntN(10))
		if err != nil {
			return
		}
		for i := range events {
			if e := &events[i]; e.Kind == EventMerged {
				return
			} else if e.Kind.Ends() {
				return
			}
		}
	}
}

func moodyAgent(ctx context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	for range rand.IntN(10) {
		emit(deltasOf("some", "words"))
		switch rand.IntN(40) {
		case 0:
			panic("moody")
		case 1:
			return agent.Result{}, errors.New("moody")
		case 2:
			<-ctx.Done() // until somebody loses patience
			return agent.Result{}, ctx.Err()
		case 3:
			wait(time.Duration(rand.IntN(10)) * time.Millisecond) // deaf
		}
	}
	return agent.Result{FinishReason: "stop", Completion: []byte(`{}`)}, nil
}

func wait(d time.Duration) { <-time.After(d) }

// moody is an observer that makes actors fail now and then.
type moody struct{}

func (*moody) FirstDelta(time.Duration) {
	if rand.IntN(30) == 0 {
		panic("moody")
	}
}

func (*moody) Deltas(int) {
	if rand.IntN(100) == 0 {
		panic("moody")
	}
}

func (*moody) TurnEnded(Fate, time.Duration) {}

// moodyJournal answers late, and sometimes fails.
type moodyJournal struct {
	*store.Memory
	mu   sync.Mutex
	last chan struct{} // closed when the append before was answered
}

func (j *moodyJournal) Append(id store.ID, epoch uint64, b store.Batch, done func(error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := errors.New("moody")
	if rand.IntN(50) > 0 {
		j.Memory.Append(id, epoch, b, func(e error) { err = e })
	}
	before, answered := j.last, make(chan struct{})
	j.last = answered
	go func() {
		defer close(answered)
		if before != nil {
			<-before
		}
		done(err)
	}()
}

func (j *moodyJournal) Load(ctx context.Context, id store.ID) (store.Session, error) {
	if rand.IntN(50) == 0 {
		return store.Session{}, errors.New("moody")
	}
	return j.Memory.Load(ctx, id)
}
