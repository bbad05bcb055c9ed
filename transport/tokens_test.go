package transport

import (
	"strconv"
	"sync"
	"time"
)

// tokens is an Auth in memory. A token is its own id.
type tokens struct {
	mu      sync.Mutex
	known   map[string]Identity
	revokes map[string]map[int]func()
	tickets map[string]Identity
	serial  int
}

// The tokens that are there from the start, named for what they may do.
const (
	chatToken    = "chat-token"    // of the owner default
	adminToken   = "admin-token"   // of the owner default
	webhookToken = "webhook-token" // of the owner default
	otherToken   = "other-token"   // chats, of the owner other
)

func newTokens() *tokens {
	return &tokens{
		known: map[string]Identity{
			chatToken:    {TokenID: chatToken, Owner: "default", Chat: true},
			adminToken:   {TokenID: adminToken, Owner: "default", Admin: true},
			webhookToken: {TokenID: webhookToken, Owner: "default", Webhook: true},
			otherToken:   {TokenID: otherToken, Owner: "other", Chat: true},
		},
		revokes: make(map[string]map[int]func()),
		tickets: make(map[string]Identity),
	}
}

func (a *tokens) Verify(token []byte) (Identity, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.known[string(token)]
	return i, ok
}

func (a *tokens) OnRevoke(id string, f func()) (cancel func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	n := a.serial
	if a.revokes[id] == nil {
		a.revokes[id] = make(map[int]func())
	}
	a.revokes[id][n] = f
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.revokes[id], n)
	}
}

func (a *tokens) revoke(id string) {
	a.mu.Lock()
	delete(a.known, id)
	fs := a.revokes[id]
	delete(a.revokes, id)
	a.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

// watched is how many wait to hear of a token's end.
func (a *tokens) watched(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.revokes[id])
}

func (a *tokens) Pair(code, name string) (string, error) {
	switch code {
	case "good":
		return chatToken, nil
	case "locked":
		return "", &PairError{Message: "too many wrong codes", Locked: true, RetryAfter: 90 * time.Second}
	default:
		return "", &PairError{Message: "this is not the code"}
	}
}

func (a *tokens) IssueTicket(i Identity) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	ticket := "ticket-" + strconv.Itoa(a.serial)
	a.tickets[ticket] = i
	return ticket
}

func (a *tokens) RedeemTicket(ticket string) (Identity, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.tickets[ticket]
	delete(a.tickets, ticket)
	return i, ok
}
