package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"agentzero/store"
)

// Resume wakes the sessions that an earlier process left with work in flight:
// what waited runs, what ran is over with what there is of its answer. It returns
// when all have been read, with their number.
func (s *System) Resume(ctx context.Context) (int, error) {
	keys := make(chan Key)
	var readers sync.WaitGroup
	for range resumeAtOnce {
		readers.Go(func() {
			for key := range keys {
				if err := s.describeAgain(ctx, key); err != nil {
					s.options.Logger.Error("session with unfinished work cannot be resumed",
						slog.String("session", key.Name), slog.String("owner", key.Owner), slog.Any("error", err))
				}
			}
		})
	}
	n, err := s.unfinished(ctx, keys)
	close(keys)
	readers.Wait()
	return n, err
}

// resumeAtOnce bounds how many journals are read together.
const resumeAtOnce = 16

func (s *System) unfinished(ctx context.Context, keys chan<- Key) (n int, err error) {
	after := store.ID{}
	for {
		ids, err := s.options.Journal.Unfinished(ctx, after, 256)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		for _, id := range ids {
			select {
			case keys <- Key{Owner: id.Owner, Name: id.Name}:
				n++
			case <-ctx.Done():
				return n, ctx.Err()
			}
		}
		after = ids[len(ids)-1]
	}
}

// sweepEvery is how often what need not be kept is removed.
const sweepEvery = time.Minute

// keepHouse sweeps until the system ends.
func (s *System) keepHouse() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.life.Done():
			return
		}
		s.sweepChannels(s.life)
		if n, err := s.Sweep(s.life); err != nil && s.life.Err() == nil {
			s.options.Logger.Warn("sessions that are kept too long cannot be removed", slog.Any("error", err))
		} else if n > 0 {
			s.options.Logger.Info("sessions removed that need not be kept", slog.Int("count", n))
		}
	}
}

// Sweep deletes the sessions that the retention does not allow, unless they are
// in use, and forgets the idempotency keys that have grown old. It returns the
// number of sessions deleted. The system does it every minute.
func (s *System) Sweep(ctx context.Context) (removed int, err error) {
	now := time.Now()
	if err := s.options.Journal.ForgetClaims(ctx, now.Add(-idempotentAge)); err != nil {
		return 0, err
	}
	for {
		retention := s.live.Load().Retention
		if retention == (store.Retention{}) {
			return removed, nil
		}
		ids, err := s.options.Journal.Surplus(ctx, retention, now, 100)
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		progress := false
		var unread error
		for _, id := range ids {
			_, err := request[Deleted](s, Key{Owner: id.Owner, Name: id.Name}, &DeleteSession{Unused: true})
			var refusal *Refusal
			switch {
			case err == nil:
				removed++
				progress = true
			case !errors.As(err, &refusal), refusal.Code == RefusedDraining:
				return removed, err
			case refusal.Code != RefusedBusy && refusal.Code != RefusedNotFound:
				unread = fmt.Errorf("session %s of %s: %w", id.Name, id.Owner, err) // that must not keep the others
			}
		}
		if !progress {
			return removed, unread // what is left is in use
		}
	}
}
