package group

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a commit that the test lets through, one transaction after another.
type gate struct {
	began chan []int
	let   chan struct{}
}

func newGate() *gate { return &gate{make(chan []int), make(chan struct{})} }

func (g *gate) commit(ops []int) {
	g.began <- slices.Clone(ops)
	<-g.let
}

func add(t *testing.T, q *Queue[int], op int, size int64) {
	t.Helper()
	if err := q.Add(op, size); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got []int, want ...int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestWhatComesDuringACommitGoesTogetherIntoTheNext(t *testing.T) {
	g := newGate()
	q := New(1<<20, g.commit)
	add(t, q, 1, 1)
	want(t, <-g.began, 1)
	add(t, q, 2, 1)
	add(t, q, 3, 1)
	if q.Idle() {
		t.Error("idle in the middle of a commit")
	}
	g.let <- struct{}{}
	want(t, <-g.began, 2, 3)
	g.let <- struct{}{}
	q.Close()
	if !q.Idle() {
		t.Error("not idle after the end")
	}
}

func TestSettledWaitsForAllThatWasAddedBeforeAndForNoMore(t *testing.T) {
	g := newGate()
	q := New(1<<20, g.commit)
	defer q.Close()
	now := make(chan struct{}, 1)
	q.Settled(func() { now <- struct{}{} })
	<-now // nothing was added
	add(t, q, 1, 1)
	want(t, <-g.began, 1)
	during, behind := make(chan struct{}), make(chan struct{})
	q.Settled(func() { close(during) })
	g.let <- struct{}{}
	<-during
	add(t, q, 2, 1)
	want(t, <-g.began, 2)
	add(t, q, 3, 1)
	q.Settled(func() { close(behind) })
	g.let <- struct{}{}
	want(t, <-g.began, 3)
	select {
	case <-behind:
		t.Error("settled before what was added before it has ended")
	default:
	}
	g.let <- struct{}{}
	<-behind
}

func TestTheSizesOfWhatWaitsAreBounded(t *testing.T) {
	g := newGate()
	q := New(10, g.commit)
	defer q.Close()
	add(t, q, 1, 100) // alone, whatever its size
	want(t, <-g.began, 1)
	if err := q.Add(2, 1); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	g.let <- struct{}{}
	settled := make(chan struct{})
	q.Settled(func() { close(settled) })
	<-settled
	add(t, q, 3, 6)
	want(t, <-g.began, 3)
	add(t, q, 4, 4)
	if err := q.Add(5, 1); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	g.let <- struct{}{}
	want(t, <-g.began, 4)
	g.let <- struct{}{}
}

func TestOneTransactionTakesSoManyAndNoMore(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	hold := make(chan struct{})
	q := New(1<<20, func(ops []int) {
		<-hold
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(ops))
	})
	for i := range 2*maxTogether + 1 {
		add(t, q, i, 1)
	}
	close(hold)
	q.Close()
	sum := 0
	for _, n := range sizes {
		if sum += n; n > maxTogether {
			t.Errorf("%d at once", n)
		}
	}
	if sum != 2*maxTogether+1 {
		t.Errorf("%d were committed", sum)
	}
}

// Whoever is told that an operation was taken, sees it committed, whenever the
// queue is closed; and all who wait for it to settle hear of that.
func TestClosingLosesNothing(t *testing.T) {
	for range 200 {
		var committed, taken, refused, settled, asked int
		var mu sync.Mutex
		q := New(1<<20, func(ops []int) { committed += len(ops) })
		var adders sync.WaitGroup
		for range 4 {
			adders.Go(func() {
				for i := range 20 {
					err := q.Add(i, 1)
					q.Settled(func() { mu.Lock(); settled++; mu.Unlock() })
					mu.Lock()
					asked++
					switch {
					case err == nil:
						taken++
					case errors.Is(err, ErrClosed):
						refused++
					default:
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
		adders.Go(q.Close)
		q.Close()
		adders.Wait()
		if committed != taken || taken+refused != 80 || settled != asked {
			t.Fatalf("taken %d, refused %d, committed %d; settled %d of %d", taken, refused, committed, settled, asked)
		}
	}
}
