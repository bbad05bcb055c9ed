package auth

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// TicketLife is how long a ticket is good.
	TicketLife = 30 * time.Second
	// maxTickets bounds the tickets that wait to be redeemed; past it the
	// oldest are dropped.
	maxTickets = 10_000
)

// IssueTicket makes a ticket that stands for id once, within [TicketLife]: for
// browsers, which cannot send a token when they open a WebSocket.
func (k *Keyring) IssueTicket(id Identity) string {
	secret := newSecret("azt_")
	k.tickets.put(ticket{key: sha256.Sum256([]byte(secret)), id: id, expires: k.now().Add(TicketLife)})
	return secret
}

// RedeemTicket uses a ticket up and tells for whom it was issued; false means
// that it is not or no longer good, or that its token has been revoked.
func (k *Keyring) RedeemTicket(secret string) (Identity, bool) {
	if len(secret) > maxTokenBytes {
		return Identity{}, false
	}
	t, ok := k.tickets.take(sha256.Sum256([]byte(secret)))
	if !ok || !k.now().Before(t.expires) || !k.good(t.id) {
		return Identity{}, false
	}
	return t.id, true
}

// good tells whether id is what Verify would still say of its token.
func (k *Keyring) good(id Identity) bool {
	if id.TokenID == "" || id.TokenID == FixedTokenID && k.fixed != nil {
		return true
	}
	e := k.set.Load().byID[id.TokenID]
	return e != nil && e.identity() == id
}

// tickets are those that wait. All live equally long, so the order of issue is
// the order of expiry.
type tickets struct {
	mu    sync.Mutex
	byKey map[digest]*list.Element
	order list.List // of ticket, oldest first
}

type ticket struct {
	key     digest // SHA-256 of the secret
	id      Identity
	expires time.Time
}

func (s *tickets) put(t ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = make(map[digest]*list.Element)
	}
	for oldest := s.order.Front(); oldest != nil; oldest = s.order.Front() {
		// t expires one life from now, so what expires one life before t has.
		expired := t.expires.Sub(oldest.Value.(ticket).expires) >= TicketLife
		if !expired && s.order.Len() < maxTickets {
			break
		}
		s.drop(oldest)
	}
	s.byKey[t.key] = s.order.PushBack(t)
}

func (s *tickets) take(key digest) (ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[key]
	if e == nil {
		return ticket{}, false
	}
	s.drop(e)
	return e.Value.(ticket), true
}

func (s *tickets) drop(e *list.Element) {
	s.order.Remove(e)
	delete(s.byKey, e.Value.(ticket).key)
}
