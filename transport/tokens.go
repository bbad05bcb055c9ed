package transport

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// Token is what may be told of a token; the token itself is not kept.
type Token struct {
	ID, Name, Owner string
	// Kind tells how it came to be: "paired" or "created".
	Kind                 string
	Chat, Webhook, Admin bool
	// LastUsed is zero where it was never used.
	Created, LastUsed time.Time
}

// NewToken says what token to make.
type NewToken struct {
	Name string
	// Owner, if "", is the paired devices'.
	Owner string
	// Chat, Webhook and Admin are its scopes; none is a paired device's.
	Chat, Webhook, Admin bool
}

// TokenError refuses to make or to revoke a token.
type TokenError struct {
	Message string
	// Param is the field at fault: "name", "owner" or "".
	Param string
	// NotFound tells that there is no such token.
	NotFound bool
}

func (e *TokenError) Error() string { return e.Message }

// whoami answers GET /v1/whoami: whom the request's token stands for.
func (s *Server) whoami(ctx *fasthttp.RequestCtx, r *request) error {
	return writeJSON(ctx, struct {
		Token   string   `json:"token_id"`
		Owner   string   `json:"owner"`
		Scopes  []string `json:"scopes"`
		Pairing bool     `json:"pairing_required"`
		Version string   `json:"version"`
	}{
		r.identity.TokenID, r.identity.Owner, scopesOf(r.identity.Chat, r.identity.Webhook, r.identity.Admin),
		s.options.RequirePairing, s.options.Version,
	})
}

// scopesOf lists scopes. Who is admin may do all.
func scopesOf(chat, webhook, admin bool) []string {
	scopes := []string{}
	if chat || admin {
		scopes = append(scopes, "chat")
	}
	if webhook || admin {
		scopes = append(scopes, "webhook")
	}
	if admin {
		scopes = append(scopes, "admin")
	}
	return scopes
}

type tokenJSON struct {
	ID       string   `json:"id"`
	Object   string   `json:"object"`
	Name     string   `json:"name"`
	Owner    string   `json:"owner"`
	Scopes   []string `json:"scopes"`
	Kind     string   `json:"kind"`
	Created  int64    `json:"created"`
	LastUsed *int64   `json:"last_used"`
	// Token is the secret, told once.
	Token string `json:"token,omitempty"`
}

func tokenBody(t Token) tokenJSON {
	j := tokenJSON{
		ID: t.ID, Object: "token", Name: t.Name, Owner: t.Owner, Kind: t.Kind,
		Scopes: scopesOf(t.Chat, t.Webhook, t.Admin), Created: t.Created.Unix(),
	}
	if !t.LastUsed.IsZero() {
		used := t.LastUsed.Unix()
		j.LastUsed = &used
	}
	return j
}

// listTokens answers GET /v1/tokens, oldest first.
func (s *Server) listTokens(ctx *fasthttp.RequestCtx, _ *request) error {
	list := struct {
		Object string      `json:"object"`
		Data   []tokenJSON `json:"data"`
	}{"list", []tokenJSON{}}
	for _, t := range s.options.Auth.Tokens() {
		list.Data = append(list.Data, tokenBody(t))
	}
	return writeJSON(ctx, list)
}

// createToken answers POST /v1/tokens.
func (s *Server) createToken(ctx *fasthttp.RequestCtx, _ *request) error {
	b, err := parseBody(ctx, false)
	if err != nil {
		return err
	}
	var spec NewToken
	var scopes []string
	for _, err := range []error{
		b.take("name", &spec.Name, "a string"),
		b.take("owner", &spec.Owner, "a string"),
		b.take("scopes", &scopes, "a list of strings"),
	} {
		if err != nil {
			return err
		}
	}
	for name := range b { // a limit that is misspelt must not be passed over
		return badRequest(name, "a token has a name, an owner and scopes; nothing else can be set")
	}
	for _, scope := range scopes {
		switch scope {
		case "chat":
			spec.Chat = true
		case "webhook":
			spec.Webhook = true
		case "admin":
			spec.Admin = true
		default:
			return badRequest("scopes", "the scopes are chat, webhook and admin")
		}
	}
	secret, t, err := s.options.Auth.CreateToken(spec)
	if err != nil {
		return tokenError(err)
	}
	j := tokenBody(t)
	j.Token = secret
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(fasthttp.StatusCreated)
	return writeJSON(ctx, j)
}

// revokeToken answers DELETE /v1/tokens/:id. What the token has open ends.
func (s *Server) revokeToken(ctx *fasthttp.RequestCtx, _ *request) error {
	id := pathID(ctx)
	if err := s.options.Auth.RevokeToken(id); err != nil {
		return tokenError(err)
	}
	return writeJSON(ctx, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{id, "token.deleted", true})
}

func tokenError(err error) error {
	var refused *TokenError
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.NotFound:
		return fail(CodeNotFound, refused.Message)
	default:
		return badRequest(refused.Param, refused.Message)
	}
}
