package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentzero/store"
	"agentzero/store/sqlite"
	"agentzero/store/storetest"
)

// keep puts a session of this name into the journal of a data directory.
func keep(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(dir, "agentzero.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	b := store.Batch{Events: []store.Event{{Kind: "k", At: time.Now(), Data: bytes.Repeat([]byte("x"), 20_000)}}, Head: []byte(`{"from":2}`)}
	if err := storetest.Append(j, store.ID{Owner: "default", Name: name}, 1, b); err != nil {
		t.Fatal(err)
	}
}

func sessionNames(t *testing.T, home string, args ...string) string {
	t.Helper()
	got := runCommand(home, nil, append([]string{"sessions", "list", "--json"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	var names []string
	for line := range strings.Lines(got.stdout) {
		_, rest, _ := strings.Cut(line, `"id":"`)
		name, _, _ := strings.Cut(rest, `"`)
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestARestoreKeepsEveryJournalThatWasThere(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".agentzero")
	path := filepath.Join(dir, "agentzero.db")
	keep(t, dir, "one")
	first := filepath.Join(home, "first.db")
	if got := runCommand(home, nil, "backup", first); got.code != exitOK || got.stdout != first+"\n" {
		t.Fatalf("%+v", got)
	}
	if got := runCommand(home, nil, "backup", first); got.code != exitFailure || !strings.Contains(got.stderr, "exists already") {
		t.Errorf("a second backup of that name: %+v", got)
	}
	keep(t, dir, "two")
	for i, aside := range []string{path + ".before-restore", path + ".before-restore-2"} {
		got := runCommand(home, nil, "restore", first)
		want := "Restored " + path + " from " + first + ".\nWhat was there before is " + aside + ".\n"
		if got != (answer{exitOK, want, ""}) {
			t.Fatalf("restore %d: %+v", i+1, got)
		}
		if names := sessionNames(t, home); names != "one" {
			t.Errorf("after restore %d there are %s", i+1, names)
		}
	}
	if got := runCommand(home, nil, "restore", path+".before-restore"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	if names := sessionNames(t, home); names != "two one" {
		t.Errorf("what was set aside holds %s", names)
	}
}

func TestADamagedBackupIsRefusedAndNothingChanges(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".agentzero")
	keep(t, dir, "one")
	backup := filepath.Join(home, "b.db")
	if got := runCommand(home, nil, "backup", backup); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	data, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for i := 8192; i < len(data); i++ {
		data[i] ^= 0x5a
	}
	if err := os.WriteFile(backup, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(home, nil, "restore", backup)
	if got.code != exitFailure || !strings.Contains(got.stderr, "damaged") || !strings.Contains(got.stderr, backup) {
		t.Errorf("%+v", got)
	}
	if names := sessionNames(t, home); names != "one" {
		t.Errorf("there are %s", names)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if strings.Contains(f.Name(), "restor") {
			t.Errorf("%s was left behind", f.Name())
		}
	}
}

func TestPruneTakesNoNumberThatMeansNothing(t *testing.T) {
	for _, flags := range [][]string{{"--keep", "0"}, {"--keep", "-1"}, {"--older-than", "0s"}} {
		if got := runCommand(t.TempDir(), nil, append([]string{"sessions", "prune"}, flags...)...); got.code != exitUsage {
			t.Errorf("%v: %+v", flags, got)
		}
	}
}
