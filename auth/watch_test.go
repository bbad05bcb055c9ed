package auth

import (
	"os"
	"testing"
)

// streamOf registers a stream of the token and tells when it is ended.
func streamOf(k *Keyring, tokenID string) <-chan struct{} {
	ended := make(chan struct{})
	k.OnRevoke(tokenID, func() { close(ended) })
	return ended
}

func TestAnotherProcessRevokesAToken(t *testing.T) {
	for name, poll := range map[string]bool{"with change events": false, "by polling": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			gateway := open(t, Options{Dir: dir, poll: poll})
			other := open(t, Options{Dir: dir, poll: poll})
			// Twice, as each change replaces the file that was watched.
			for range 2 {
				secret, tok := create(t, gateway, "laptop")
				ended := streamOf(gateway, tok.ID)
				if _, err := other.Revoke("laptop"); err != nil {
					t.Fatal(err)
				}
				await(t, "the end of the stream", ended)
				if verify(gateway, secret) {
					t.Error("the token is still good")
				}
			}
		})
	}
}

func TestTheCommandLineRevokesAllWhileAGatewayRuns(t *testing.T) {
	dir := t.TempDir()
	gateway := open(t, Options{Dir: dir})
	_, a := create(t, gateway, "a")
	_, b := create(t, gateway, "b")
	endedA, endedB := streamOf(gateway, a.ID), streamOf(gateway, b.ID)
	if n, err := NewFile(dir).RevokeAll(); n != 2 || err != nil {
		t.Fatalf("RevokeAll = %d, %v", n, err)
	}
	await(t, "the end of a's stream", endedA)
	await(t, "the end of b's stream", endedB)
}

func TestABadFileKeepsTheTokens(t *testing.T) {
	j := newJournal()
	k := open(t, Options{Logger: j.logger})
	secret, tok := create(t, k, "laptop")
	ended := streamOf(k, tok.ID)
	good, err := os.ReadFile(k.file.Path())
	if err != nil {
		t.Fatal(err)
	}
	// In place, as some editors save: first a part, then the whole.
	if err := os.WriteFile(k.file.Path(), good[:len(good)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	j.await(t, "cannot be used")
	if !verify(k, secret) {
		t.Error("the token went with the bad file")
	}
	if _, _, err := k.Create(NewToken{Name: "x"}); err == nil {
		t.Error("a bad file was overwritten")
	}
	if err := os.WriteFile(k.file.Path(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	j.await(t, "can be used again")
	if !verify(k, secret) {
		t.Error("the token is gone")
	}
	if err := os.WriteFile(k.file.Path(), encoded(t), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the stream", ended)
}

func TestAFileOpenToOthersIsNotTakenUp(t *testing.T) {
	j := newJournal()
	k := open(t, Options{Logger: j.logger})
	secret, _ := create(t, k, "laptop")
	if err := os.Chmod(k.file.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	j.await(t, "chmod 600")
	if !verify(k, secret) {
		t.Error("the token is gone")
	}
	if err := os.Chmod(k.file.Path(), 0o600); err != nil {
		t.Fatal(err)
	}
	j.await(t, "can be used again")
}

func TestChangedScopesEndWhatIsOpen(t *testing.T) {
	k := open(t, Options{})
	r := testRecord("a", "secret a")
	if err := os.WriteFile(k.file.Path(), encoded(t, r), 0o600); err != nil {
		t.Fatal(err)
	}
	k.reload(false)
	ended := streamOf(k, "a")
	r.Name = "another name"
	r.Scopes = ScopeChat
	if err := os.WriteFile(k.file.Path(), encoded(t, r), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the stream", ended)
	if id, ok := k.Verify([]byte("secret a")); !ok || id.Scopes != ScopeChat {
		t.Errorf("Verify = %+v, %v", id, ok)
	}
}

func TestARemovedFileRevokesItsTokens(t *testing.T) {
	j := newJournal()
	k := open(t, Options{Logger: j.logger})
	secret, tok := create(t, k, "laptop")
	ended := streamOf(k, tok.ID)
	if err := os.Remove(k.file.Path()); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the stream", ended)
	j.await(t, "has been removed")
	if verify(k, secret) {
		t.Error("the token is still good")
	}
	create(t, k, "next")
	if got := k.Tokens(); len(got) != 1 || got[0].Name != "next" {
		t.Errorf("Tokens = %+v", got)
	}
}

func TestAFileThatIsGoneForAMomentKeepsItsTokens(t *testing.T) {
	k := open(t, Options{})
	secret, _ := create(t, k, "laptop")
	// Without its watcher the keyring learns only what this test tells it.
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(k.file.Path()); err != nil {
		t.Fatal(err)
	}
	if missing := k.reload(false); !missing || !verify(k, secret) {
		t.Error("the token went with a file that may come back")
	}
	if missing := k.reload(true); missing || verify(k, secret) {
		t.Error("the token stayed though its file is gone for good")
	}
}

func TestWhatWasWrittenBeforeTheWatchIsSeen(t *testing.T) {
	dir := t.TempDir()
	secret, _, err := NewFile(dir).Create(NewToken{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	if k := open(t, Options{Dir: dir}); !verify(k, secret) {
		t.Error("the token is not known")
	}
}
