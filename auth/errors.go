package auth

import (
	"errors"
	"fmt"
	"time"
)

// Why a pairing was refused; each comes in a [*PairingError].
var (
	// ErrNoCode: no code waits to be used.
	ErrNoCode = errors.New("no pairing code is open")
	// ErrWrongCode: the code is not the one that was printed.
	ErrWrongCode = errors.New("wrong pairing code")
	// ErrExpired: the code is older than 10 minutes.
	ErrExpired = errors.New("the pairing code has expired")
	// ErrLocked: 5 wrong tries have killed the code.
	ErrLocked = errors.New("pairing is locked after too many wrong codes")
)

// Why a token was not made or revoked.
var (
	// ErrNotFound: no token has this id or name.
	ErrNotFound = errors.New("no token has this id or name")
	// ErrAmbiguous: several tokens have this name.
	ErrAmbiguous = errors.New("several tokens have this name, revoke by id")
	// ErrNameTaken: another token has this name.
	ErrNameTaken = errors.New("another token has this name, choose another or revoke it first")
	// ErrName: the name is empty, too long or cannot be printed.
	ErrName = errors.New("bad token name")
	// ErrOwner: the owner has characters that owners cannot have.
	ErrOwner = errors.New("bad owner name")
	// ErrTooMany: there are 10,000 tokens.
	ErrTooMany = fmt.Errorf("there are %d tokens already, revoke some first", maxTokens)
)

// PairingError is a refused pairing: one of ErrNoCode, ErrWrongCode,
// ErrExpired and ErrLocked, to be told apart with errors.Is.
type PairingError struct {
	// Err is one of the four.
	Err error
	// TriesLeft is how many more wrong codes are borne, with ErrWrongCode.
	TriesLeft int
	// RetryAfter is how long the lock lasts, with ErrLocked; else 0.
	RetryAfter time.Duration
}

// Error names what is wrong and what to do about it.
func (e *PairingError) Error() string {
	const renew = "make a token with \"agentzero token create\", or restart the gateway with --new-pairing, which revokes all tokens and prints a new code"
	switch {
	case errors.Is(e.Err, ErrWrongCode) && e.TriesLeft > 0:
		return fmt.Sprintf("%v; tries left: %d", e.Err, e.TriesLeft)
	case errors.Is(e.Err, ErrWrongCode):
		return fmt.Sprintf("%v; that was the last try, %s", e.Err, renew)
	case errors.Is(e.Err, ErrLocked):
		return fmt.Sprintf("%v, for %d seconds; %s", e.Err, ceilSeconds(e.RetryAfter), renew)
	default:
		return fmt.Sprintf("%v; %s", e.Err, renew)
	}
}

// Unwrap gives Err.
func (e *PairingError) Unwrap() error { return e.Err }

// FileError is a token file that cannot be used. It has been left as it is.
type FileError struct {
	Path string
	// Err is what is wrong.
	Err error
	// Remedy is what a person can do, a part of a sentence.
	Remedy string
}

func (e *FileError) Error() string {
	return fmt.Sprintf("token file %s: %v; %s", e.Path, e.Err, e.Remedy)
}

// Unwrap gives Err.
func (e *FileError) Unwrap() error { return e.Err }

func ceilSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
