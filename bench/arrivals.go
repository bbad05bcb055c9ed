package bench

import (
	"context"
	"sync"
	"time"
)

// failurePause keeps a client from asking a server that refuses it thousands of
// times a second.
const failurePause = 100 * time.Millisecond

// closedLoop lets the clients begin evenly over the ramp. Each asks again when
// it has its answer.
func (r *run) closedLoop(ctx context.Context, list []*client, clients *sync.WaitGroup) {
	begun := time.Now()
	for i, c := range list {
		due := begun.Add(time.Duration(float64(r.plan.Ramp) * float64(i) / float64(len(list))))
		if !sleep(ctx, time.Until(due)) {
			return
		}
		clients.Go(func() {
			for r.ticket() && ctx.Err() == nil {
				failed := r.failed.Load()
				c.answer(ctx, time.Now())
				pause := r.plan.Pause
				if r.failed.Load() > failed && c.seen == 0 {
					pause = max(pause, failurePause)
				}
				if !sleep(ctx, pause) {
					return
				}
			}
		})
	}
}

// openLoop begins answers at the plan's rate. A free client does each; when none
// is free the answer waits for one, and the wait is a part of its time: a server
// that stalls delays what should have been asked meanwhile (coordinated omission
// would hide just that).
func (r *run) openLoop(ctx context.Context, list []*client, clients *sync.WaitGroup) {
	type arrival struct{ due time.Time }
	// One place for each client: more may be due, but then all are busy.
	work := make(chan arrival, len(list))
	defer close(work)
	var started int
	free := make(chan struct{}, len(list))
	start := func() {
		c := list[started]
		started++
		clients.Go(func() {
			for a := range work {
				if ctx.Err() == nil {
					c.answer(ctx, a.due)
				}
				free <- struct{}{}
			}
		})
	}
	idle := 0
	begun := time.Now()
	for i := 0; r.ticket(); i++ {
		due := begun.Add(time.Duration(float64(i) / r.plan.Rate * float64(time.Second)))
		if !sleep(ctx, time.Until(due)) {
			return
		}
		for len(free) > 0 {
			<-free
			idle++
		}
		switch {
		case idle > 0:
			idle--
		case started < len(list):
			start()
		default:
			r.late.Add(1)
			select {
			case <-free:
			case <-ctx.Done():
				return
			}
		}
		work <- arrival{due}
	}
}

// ticket tells whether one more answer may begin.
func (r *run) ticket() bool {
	return r.plan.Answers == 0 || r.tickets.Add(1) <= r.plan.Answers
}

// sleep waits for d, and tells whether the run goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
