package actors

import (
	"context"
	"errors"
	"math"
	"time"

	"agentzero/store"
)

// recall looks a key up in the journal, where an earlier process may have left
// it, and takes what it finds into r, which the caller has claimed. When it
// fails, the claim is given back.
func (s *System) recall(r *remembered) (known bool, err error) {
	claim, ok, err := s.options.Journal.Claimed(s.life, r.key)
	switch {
	case err != nil:
		err = &Refusal{Code: RefusedUnavailable, Message: "the journal of idempotency keys cannot be read", RetryAfter: time.Second}
	case !ok || time.Since(claim.At) > idempotentAge:
		return false, nil
	case claim.Fingerprint != r.fingerprint:
		err = errConflict
	default:
		s.idempotent.rename(r, claim.Turn) // so that the turn's end is heard of
		err = s.recallTurn(r, &claim)
	}
	if errors.Is(err, store.ErrNotFound) {
		s.idempotent.rename(r, NewID("turn_"))
		return false, nil
	}
	if err != nil {
		s.idempotent.started(r, nil, nil)
		return false, err
	}
	return true, nil
}

// recallTurn finds the turn of a claim: its answer in the journal, or the turn
// itself, which the session's actor sees to.
func (s *System) recallTurn(r *remembered, claim *store.Claim) error {
	key := Key{Owner: claim.Session.Owner, Name: claim.Session.Name}
	told, err := retell(s.life, s.options.Journal, claim)
	if err != nil {
		return err
	}
	e := s.registry.lease(key)
	if e == nil {
		return errDraining
	}
	defer s.registry.unlease(e)
	accepted := &Accepted{Turn: claim.Turn, Follow: told.turn, Place: claim.Place, At: claim.At}
	if !told.ended {
		flies, err := ask[flying](s, e.pid, &findTurn{told.turn})
		switch {
		case err != nil:
			return err
		case !flies.here:
			// Its end is not in the journal yet, or never will be.
			if told.log = e.log.extract(told.turn); told.log == nil {
				return store.ErrNotFound
			}
			told.ended = true
		}
	}
	if told.ended {
		s.idempotent.recalled(r, told.log)
	}
	accepted.After = e.log.beginning()
	s.idempotent.started(r, e, accepted)
	return nil
}

// rename says which turn a key stands for.
func (i *idempotent) rename(r *remembered, turn string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r.turn = turn
}

// recalled takes the finished answer of an earlier process.
func (i *idempotent) recalled(r *remembered, answer *Log) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if e, ok := i.known[r.key]; ok && e.Value == r && r.done == nil {
		r.bytes = answer.bytes
		i.bytes += r.bytes
	}
	r.done = answer
}

// told is what the journal has of a turn.
type told struct {
	turn  string // that answers the message: another one where it was merged
	ended bool
	log   *Log
}

// retell reads what was said in the turn of a claim. It fails with
// [store.ErrNotFound] where that turn was not answered: then the claim is none.
func retell(ctx context.Context, journal store.Journal, claim *store.Claim) (*told, error) {
	t := &told{turn: claim.Turn}
	for place := claim.Place; ; {
		r, err := loadHead(ctx, journal, claim.Session)
		if err != nil {
			return nil, err
		}
		if !r.exists {
			return nil, store.ErrNotFound
		}
		r.window, r.only = math.MaxInt/4, t.turn
		if err := r.read(ctx, journal, claim.Session, place); err != nil {
			return nil, err
		}
		if !r.over {
			return t, nil
		}
		switch end := &r.events[len(r.events)-1]; end.kind {
		case EventMerged: // accepted before, as that turn was there to take it in
			t.turn, place = r.into, max(r.intoPlace, 1)
		case EventCompleted:
			t.log, t.ended = r.retold(), true
			return t, nil
		default:
			return nil, store.ErrNotFound
		}
	}
}

// retold returns a log of the events that were read.
func (r *revival) retold() *Log {
	log := &Log{limit: math.MaxInt}
	log.restore(r.head.Log, 0, r.events, 0)
	log.last, log.closed = log.events[len(log.events)-1].Seq, true
	return log
}

// beginning is the number before the first event that is kept.
func (l *Log) beginning() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}
