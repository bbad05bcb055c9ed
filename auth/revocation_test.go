package auth

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRevokingEndsWhatIsOpen(t *testing.T) {
	k := open(t, Options{})
	_, gone := create(t, k, "gone")
	_, kept := create(t, k, "kept")
	const streams = 20_000
	var ended, others atomic.Int32
	for range streams {
		k.OnRevoke(gone.ID, func() { ended.Add(1) })
	}
	k.OnRevoke(kept.ID, func() { others.Add(1) })
	cancelled := k.OnRevoke(gone.ID, func() { t.Error("called after cancel") })
	cancelled()
	cancelled()
	if _, err := k.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	if ended.Load() != streams || others.Load() != 0 {
		t.Fatalf("%d streams ended, %d of another token", ended.Load(), others.Load())
	}
}

func TestAFnMayCancelOthersAndRegisterAgain(t *testing.T) {
	k := open(t, Options{})
	_, tok := create(t, k, "laptop")
	calls := 0
	var cancel func()
	k.OnRevoke(tok.ID, func() {
		cancel()
		k.OnRevoke(tok.ID, func() { calls++ })
	})
	cancel = k.OnRevoke(tok.ID, func() { calls++ })
	if _, err := k.Revoke(tok.ID); err != nil {
		t.Fatal(err)
	}
	// The second was already being ended; the third came too late and was
	// called at once.
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

func TestATokenThatIsGoneEndsAtOnce(t *testing.T) {
	k := open(t, Options{FixedToken: "fixed-token-0123456789"})
	called := 0
	k.OnRevoke("tok_unknown", func() { called++ })()
	if called != 1 {
		t.Error("an unknown token did not end at once")
	}
	for _, id := range []string{"", FixedTokenID} {
		k.OnRevoke(id, func() { t.Errorf("%q was revoked", id) })()
	}
}

func TestCancelLeavesNothingBehind(t *testing.T) {
	k := open(t, Options{})
	_, tok := create(t, k, "laptop")
	var cancels []func()
	for range 10 {
		cancels = append(cancels, k.OnRevoke(tok.ID, func() { t.Error("called") }))
	}
	for _, i := range []int{0, 9, 4, 5, 1, 2, 3, 8, 7, 6} {
		cancels[i]()
	}
	if n := len(k.revoked.rings); n != 0 {
		t.Errorf("%d rings left", n)
	}
}

func TestNoStreamOutlivesItsToken(t *testing.T) {
	k := open(t, Options{})
	for round := range 20 {
		secret, tok := create(t, k, fmt.Sprint("round ", round))
		var opened, ended atomic.Int32
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			wg.Go(func() {
				<-start
				for range 50 {
					if id, ok := k.Verify([]byte(secret)); ok {
						opened.Add(1)
						k.OnRevoke(id.TokenID, func() { ended.Add(1) })
					}
				}
			})
		}
		close(start)
		if _, err := k.Revoke(tok.ID); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if opened.Load() != ended.Load() {
			t.Fatalf("%d streams opened, %d ended", opened.Load(), ended.Load())
		}
	}
}

func BenchmarkOnRevoke(b *testing.B) {
	k, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	_, tok, err := k.Create(NewToken{Name: "laptop"})
	if err != nil {
		b.Fatal(err)
	}
	for range 20_000 {
		k.OnRevoke(tok.ID, func() {})
	}
	b.ReportAllocs()
	for b.Loop() {
		k.OnRevoke(tok.ID, func() {})()
	}
}
