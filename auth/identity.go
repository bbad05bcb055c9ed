package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultOwner owns what paired devices make, so that a person's phone and
// laptop see the same sessions.
const DefaultOwner = "default"

// FixedTokenID is the token id of [Options.FixedToken].
const FixedTokenID = "env"

// Identity is whose token a request came with.
type Identity struct {
	// TokenID names the token in logs, lists and limits; it is no secret. It is
	// empty for an identity that no token stands behind, such as a gateway's
	// that asks for none.
	TokenID string
	// Owner is whose sessions the token sees.
	Owner string
	// Scopes is what the token may do.
	Scopes Scopes
}

func fixedIdentity() Identity {
	return Identity{TokenID: FixedTokenID, Owner: DefaultOwner, Scopes: AdminScopes}
}

// Scopes is a set of things a token may do. The zero value is none.
type Scopes uint8

// The scopes. ScopeAdmin never stands alone in a token: an administrator has
// all of them.
const (
	ScopeChat    Scopes = 1 << iota // chat completions, sessions, WebSocket
	ScopeWebhook                    // deliveries to channels
	ScopeAdmin                      // what belongs to others, channels, tokens

	// DeviceScopes are those of a paired device that is not the first.
	DeviceScopes = ScopeChat | ScopeWebhook
	// AdminScopes are those of the first paired device and the fixed token.
	AdminScopes = DeviceScopes | ScopeAdmin
)

// scopeNames are in the order of their bits.
var scopeNames = [...]string{"chat", "webhook", "admin"}

// Has tells whether all of want are in s.
func (s Scopes) Has(want Scopes) bool { return s&want == want }

// String lists the scopes with commas between, such as "chat,webhook".
func (s Scopes) String() string { return strings.Join(s.names(), ",") }

func (s Scopes) names() []string {
	names := make([]string, 0, len(scopeNames))
	for bit, name := range scopeNames {
		if s.Has(1 << bit) {
			names = append(names, name)
		}
	}
	return names
}

// MarshalJSON writes the scopes as a list of their names.
func (s Scopes) MarshalJSON() ([]byte, error) { return json.Marshal(s.names()) }

// UnmarshalJSON reads a list of one or more names of scopes.
func (s *Scopes) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return errors.New("scopes must be a list of strings")
	}
	scopes, err := scopesOf(names)
	if err != nil {
		return err
	}
	*s = scopes
	return nil
}

// ParseScopes reads names of scopes with commas between. "admin" stands for
// all scopes. No name, or one that is no scope, is an error.
func ParseScopes(list string) (Scopes, error) {
	return scopesOf(strings.Split(list, ","))
}

func scopesOf(names []string) (Scopes, error) {
	var s Scopes
	for _, name := range names {
		switch strings.TrimSpace(name) {
		case "chat":
			s |= ScopeChat
		case "webhook":
			s |= ScopeWebhook
		case "admin":
			s |= AdminScopes
		default:
			return 0, fmt.Errorf("unknown scope %q; the scopes are %s", name, strings.Join(scopeNames[:], ", "))
		}
	}
	if s == 0 {
		return 0, fmt.Errorf("no scope is given; the scopes are %s", strings.Join(scopeNames[:], ", "))
	}
	return s, nil
}

// CheckOwner returns an error wrapping [ErrOwner] unless owner is 1 to 64 of
// the characters A-Z a-z 0-9 . _ @ -
func CheckOwner(owner string) error {
	ok := len(owner) >= 1 && len(owner) <= 64
	for i := 0; ok && i < len(owner); i++ {
		ok = ownerByte(owner[i])
	}
	if !ok {
		return fmt.Errorf("%w: use 1 to 64 of A-Z a-z 0-9 . _ @ -", ErrOwner)
	}
	return nil
}

func ownerByte(c byte) bool {
	switch {
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == '@' || c == '-'
}

// maxNameRunes bounds a token's name.
const maxNameRunes = 64

// checkName keeps names to what a terminal and a log line can show.
func checkName(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxNameRunes:
		return fmt.Errorf("%w: use 1 to %d characters", ErrName, maxNameRunes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%w: use printable characters only", ErrName)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("%w: it starts or ends with a space", ErrName)
	}
	return nil
}
