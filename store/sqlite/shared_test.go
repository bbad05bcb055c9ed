package sqlite

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"agentzero/store"
	"agentzero/store/storetest"
)

func versionOf(t *testing.T, j *Journal) version {
	t.Helper()
	op := &look{}
	must(t, j.wait(t.Context(), op))
	return op.version
}

func TestOnlyWhatOthersWriteIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j, other := open(t, path), open(t, path)
	must(t, storetest.Append(j, id, 1, one(0)))
	before := versionOf(t, j)
	must(t, storetest.Append(j, id, 1, one(1)))
	_, err := other.Load(t.Context(), id)
	must(t, err)
	if got := versionOf(t, j); got != before {
		t.Errorf("after its own write it is %+v, was %+v", got, before)
	}
	changed := make(chan store.Change, 10)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { j.Watch(ctx, func(c store.Change) { changed <- c }) })
	must(t, other.Delete(t.Context(), id))
	if c := <-changed; c.Replaced || c.Session != (store.ID{}) {
		t.Errorf("got %+v", c)
	}
	stop()
	watching.Wait()
}

// prepared makes a backup of a journal with this session alone, ready to restore.
func prepared(t *testing.T, name string) string {
	t.Helper()
	source := open(t, filepath.Join(t.TempDir(), "source.db"))
	must(t, storetest.Append(source, store.ID{Owner: "o", Name: name}, 7, one(0)))
	must(t, source.Close())
	path := filepath.Join(t.TempDir(), "prepared.db")
	must(t, Prepare(t.Context(), source.path, path))
	return path
}

func TestAReplacedJournalHasOnlyWhatWasRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j, other := open(t, path), open(t, path)
	b := one(0)
	b.Snapshot = []byte("s")
	must(t, storetest.Append(j, id, 9, b))
	aside := filepath.Join(t.TempDir(), "aside.db")
	must(t, other.Replace(t.Context(), prepared(t, "restored"), aside))
	s, err := j.Load(t.Context(), id)
	if err != store.ErrNotFound || s.Generation == 0 {
		t.Errorf("the old session: %+v, %v", s, err)
	}
	restored := store.ID{Owner: "o", Name: "restored"}
	if s, err = j.Load(t.Context(), restored); err != nil || s.Last != 1 || s.Epoch < 11 || s.Generation == 0 {
		t.Errorf("the restored one: %+v, %v", s, err)
	}
	if err := storetest.Append(j, restored, 10, one(1)); err != store.ErrFenced {
		t.Errorf("an owner from before writes: %v", err)
	}
	must(t, storetest.Append(j, restored, s.Epoch+1, one(1)))
	must(t, j.Check(t.Context()))
	if s, err := open(t, aside).Load(t.Context(), id); err != nil || s.Last != 1 {
		t.Errorf("the copy has %+v, %v", s, err)
	}
}

func TestAReplacementThatFailsChangesNothing(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, prepared string) (aside string){
		"a table is missing": func(t *testing.T, prepared string) string {
			exec(t, prepared, "DROP TABLE claims")
			exec(t, prepared, "CREATE TABLE unknown (a)")
			return filepath.Join(t.TempDir(), "aside.db")
		},
		"the copy cannot be made": func(t *testing.T, _ string) string { return filepath.Join(t.TempDir(), "none", "aside.db") },
	} {
		t.Run(name, func(t *testing.T) {
			j := open(t, filepath.Join(t.TempDir(), "j.db"))
			must(t, storetest.Append(j, id, 1, one(0)))
			path := prepared(t, "restored")
			if err := j.Replace(t.Context(), path, spoil(t, path)); err == nil {
				t.Error("it went well")
			}
			s, err := j.Load(t.Context(), id)
			if err != nil || s.Last != 1 || s.Generation != 0 {
				t.Errorf("got %+v, %v", s, err)
			}
			must(t, storetest.Append(j, id, 1, one(1)))
		})
	}
}

func TestADamagedBackupIsNotPrepared(t *testing.T) {
	source := open(t, filepath.Join(t.TempDir(), "source.db"))
	b := one(0)
	b.Events[0].Data = bytes.Repeat([]byte("x"), 100_000)
	must(t, storetest.Append(source, id, 1, b))
	must(t, source.Close())
	data, err := os.ReadFile(source.path)
	must(t, err)
	clear(data[40_000:60_000])
	must(t, os.WriteFile(source.path, data, 0o600))
	if err := Prepare(t.Context(), source.path, filepath.Join(t.TempDir(), "p.db")); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// Another process holds the file for a while, as a command does that deletes much.
func TestAWriterWaitsForAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path)
	db, err := openDB(path, "mode=rw", 1)
	must(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	done := make(chan error, 1)
	j.Append(id, 1, one(0), func(err error) { done <- err })
	if _, err := conn.ExecContext(t.Context(), "UPDATE totals SET bytes = bytes"); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		t.Errorf("it did not wait: %v", err)
	default:
	}
	_, err = conn.ExecContext(t.Context(), "COMMIT")
	must(t, err)
	must(t, <-done)
}

// The write-ahead log stays small, however much is written and read.
func TestTheWriteAheadLogStaysSmall(t *testing.T) {
	const most = 16 << 20
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path)
	must(t, storetest.Append(j, id, 1, one(0)))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range maxReaders {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = j.Read(ctx, id, 0, 50)
			}
		})
	}
	data := bytes.Repeat([]byte("x"), 64<<10)
	var largest int64
	for n := range uint64(600) { // some 40 MB
		b := one(n + 1)
		b.Events[0].Data = data
		must(t, storetest.Append(j, id, 1, b))
		if info, err := os.Stat(path + "-wal"); err == nil {
			largest = max(largest, info.Size())
		}
	}
	stop()
	readers.Wait()
	if largest > most {
		t.Errorf("it grew to %d MiB", largest>>20)
	}
}
