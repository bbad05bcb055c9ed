package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"
)

const (
	// PairingLife is how long a pairing code is good.
	PairingLife = 10 * time.Minute
	// PairingTries is how many wrong codes kill a code.
	PairingTries = 5
	// PairingLock is for how long pairing then answers ErrLocked.
	PairingLock = 5 * time.Minute

	// codeLetters are Crockford's base 32, which has no I, L, O and U.
	codeLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeLen     = 8 // 40 bits

	// deviceName is for devices that give none.
	deviceName = "device"
)

// PairingCode gives the code that is open, as XXXX-XXXX, and when it ends. ok
// is false where none is: there are tokens already, or it has been used, has
// expired or has been killed by wrong tries. It is a secret, for the console
// of whoever started the gateway only.
func (k *Keyring) PairingCode() (code string, expires time.Time, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.pairing.isOpen || !k.now().Before(k.pairing.expires) {
		return "", time.Time{}, false
	}
	code, expires = k.pairing.text()
	return code, expires, true
}

// Pair makes a token for a device that knows the pairing code, and closes the
// code. The code is taken with or without its dash, in any case, with I and L
// for 1 and O for 0. The owner is [DefaultOwner]; the first paired device gets
// AdminScopes, later ones DeviceScopes. A name that is taken gets a number
// behind it, an empty one becomes "device".
//
// A code that is refused is a bare [*PairingError]. The fifth wrong code kills the code: it is
// not good any more, not even for who knows it. From then on Pair answers
// ErrLocked for [PairingLock] and ErrNoCode after that, until OpenPairing or
// NewPairing makes another code, which lifts the lock at once. An empty code is
// wrong but counts as no try. Other errors wrap ErrName, ErrTooMany or a
// [*FileError]; the code then stays open.
func (k *Keyring) Pair(code, name string) (secret string, id Identity, err error) {
	if name == "" {
		name = deviceName
	}
	if err := checkName(name); err != nil {
		return "", Identity{}, fmt.Errorf("pair: %w", err)
	}
	k.mu.Lock()
	t, secret, gone, err := k.pairLocked(code, name)
	k.mu.Unlock()
	gone.end()
	if err != nil {
		k.log.Warn("pairing refused", "error", err)
		return "", Identity{}, err
	}
	k.log.Info("device paired", "token_id", t.ID, "name", t.Name, "scopes", t.Scopes.String())
	return secret, Identity{TokenID: t.ID, Owner: t.Owner, Scopes: t.Scopes}, nil
}

func (k *Keyring) pairLocked(code, name string) (t Token, secret string, gone ended, err error) {
	if refused := k.pairing.try(code, k.now()); refused != nil {
		return Token{}, "", nil, refused
	}
	gone, err = k.changeLocked(func(l *ledger) error {
		scopes := AdminScopes
		for _, r := range l.records {
			if r.Kind == KindPaired {
				scopes = DeviceScopes
			}
		}
		spec := NewToken{Name: l.freeName(name), Owner: DefaultOwner, Scopes: scopes}
		secret, t, err = l.create(spec, KindPaired, k.now())
		return err
	})
	if err != nil {
		return Token{}, "", gone, fmt.Errorf("pair: %w", err)
	}
	k.pairing = pairing{}
	return t, secret, gone, nil
}

// OpenPairing makes a pairing code for one more device and leaves the tokens
// as they are. A code that was open is dead.
func (k *Keyring) OpenPairing() (code string, expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pairing.open(k.now())
	return k.pairing.text()
}

// NewPairing revokes all tokens but the fixed one and makes a pairing code for
// a first device.
func (k *Keyring) NewPairing() (code string, expires time.Time, err error) {
	k.mu.Lock()
	gone, err := k.changeLocked(func(l *ledger) error {
		if len(l.records) == 0 && !l.missing {
			return errUnchanged
		}
		l.records = nil
		return nil
	})
	if err == nil {
		k.pairing.open(k.now())
		code, expires = k.pairing.text()
	}
	k.mu.Unlock()
	gone.end()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("new pairing: %w", err)
	}
	return code, expires, nil
}

// pairing is the state of the one code: none (the zero value), open, or dead
// by wrong tries.
type pairing struct {
	isOpen  bool
	code    [codeLen]byte
	expires time.Time
	wrong   int
	// locked is when a lock by wrong tries ends; zero where there is none.
	locked time.Time
}

func (p *pairing) open(now time.Time) {
	*p = pairing{isOpen: true, expires: now.Add(PairingLife)}
	rand.Read(p.code[:])
	for i, b := range p.code {
		p.code[i] = codeLetters[b%byte(len(codeLetters))]
	}
}

func (p *pairing) text() (code string, expires time.Time) {
	const half = codeLen / 2
	return string(p.code[:half]) + "-" + string(p.code[half:]), p.expires
}

// try returns nil when code is the open one.
func (p *pairing) try(code string, now time.Time) *PairingError {
	switch {
	case now.Before(p.locked):
		return &PairingError{Err: ErrLocked, RetryAfter: p.locked.Sub(now)}
	case !p.isOpen:
		return &PairingError{Err: ErrNoCode}
	case !now.Before(p.expires):
		return &PairingError{Err: ErrExpired}
	case subtle.ConstantTimeCompare(canonical(code), p.code[:]) == 1:
		return nil
	}
	if code != "" {
		p.wrong++
	}
	left := PairingTries - p.wrong
	if left == 0 {
		*p = pairing{locked: now.Add(PairingLock)}
	}
	return &PairingError{Err: ErrWrongCode, TriesLeft: left}
}

// canonical writes a code as codeLetters have it. What is too long to be a
// code gives nothing.
func canonical(code string) []byte {
	if len(code) > 2*codeLen {
		return nil
	}
	letters := make([]byte, 0, 2*codeLen)
	for _, c := range []byte(strings.ToUpper(code)) {
		switch c {
		case '-', ' ':
		case 'O':
			letters = append(letters, '0')
		case 'I', 'L':
			letters = append(letters, '1')
		default:
			letters = append(letters, c)
		}
	}
	return letters
}
