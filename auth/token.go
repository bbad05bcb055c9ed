package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"
)

// TokenPrefix starts every token that this package makes, so that people and
// secret scanners know one when they see it.
const TokenPrefix = "az_"

const (
	// maxTokenBytes bounds what is hashed for a stranger.
	maxTokenBytes = 4096
	// maxTokens bounds the token file.
	maxTokens = 10_000
)

// Kind tells how a token came to be.
type Kind string

// The kinds of tokens.
const (
	KindPaired  Kind = "paired"  // by a device, with a pairing code
	KindCreated Kind = "created" // by an administrator
)

// Token is what may be known of a token; the token itself is not kept.
type Token struct {
	// ID names the token for good. It is short, random and no secret.
	ID     string `json:"id"`
	Name   string `json:"name"`
	Owner  string `json:"owner"`
	Scopes Scopes `json:"scopes"`
	Kind   Kind   `json:"kind"`
	// Created is in UTC, to the second.
	Created time.Time `json:"created"`
	// LastUsed is in UTC and coarse: it is written at most once a minute, and
	// the last minute's is lost in a crash. Zero means never.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// NewToken says what token to make.
type NewToken struct {
	// Name is for people: 1 to 64 printable characters that no other token is
	// called by. Required.
	Name string
	// Owner as CheckOwner has it; "" means [DefaultOwner].
	Owner string
	// Scopes; zero means [DeviceScopes].
	Scopes Scopes
}

// digest is the SHA-256 of a secret. As text it is hexadecimal.
type digest [sha256.Size]byte

// MarshalText writes the digest for the token file.
func (d digest) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads a digest of the token file.
func (d *digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return errors.New("sha256 must be 64 hexadecimal digits")
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return errors.New("sha256 must be 64 hexadecimal digits")
	}
	return nil
}

// newSecret makes 256 random bits as text, after prefix.
func newSecret(prefix string) string {
	var bits [32]byte
	rand.Read(bits[:])
	return prefix + base64.RawURLEncoding.EncodeToString(bits[:])
}

// newTokenID makes a name of 40 random bits.
func newTokenID() string {
	var bits [5]byte
	rand.Read(bits[:])
	return "tok_" + hex.EncodeToString(bits[:])
}
