package main

import (
	"errors"

	"agentzero/auth"
	"agentzero/transport"
)

// keyringAuth lets the front end ask the keyring, in the front end's words.
type keyringAuth struct{ *auth.Keyring }

// Verify implements transport.Auth.
func (k keyringAuth) Verify(token []byte) (transport.Identity, bool) {
	id, ok := k.Keyring.Verify(token)
	return identityOut(id), ok
}

// Pair implements transport.Auth.
func (k keyringAuth) Pair(code, name string) (string, error) {
	token, _, err := k.Keyring.Pair(code, name)
	var refused *auth.PairingError
	if errors.As(err, &refused) {
		return "", &transport.PairError{Message: refused.Error(), Locked: errors.Is(refused, auth.ErrLocked), RetryAfter: refused.RetryAfter}
	}
	if errors.Is(err, auth.ErrName) || errors.Is(err, auth.ErrTooMany) {
		return "", &transport.PairError{Message: err.Error()}
	}
	return token, err
}

// IssueTicket implements transport.Auth.
func (k keyringAuth) IssueTicket(id transport.Identity) string {
	return k.Keyring.IssueTicket(identityIn(id))
}

// RedeemTicket implements transport.Auth.
func (k keyringAuth) RedeemTicket(ticket string) (transport.Identity, bool) {
	id, ok := k.Keyring.RedeemTicket(ticket)
	return identityOut(id), ok
}

// Tokens implements transport.Auth.
func (k keyringAuth) Tokens() []transport.Token {
	var list []transport.Token
	for _, t := range k.Keyring.Tokens() {
		list = append(list, tokenOut(t))
	}
	return list
}

// CreateToken implements transport.Auth.
func (k keyringAuth) CreateToken(spec transport.NewToken) (string, transport.Token, error) {
	id := identityIn(transport.Identity{Chat: spec.Chat, Webhook: spec.Webhook, Admin: spec.Admin})
	secret, t, err := k.Create(auth.NewToken{Name: spec.Name, Owner: spec.Owner, Scopes: id.Scopes})
	param := ""
	switch {
	case errors.Is(err, auth.ErrName), errors.Is(err, auth.ErrNameTaken):
		param = "name"
	case errors.Is(err, auth.ErrOwner):
		param = "owner"
	case err != nil && !errors.Is(err, auth.ErrTooMany):
		return "", transport.Token{}, err
	}
	if err != nil {
		return "", transport.Token{}, &transport.TokenError{Message: err.Error(), Param: param}
	}
	return secret, tokenOut(t), nil
}

// RevokeToken implements transport.Auth.
func (k keyringAuth) RevokeToken(id string) error {
	_, err := k.Revoke(id)
	if errors.Is(err, auth.ErrNotFound) || errors.Is(err, auth.ErrAmbiguous) {
		return &transport.TokenError{Message: err.Error(), NotFound: true}
	}
	return err
}

func tokenOut(t auth.Token) transport.Token {
	return transport.Token{
		ID: t.ID, Name: t.Name, Owner: t.Owner, Kind: string(t.Kind), Created: t.Created, LastUsed: t.LastUsed,
		Chat: t.Scopes.Has(auth.ScopeChat), Webhook: t.Scopes.Has(auth.ScopeWebhook), Admin: t.Scopes.Has(auth.ScopeAdmin),
	}
}

func identityOut(id auth.Identity) transport.Identity {
	return transport.Identity{
		TokenID: id.TokenID, Owner: id.Owner,
		Chat: id.Scopes.Has(auth.ScopeChat), Webhook: id.Scopes.Has(auth.ScopeWebhook), Admin: id.Scopes.Has(auth.ScopeAdmin),
	}
}

func identityIn(id transport.Identity) auth.Identity {
	out := auth.Identity{TokenID: id.TokenID, Owner: id.Owner}
	for _, s := range []struct {
		has   bool
		scope auth.Scopes
	}{{id.Chat, auth.ScopeChat}, {id.Webhook, auth.ScopeWebhook}, {id.Admin, auth.ScopeAdmin}} {
		if s.has {
			out.Scopes |= s.scope
		}
	}
	return out
}
