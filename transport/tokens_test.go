package transport

import (
	"slices"
	"strconv"
	"strings"
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

// Tokens lists what is known by id.
func (a *tokens) Tokens() []Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Token
	for id, i := range a.known {
		list = append(list, Token{ID: id, Name: id, Owner: i.Owner, Kind: "created", Chat: i.Chat, Webhook: i.Webhook, Admin: i.Admin})
	}
	slices.SortFunc(list, func(x, y Token) int { return strings.Compare(x.ID, y.ID) })
	return list
}

// CreateToken makes a token that is its name.
func (a *tokens) CreateToken(spec NewToken) (string, Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, taken := a.known[spec.Name]; taken || spec.Name == "" {
		return "", Token{}, &TokenError{Message: "another token has this name", Param: "name"}
	}
	i := Identity{TokenID: spec.Name, Owner: spec.Owner, Chat: spec.Chat, Webhook: spec.Webhook, Admin: spec.Admin}
	a.known[spec.Name] = i
	return spec.Name, Token{ID: spec.Name, Name: spec.Name, Owner: i.Owner, Kind: "created", Chat: i.Chat, Webhook: i.Webhook, Admin: i.Admin}, nil
}

// RevokeToken ends a token.
func (a *tokens) RevokeToken(id string) error {
	if _, ok := a.Verify([]byte(id)); !ok {
		return &TokenError{Message: "no token has this id", NotFound: true}
	}
	a.revoke(id)
	return nil
}
