// Package auth decides who a bearer token is: pairing codes, tokens, the file
// they are kept in, and one-use tickets for WebSocket upgrades.
//
// A token is 256 random bits; only its SHA-256 is kept, in {dir}/tokens.json
// ([File], mode 0600). A token belongs to an owner and carries [Scopes], both
// fixed when it is made. It is made either by pairing (a device sends the
// one-time code that the gateway printed) or by hand ([File.Create], the CLI).
//
// [Open] gives a [Keyring]: the tokens in memory, checked by [Keyring.Verify]
// in constant time and without a lock, kept in step with the file by one
// goroutine that [Keyring.Close] ends. Any number of processes may change the
// file at once; each change holds a lock, reads the file anew, and replaces it
// whole. A token that leaves the file ends what it holds open: see
// [Keyring.OnRevoke].
//
// All methods of Keyring and File are safe for use by many goroutines. Nothing
// here logs, prints or wraps in an error a token, a code or a ticket.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// Options say how to open a Keyring.
type Options struct {
	// Dir holds the token file, usually the data directory. It is created with
	// mode 0700 where it is missing. Required.
	Dir string
	// FixedToken is a token that is accepted without standing in the file,
	// usually from the environment: owner [DefaultOwner], all scopes, token id
	// [FixedTokenID]. It cannot be revoked. Empty means none.
	FixedToken string
	// Now is the clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// Logger takes what people should know: devices paired, tokens revoked, a
	// token file that cannot be read. Nil discards it.
	Logger *slog.Logger

	// poll makes the keyring look at the file once a second, as it does where
	// the system gives no change events.
	poll bool
}

// Keyring knows the tokens and answers whose a token is. Open makes one, Close
// ends it.
type Keyring struct {
	file  *File
	now   func() time.Time
	log   *slog.Logger
	fixed *digest

	// mu is held over every step that reads or writes the file and adopts what
	// it holds, so that the set in memory never goes back in time, and over
	// every step of pairing, so that one code makes one token.
	mu      sync.Mutex
	pairing pairing
	fault   string // what was wrong with the file when last read

	set     atomic.Pointer[tokenSet]
	used    atomic.Bool // a token's time of last use is newer than the file's
	revoked revocations
	tickets tickets

	stop      chan struct{}
	watching  chan struct{} // closed when the watch goroutine has ended
	closeOnce sync.Once
}

// minFixedToken is the length below which a fixed token can be guessed, in
// bytes; such a token is accepted with a warning.
const minFixedToken = 16

// Open reads the token file, creating an empty one where there is none, and
// starts to watch it. Where neither a token nor a fixed token exists it makes
// a pairing code; see [Keyring.PairingCode]. A file that is corrupt, cannot be
// read, or can be read by others is a [*FileError] and is left as it is.
func Open(opts Options) (*Keyring, error) {
	if opts.Dir == "" {
		return nil, errors.New("open the tokens: no directory given")
	}
	fixed, err := fixedDigest(opts.FixedToken)
	if err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	k := &Keyring{
		file:     NewFile(opts.Dir),
		now:      opts.Now,
		log:      opts.Logger,
		fixed:    fixed,
		stop:     make(chan struct{}),
		watching: make(chan struct{}),
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.set.Store(&tokenSet{})
	if fixed != nil && len(opts.FixedToken) < minFixedToken {
		k.log.Warn("the fixed token is short enough to be guessed", "min_bytes", minFixedToken)
	}

	if err := k.load(); err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	if k.set.Load().len() == 0 && k.fixed == nil {
		k.pairing.open(k.now())
	}
	w := newWatcher(k, opts.poll)
	// What was written between the first reading and the start of the watch
	// gave no event.
	k.reload(false)
	go func() {
		defer close(k.watching)
		w.run(k.stop)
	}()
	return k, nil
}

// load takes the tokens from the file. It makes one where there is none, since
// only what exists can be watched.
func (k *Keyring) load() error {
	l, err := k.file.read()
	if err != nil {
		return err
	}
	if l.missing {
		return k.change(func(*ledger) error { return nil })
	}
	k.adopt(l)
	return nil
}

// Close stops watching the file and writes the times of last use. Verify goes
// on answering from memory. Calls after the first do nothing.
func (k *Keyring) Close() error {
	var err error
	k.closeOnce.Do(func() {
		close(k.stop)
		<-k.watching
		err = k.flushUsed()
	})
	return err
}

// Verify tells whose token this is; false means nobody's. It takes one hash
// and one map lookup whatever the number of tokens, allocates nothing, and
// does not keep the slice.
func (k *Keyring) Verify(token []byte) (Identity, bool) {
	if len(token) == 0 || len(token) > maxTokenBytes {
		return Identity{}, false
	}
	sum := digest(sha256.Sum256(token))
	if k.fixed != nil && subtle.ConstantTimeCompare(sum[:], k.fixed[:]) == 1 {
		return fixedIdentity(), true
	}
	// How long a map lookup takes can tell about hashes only, and nobody can
	// steer a SHA-256 towards a hash they do not know.
	e := k.set.Load().byHash[sum]
	if e == nil || subtle.ConstantTimeCompare(sum[:], e.hash[:]) != 1 {
		return Identity{}, false
	}
	k.touch(e)
	return e.identity(), true
}

// Tokens lists the tokens of the file, oldest first, as last read. The fixed
// token is not among them.
func (k *Keyring) Tokens() []Token {
	return k.set.Load().tokens()
}

// Create makes a token as [File.Create] does; it is good when Create returns.
func (k *Keyring) Create(spec NewToken) (secret string, t Token, err error) {
	err = k.change(func(l *ledger) error {
		secret, t, err = l.create(spec, KindCreated, k.now())
		return err
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	k.log.Info("token created", "token_id", t.ID, "owner", t.Owner, "scopes", t.Scopes.String())
	return secret, t, nil
}

// Revoke removes the token with this id or, where no id fits, this name, as
// [File.Revoke] does. When it returns the token is refused and what was
// registered with [Keyring.OnRevoke] has been called.
func (k *Keyring) Revoke(idOrName string) (t Token, err error) {
	err = k.change(func(l *ledger) error {
		t, err = l.revoke(idOrName)
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("revoke token: %w", err)
	}
	return t, nil
}

// Format writes where the keyring's file is, whatever the verb: the fields
// hold the pairing code.
func (k *Keyring) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "auth.Keyring(%s)", k.file.path)
}

// change alters the token file and adopts what then stands in it.
func (k *Keyring) change(alter func(*ledger) error) error {
	k.mu.Lock()
	gone, err := k.changeLocked(alter)
	k.mu.Unlock()
	gone.end()
	return err
}

// changeLocked is change for callers that hold mu. They call end on the result
// after letting go of mu, since it runs code that is not ours.
func (k *Keyring) changeLocked(alter func(*ledger) error) (ended, error) {
	l, err := k.file.update(alter)
	if err != nil {
		return nil, err
	}
	// A file that is gone may be one that somebody is about to put back.
	if l.missing {
		return nil, nil
	}
	return k.adopt(l), nil
}

// adopt makes l the set that Verify reads and takes out what the tokens that
// are gone held open. The caller holds mu.
func (k *Keyring) adopt(l *ledger) ended {
	old := k.set.Load()
	if old.sum == l.sum {
		return nil
	}
	set := newTokenSet(l, old)
	k.set.Store(set)
	var gone ended
	for id, was := range old.byID {
		switch e := set.byID[id]; {
		case e == nil:
			k.log.Info("token revoked", "token_id", id)
		case !e.same(was):
			k.log.Info("token changed, what it had open ends", "token_id", id)
		default:
			continue
		}
		gone = append(gone, k.revoked.take(id)...)
	}
	return gone
}

func fixedDigest(token string) (*digest, error) {
	switch {
	case token == "":
		return nil, nil
	case len(token) > maxTokenBytes:
		return nil, fmt.Errorf("the fixed token is longer than %d bytes", maxTokenBytes)
	case strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }):
		return nil, errors.New("the fixed token has spaces or characters that no Authorization header can carry; use visible ASCII only")
	}
	d := digest(sha256.Sum256([]byte(token)))
	return &d, nil
}
