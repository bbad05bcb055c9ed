package auth

import (
	"fmt"
	"sync/atomic"
	"time"
)

// usedEvery is how coarse the times of last use are, and how often they are
// written.
const usedEvery = time.Minute

// tokenSet is what Verify reads: the tokens of one state of the file. It does
// not change once it is made, but for its entries' times of last use.
type tokenSet struct {
	byHash map[digest]*entry
	byID   map[string]*entry
	order  []*entry // as in the file
	sum    digest
}

type entry struct {
	token Token
	hash  digest
	used  atomic.Int64 // time of last use in Unix seconds, 0 for never
}

// newTokenSet takes the times of last use that old knows and the file does not
// hold yet.
func newTokenSet(l *ledger, old *tokenSet) *tokenSet {
	s := &tokenSet{
		byHash: make(map[digest]*entry, len(l.records)),
		byID:   make(map[string]*entry, len(l.records)),
		order:  make([]*entry, len(l.records)),
		sum:    l.sum,
	}
	for i, r := range l.records {
		e := &entry{token: r.Token, hash: r.SHA256}
		if !r.LastUsed.IsZero() {
			e.used.Store(r.LastUsed.Unix())
		}
		if was := old.byID[r.ID]; was != nil {
			e.used.Store(max(e.used.Load(), was.used.Load()))
		}
		s.byHash[e.hash], s.byID[e.token.ID], s.order[i] = e, e, e
	}
	return s
}

func (s *tokenSet) len() int { return len(s.order) }

func (s *tokenSet) tokens() []Token {
	tokens := make([]Token, len(s.order))
	for i, e := range s.order {
		tokens[i] = e.token
		tokens[i].LastUsed = e.lastUsed()
	}
	return tokens
}

func (e *entry) identity() Identity {
	return Identity{TokenID: e.token.ID, Owner: e.token.Owner, Scopes: e.token.Scopes}
}

// same tells whether what was verified as old is still true of e.
func (e *entry) same(old *entry) bool {
	return e.hash == old.hash && e.identity() == old.identity()
}

func (e *entry) lastUsed() time.Time {
	if sec := e.used.Load(); sec != 0 {
		return time.Unix(sec, 0).UTC()
	}
	return time.Time{}
}

// touch notes that a token is in use. It writes to memory at most once a
// minute, so that cores which verify the same token do not fight over it.
func (k *Keyring) touch(e *entry) {
	now := k.now().Unix()
	if now-e.used.Load() < int64(usedEvery/time.Second) {
		return
	}
	e.used.Store(now)
	k.used.Store(true)
}

// flushUsed writes the times of last use that are newer than the file's.
func (k *Keyring) flushUsed() error {
	if !k.used.Swap(false) {
		return nil
	}
	err := k.change(func(l *ledger) error {
		known := k.set.Load().byID
		changed := false
		for i := range l.records {
			r := &l.records[i]
			if e := known[r.ID]; e != nil && e.lastUsed().After(r.LastUsed) {
				r.LastUsed = e.lastUsed()
				changed = true
			}
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		k.used.Store(true)
		return fmt.Errorf("write times of last use: %w", err)
	}
	return nil
}
