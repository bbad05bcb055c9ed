package actors

import (
	"context"
	"errors"
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
		err = s.recallTurn(r, &claim)
	}
	if errors.Is(err, store.ErrNotFound) {
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
	accepted := &Accepted{Turn: claim.Turn, Follow: told.turn}
	if told.ended {
		s.idempotent.recalled(r, told.log)
	} else if _, err := ask[Description](s, e.pid, &Describe{}); err != nil { // so that it has read its journal
		return err
	}
	accepted.After = e.log.beginning()
	s.idempotent.started(r, e, accepted)
	return nil
}

// recalled takes the finished answer of an earlier process.
func (i *idempotent) recalled(r *remembered, answer *Log) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r.done, r.bytes = answer, answer.bytes
	i.bytes += r.bytes
}

// told is what the journal has of a turn.
type told struct {
	turn  string // that answers the message: another one where it was merged
	ended bool
	log   *Log
}

// retell reads what was said in the turn of a claim.
func retell(ctx context.Context, journal store.Journal, claim *store.Claim) (*told, error) {
	r, err := loadHead(ctx, journal, claim.Session)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, store.ErrNotFound
	}
	t := &told{turn: claim.Turn}
	if err := r.read(ctx, journal, claim.Session, claim.Place); err != nil {
		return nil, err
	}
	if into := r.mergedInto(claim.Turn); into != "" { // accepted before, as it was there to take it in
		t.turn = into
		if r, err = loadHead(ctx, journal, claim.Session); err != nil || r == nil {
			return nil, errors.Join(err, store.ErrNotFound)
		}
		if err := r.read(ctx, journal, claim.Session, 1); err != nil {
			return nil, err
		}
	}
	t.log, t.ended = r.extract(t.turn)
	return t, nil
}

func (r *revival) mergedInto(turn string) string {
	for i := range r.events {
		if e := &r.events[i]; e.turn == turn && e.kind == EventMerged {
			if ending, err := decode[TurnEvent](e.data); err == nil {
				return ending.Into
			}
		}
	}
	return ""
}

// extract returns a log of one turn's events, and whether its end is among them.
func (r *revival) extract(turn string) (log *Log, ended bool) {
	log = &Log{epoch: r.head.Log}
	for i := range r.events {
		if e := &r.events[i]; e.turn == turn {
			log.put(e, r.seqs[i])
			log.last = r.seqs[i]
			ended = ended || e.kind.Ends()
		}
	}
	log.closed = true
	return log, ended
}

// beginning is the number before the first event that is kept.
func (l *Log) beginning() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}
