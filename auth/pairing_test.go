package auth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func pairingCode(t *testing.T, k *Keyring) string {
	t.Helper()
	code, _, ok := k.PairingCode()
	if !ok {
		t.Fatal("no pairing code is open")
	}
	return code
}

// wrongFor is a code that differs from the good one in one letter.
func wrongFor(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func TestThePairingCodeCanBeReadAloud(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	code, expires, ok := k.PairingCode()
	if !ok || !regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`).MatchString(code) {
		t.Fatalf("code %q, open %v", code, ok)
	}
	if want := clock.Now().Add(10 * time.Minute); !expires.Equal(want) {
		t.Errorf("expires %v, want %v", expires, want)
	}
}

func TestTheFirstPairedDeviceIsAdmin(t *testing.T) {
	k := open(t, Options{})
	// A token made by hand is no device.
	create(t, k, "ci")
	for i, want := range []Scopes{AdminScopes, DeviceScopes, DeviceScopes} {
		code, _ := k.OpenPairing()
		secret, id, err := k.Pair(code, "phone")
		if err != nil {
			t.Fatal(err)
		}
		if id.Scopes != want || id.Owner != DefaultOwner {
			t.Errorf("device %d is %+v, want scopes %v", i+1, id, want)
		}
		if got, ok := k.Verify([]byte(secret)); !ok || got != id {
			t.Errorf("device %d: Verify = %+v, %v", i+1, got, ok)
		}
	}
	var names []string
	for _, tok := range k.Tokens() {
		names = append(names, tok.Name)
	}
	if got := fmt.Sprint(names); got != "[ci phone phone 2 phone 3]" {
		t.Errorf("names %s", got)
	}
}

func TestCodesAreTakenAsPeopleTypeThem(t *testing.T) {
	for name, typed := range map[string]func(string) string{
		"without the dash": func(c string) string { return strings.ReplaceAll(c, "-", "") },
		"in lower case":    strings.ToLower,
		"with spaces":      func(c string) string { return " " + c + " " },
		"with O for 0":     func(c string) string { return strings.ReplaceAll(c, "0", "O") },
		"with l for 1":     func(c string) string { return strings.ReplaceAll(c, "1", "l") },
	} {
		k := open(t, Options{})
		k.mu.Lock()
		copy(k.pairing.code[:], "01AB01CD")
		k.mu.Unlock()
		if _, _, err := k.Pair(typed("01AB-01CD"), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := k.Tokens(); len(got) != 1 || got[0].Name != "device" {
			t.Errorf("%s: tokens %+v", name, got)
		}
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	k := open(t, Options{})
	code := pairingCode(t, k)
	if _, _, err := k.Pair(code, "phone"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Pair(code, "phone"); !errors.Is(err, ErrNoCode) {
		t.Fatalf("the second use: %v", err)
	}
	if _, _, ok := k.PairingCode(); ok {
		t.Error("the code is still told")
	}
}

func TestACodeExpires(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	code := pairingCode(t, k)
	clock.Advance(PairingLife)
	if _, _, err := k.Pair(code, "phone"); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "--new-pairing") {
		t.Fatalf("Pair = %v", err)
	}
	if _, _, ok := k.PairingCode(); ok {
		t.Error("the code is still told")
	}
	fresh, _ := k.OpenPairing()
	clock.Advance(PairingLife - 1)
	if _, _, err := k.Pair(fresh, "phone"); err != nil {
		t.Fatal(err)
	}
}

func TestFiveWrongCodesLockPairing(t *testing.T) {
	clock := newClock()
	k := open(t, Options{Now: clock.Now})
	code := pairingCode(t, k)
	for left := PairingTries - 1; left >= 0; left-- {
		_, _, err := k.Pair(wrongFor(code), "phone")
		var refused *PairingError
		if !errors.Is(err, ErrWrongCode) || !errors.As(err, &refused) || refused.TriesLeft != left {
			t.Fatalf("with %d tries left: %v", left, err)
		}
	}
	clock.Advance(time.Minute)
	_, _, err := k.Pair(code, "phone")
	var refused *PairingError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &refused) || refused.RetryAfter != PairingLock-time.Minute {
		t.Fatalf("the right code after five wrong ones: %v", err)
	}
	if !strings.Contains(err.Error(), "240 seconds") || !strings.Contains(err.Error(), "--new-pairing") {
		t.Errorf("the error tells no remedy: %v", err)
	}
	clock.Advance(PairingLock)
	if _, _, err := k.Pair(code, "phone"); !errors.Is(err, ErrNoCode) {
		t.Errorf("the dead code after the lock: %v", err)
	}
}

func TestANewCodeLiftsTheLock(t *testing.T) {
	k := open(t, Options{})
	code := pairingCode(t, k)
	for range PairingTries {
		k.Pair(wrongFor(code), "phone")
	}
	fresh, _ := k.OpenPairing()
	if _, _, err := k.Pair(fresh, "phone"); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoCodeIsWrong(t *testing.T) {
	k := open(t, Options{})
	for _, bad := range []string{"x", strings.Repeat("A", 1000), "\x00\xff", "--------"} {
		k.OpenPairing()
		var refused *PairingError
		if _, _, err := k.Pair(bad, "phone"); !errors.Is(err, ErrWrongCode) || !errors.As(err, &refused) || refused.TriesLeft != PairingTries-1 {
			t.Errorf("Pair(%.10q) = %v", bad, err)
		}
	}
}

func TestAnEmptyCodeIsNoTry(t *testing.T) {
	k := open(t, Options{})
	code := pairingCode(t, k)
	for range 2 * PairingTries {
		if _, _, err := k.Pair("", "phone"); !errors.Is(err, ErrWrongCode) {
			t.Fatal(err)
		}
	}
	if _, _, err := k.Pair(code, "phone"); err != nil {
		t.Fatal(err)
	}
}

func TestABadNameDoesNotUseTheCodeUp(t *testing.T) {
	k := open(t, Options{})
	code := pairingCode(t, k)
	if _, _, err := k.Pair(code, "a\nb"); !errors.Is(err, ErrName) {
		t.Fatal(err)
	}
	if _, _, err := k.Pair(code, "ab"); err != nil {
		t.Fatal(err)
	}
}

func TestNewPairingRevokesAllTokens(t *testing.T) {
	k := open(t, Options{})
	first, tok := create(t, k, "first")
	second, _ := create(t, k, "second")
	ended := make(chan struct{})
	k.OnRevoke(tok.ID, func() { close(ended) })
	code, _, err := k.NewPairing()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the stream", ended)
	if verify(k, first) || verify(k, second) || len(k.Tokens()) != 0 {
		t.Error("tokens are left")
	}
	_, id, err := k.Pair(code, "phone")
	if err != nil || id.Scopes != AdminScopes {
		t.Fatalf("Pair = %+v, %v", id, err)
	}
}

func TestManyPairAtOnceAndOneGetsAToken(t *testing.T) {
	k := open(t, Options{})
	code := pairingCode(t, k)
	var paired atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch _, _, err := k.Pair(code, "phone"); {
			case err == nil:
				paired.Add(1)
			case !errors.Is(err, ErrNoCode):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := paired.Load(); n != 1 || len(k.Tokens()) != 1 {
		t.Fatalf("%d paired, %d tokens", n, len(k.Tokens()))
	}
}
