package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

type fakeClock struct{ ns atomic.Int64 }

func newClock() *fakeClock {
	c := &fakeClock{}
	c.ns.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *fakeClock) Now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *fakeClock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// journal is a log that tests can wait on and read.
type journal struct {
	mu     sync.Mutex
	text   bytes.Buffer
	logger *slog.Logger
	lines  chan string
}

func newJournal() *journal {
	j := &journal{lines: make(chan string, 1000)}
	j.logger = slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return j
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines <- string(p)
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) await(t *testing.T, part string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case line := <-j.lines:
			if strings.Contains(line, part) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("nothing logged with %q", part)
		}
	}
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
	}
}

func open(t *testing.T, opts Options) *Keyring {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	k, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func create(t *testing.T, k *Keyring, name string) (string, Token) {
	t.Helper()
	secret, tok, err := k.Create(NewToken{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return secret, tok
}

func verify(k *Keyring, secret string) bool {
	_, ok := k.Verify([]byte(secret))
	return ok
}

func TestVerifyTellsWhoseATokenIs(t *testing.T) {
	k := open(t, Options{})
	secret, tok, err := k.Create(NewToken{Name: "ci", Owner: "alice@example.org", Scopes: ScopeChat})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := k.Verify([]byte(secret))
	want := Identity{TokenID: tok.ID, Owner: "alice@example.org", Scopes: ScopeChat}
	if !ok || id != want {
		t.Fatalf("Verify = %+v, %v; want %+v", id, ok, want)
	}
	for _, bad := range []string{"", secret[:len(secret)-1], secret + "A", strings.ToLower(secret), tok.ID, "az_", strings.Repeat("x", maxTokenBytes+1)} {
		if verify(k, bad) {
			t.Errorf("Verify took %q", bad)
		}
	}
}

func TestTokensAre256BitsAndDiffer(t *testing.T) {
	a, b := newSecret(TokenPrefix), newSecret(TokenPrefix)
	if a == b || len(a) != len("az_")+43 || !strings.HasPrefix(a, "az_") {
		t.Fatalf("tokens of length %d and %d, equal: %v", len(a), len(b), a == b)
	}
}

func TestTheFixedTokenIsAdminAndCannotBeRevoked(t *testing.T) {
	const fixed = "a-fixed-token-of-the-environment"
	k := open(t, Options{FixedToken: fixed})
	id, ok := k.Verify([]byte(fixed))
	if want := (Identity{TokenID: "env", Owner: "default", Scopes: AdminScopes}); !ok || id != want {
		t.Fatalf("Verify = %+v, %v; want %+v", id, ok, want)
	}
	if _, _, ok := k.PairingCode(); ok {
		t.Error("a pairing code is open beside a fixed token")
	}
	if _, _, err := k.NewPairing(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Revoke("env"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Revoke(env) = %v", err)
	}
	if !verify(k, fixed) {
		t.Error("the fixed token is gone")
	}
}

func TestAFixedTokenThatNoHeaderCarriesIsRefused(t *testing.T) {
	for _, bad := range []string{"with space", "line\nbreak", "\u00fcmlaut", strings.Repeat("x", maxTokenBytes+1)} {
		k, err := Open(Options{Dir: t.TempDir(), FixedToken: bad})
		if err == nil {
			k.Close()
			t.Errorf("Open took the fixed token %.20q", bad)
		} else if strings.Contains(err.Error(), bad) {
			t.Errorf("the error holds the token: %v", err)
		}
	}
}

func TestATokenIsForgottenWhenItIsRevoked(t *testing.T) {
	k := open(t, Options{})
	byID, tokByID := create(t, k, "one")
	byName, _ := create(t, k, "two")
	kept, _ := create(t, k, "three")
	if got, err := k.Revoke(tokByID.ID); err != nil || got != tokByID {
		t.Fatalf("Revoke by id = %+v, %v", got, err)
	}
	if _, err := k.Revoke("two"); err != nil {
		t.Fatal(err)
	}
	if verify(k, byID) || verify(k, byName) || !verify(k, kept) {
		t.Error("the wrong tokens are gone")
	}
	if _, err := k.Revoke("two"); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestTokensOutliveTheKeyring(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Options{Dir: dir})
	secret, tok := create(t, first, "laptop")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, Options{Dir: dir})
	if !verify(second, secret) {
		t.Error("the token is not known after a restart")
	}
	if got := second.Tokens(); len(got) != 1 || got[0].ID != tok.ID {
		t.Errorf("Tokens = %+v", got)
	}
	if _, _, ok := second.PairingCode(); ok {
		t.Error("a pairing code is open though there is a token")
	}
}

func TestTimesOfLastUseAreCoarse(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	secret, _ := create(t, k, "laptop")
	content := func() string {
		t.Helper()
		if err := k.flushUsed(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(k.file.Path())
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	unused := content()
	if strings.Contains(unused, "last_used") {
		t.Fatal("a token that was never used has a time of last use")
	}
	verify(k, secret)
	once := content()
	if want := `"last_used": "` + clock.Now().UTC().Format(time.RFC3339) + `"`; !strings.Contains(once, want) {
		t.Fatalf("no %s in %s", want, once)
	}
	clock.Advance(usedEvery - time.Second)
	verify(k, secret)
	if content() != once {
		t.Error("written again within a minute")
	}
	clock.Advance(time.Second)
	verify(k, secret)
	if content() == once {
		t.Error("not written after a minute")
	}
	if got := k.Tokens()[0].LastUsed; !got.Equal(clock.Now()) {
		t.Errorf("LastUsed = %v, want %v", got, clock.Now())
	}
}

func TestCloseWritesTimesOfLastUse(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	secret, _ := create(t, k, "laptop")
	verify(k, secret)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	tokens, err := k.file.List()
	if err != nil || len(tokens) != 1 || !tokens[0].LastUsed.Equal(clock.Now()) {
		t.Fatalf("List = %+v, %v", tokens, err)
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	if k, err := Open(Options{}); err == nil {
		k.Close()
		t.Fatal("opened nowhere")
	}
}

func TestNoSecretIsToldAnywhere(t *testing.T) {
	const fixed = "fixed-token-0123456789"
	j := newJournal()
	k := open(t, Options{FixedToken: fixed, Logger: j.logger})
	var told strings.Builder
	tell := func(args ...any) { fmt.Fprintln(&told, args...) }

	code, _ := k.OpenPairing()
	_, _, err := k.Pair("WRNG-C0DE", "phone")
	tell(err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		tell(fmt.Sprintf(verb, k))
	}
	j.logger.Info("keyring", "keyring", k)
	secret, id, err := k.Pair(code, "phone")
	if err != nil {
		t.Fatal(err)
	}
	tell(id, k.Tokens())
	ticket := k.IssueTicket(id)
	k.RedeemTicket(ticket)
	_, err = k.Revoke(secret)
	tell(err)
	_, err = k.Revoke(id.TokenID)
	tell(err)
	_, _, err = k.Pair(code, "phone")
	tell(err)

	file, err := os.ReadFile(k.file.Path())
	if err != nil {
		t.Fatal(err)
	}
	all := told.String() + j.String() + string(file)
	for what, s := range map[string]string{
		"token": secret, "fixed token": fixed, "code": code, "bare code": strings.ReplaceAll(code, "-", ""), "ticket": ticket, "wrong code": "WRNG",
	} {
		if strings.Contains(all, s) {
			t.Errorf("the %s is told in:\n%s", what, all)
		}
	}
}

func TestOneKeyringBearsManyAtOnce(t *testing.T) {
	k := open(t, Options{})
	kept, _ := create(t, k, "kept")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 5 {
				secret, tok, err := k.Create(NewToken{Name: fmt.Sprintf("t%d-%d", i, n)})
				if err != nil {
					t.Error(err)
					return
				}
				ticket := k.IssueTicket(Identity{TokenID: tok.ID, Owner: tok.Owner, Scopes: tok.Scopes})
				if !verify(k, secret) || !verify(k, kept) {
					t.Error("a good token was refused")
				}
				if _, ok := k.RedeemTicket(ticket); !ok {
					t.Error("a good ticket was refused")
				}
				if _, err := k.Revoke(tok.ID); err != nil {
					t.Error(err)
				}
				if verify(k, secret) {
					t.Error("a revoked token was taken")
				}
				k.Tokens()
				k.PairingCode()
			}
		})
	}
	wg.Wait()
	if got := k.Tokens(); len(got) != 1 {
		t.Errorf("%d tokens left, want 1", len(got))
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, maxTokens} {
		b.Run(fmt.Sprintf("tokens=%d", n), func(b *testing.B) {
			k, err := Open(Options{Dir: b.TempDir(), FixedToken: "fixed-token-0123456789"})
			if err != nil {
				b.Fatal(err)
			}
			defer k.Close()
			var secret string
			err = k.change(func(l *ledger) error {
				for i := range n {
					s := newSecret(TokenPrefix)
					secret = s
					l.records = append(l.records, testRecord(fmt.Sprint("t", i), s))
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			token := []byte(secret)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := k.Verify(token); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}

func TestVerifyAllocatesNothing(t *testing.T) {
	k := open(t, Options{FixedToken: "fixed-token-0123456789"})
	secret, _ := create(t, k, "laptop")
	good, bad := []byte(secret), []byte(newSecret(TokenPrefix))
	if n := testing.AllocsPerRun(100, func() {
		k.Verify(good)
		k.Verify(bad)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
