package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agentzero/store"
	"agentzero/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestJournal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Journal {
		return open(t, filepath.Join(t.TempDir(), "with space & ?#%.db"))
	})
}

var id = store.ID{Owner: "o", Name: "s"}

func one(after uint64) store.Batch {
	return store.Batch{After: after, Events: []store.Event{{Kind: "k", Turn: "t", At: time.Now(), Data: []byte(`{"a":1}`)}}}
}

func TestWhatWasDoneIsThereAfterTheProcessDied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path)
	if err := storetest.Append(j, id, 1, one(0)); err != nil {
		t.Fatal(err)
	}
	// A copy of the files as a crash would leave them: nothing was closed.
	crashed := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, "j.db"+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	revived := open(t, filepath.Join(crashed, "j.db"))
	s, err := revived.Load(t.Context(), id)
	if err != nil || s.Last != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDeletedWordsAreGoneFromTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path)
	secret := strings.Repeat("a word nobody may find ", 100)
	b := store.Batch{Events: []store.Event{{Kind: "k", At: time.Now(), Data: []byte(`"` + secret + `"`)}}}
	if err := storetest.Append(j, id, 1, b); err != nil {
		t.Fatal(err)
	}
	if err := j.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	for _, file := range files {
		if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "nobody may find") {
			t.Errorf("%s still holds them (%v)", file, err)
		}
	}
}

func TestWhatIsNoJournalIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"garbage": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
		}, "damaged, or no journal at all: restore it from a backup"},
		"a newer schema": {func(t *testing.T, path string) {
			must(t, open(t, path).Close())
			exec(t, path, "PRAGMA user_version = 99")
		}, "written by a newer version of agentzero (schema 99, this one knows "},
		"another program's": {func(t *testing.T, path string) {
			exec(t, path, "CREATE TABLE recipes (name TEXT)")
		}, "a database of another program; move it away"},
		"a directory": {func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o700))
		}, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j.db")
			c.make(t, path)
			before, _ := os.ReadFile(path)
			j, err := Open(Options{Path: path})
			if err == nil {
				j.Close()
				t.Fatal("it was opened")
			}
			var fileErr *FileError
			if !errors.As(err, &fileErr) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec(statement)
	must(t, err)
	must(t, db.Close())
}

func TestReadOnlySeesAndChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	if _, err := Open(Options{Path: path, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "the gateway makes it at its first start") {
		t.Errorf("of a missing file: %v", err)
	}
	j := open(t, path)
	must(t, storetest.Append(j, id, 1, one(0)))
	look, err := Open(Options{Path: path, ReadOnly: true})
	must(t, err)
	defer look.Close()
	if s, err := look.Load(t.Context(), id); err != nil || s.Last != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := look.Delete(t.Context(), id); err == nil {
		t.Error("it deletes")
	}
}

// A full disk is one whose file may not grow: SQLite then fails as on a disk
// without room.
func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j.db"))
	must(t, storetest.Append(j, id, 1, one(0)))
	limit := func(pages string) {
		t.Helper()
		_, err := j.writer.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages)
		must(t, err)
	}
	limit("1") // SQLite takes it for the present size
	big := store.Batch{After: 1, Events: []store.Event{{Kind: "k", At: time.Now(), Data: []byte(`"` + strings.Repeat("x", 1<<20) + `"`)}}}
	err := storetest.Append(j, id, 1, big)
	if err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
		t.Fatalf("got %v", err)
	}
	if s, err := j.Load(t.Context(), id); err != nil || s.Last != 1 {
		t.Errorf("what was there: %+v, %v", s, err)
	}
	limit("1000000")
	must(t, j.Ping(t.Context()))
	must(t, storetest.Append(j, id, 1, big))
}

func TestTooMuchWaitingIsRefused(t *testing.T) {
	j, err := Open(Options{Path: filepath.Join(t.TempDir(), "j.db"), MaxWaiting: 1000})
	must(t, err)
	defer j.Close()
	hold := make(chan struct{})
	entered := make(chan struct{})
	j.Append(id, 1, one(0), func(error) { close(entered); <-hold }) // its commit does not end
	<-entered
	big := store.Batch{After: 1, Events: []store.Event{{Kind: "k", At: time.Now(), Data: make([]byte, 900)}}}
	waits := make(chan error, 1)
	j.Append(id, 1, big, func(err error) { waits <- err })
	if err := storetest.Append(j, store.ID{Owner: "o", Name: "x"}, 1, big); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("got %v", err)
	}
	close(hold)
	must(t, <-waits)
}

func TestABackupIsWholeWhileItIsWrittenTo(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j.db"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var written int
	must(t, storetest.Append(j, id, 1, one(0)))
	wg.Go(func() {
		for after := uint64(1); ctx.Err() == nil; after++ {
			if err := storetest.Append(j, id, 1, one(after)); err != nil {
				t.Error(err)
				return
			}
			written++
		}
	})
	path := filepath.Join(t.TempDir(), "b.db")
	err := j.Backup(t.Context(), path)
	stop()
	wg.Wait()
	must(t, err)
	copied := open(t, path)
	s, err := copied.Load(t.Context(), id)
	must(t, err)
	events, err := copied.Read(t.Context(), id, 0, 1<<20)
	if err != nil || uint64(len(events)) != s.Last || s.Last == 0 {
		t.Errorf("%d events of %d, %v (%d written meanwhile)", len(events), s.Last, err, written)
	}
}

// busy is a context that does something each time it is asked whether it is over,
// and in the end is.
type busy struct {
	context.Context
	mu   sync.Mutex
	left int
	do   func()
}

func (b *busy) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left--; b.left < 0 {
		return context.DeadlineExceeded
	}
	b.do()
	return nil
}

func TestABackupEndsHoweverMuchIsWrittenMeanwhile(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j.db"))
	large := one(0)
	large.Events[0].Data = bytes.Repeat([]byte("x"), 10*pagesPerStep*4096)
	must(t, storetest.Append(j, id, 1, large))
	after := uint64(1)
	steady := &busy{Context: t.Context(), left: 100, do: func() {
		must(t, storetest.Append(j, id, 1, one(after)))
		after++
	}}
	path := filepath.Join(t.TempDir(), "b.db")
	must(t, j.Backup(steady, path))
	s, err := open(t, path).Load(t.Context(), id)
	if err != nil || s.Last == 0 || s.Last == after {
		t.Errorf("the copy ends at %d of %d, %v", s.Last, after, err)
	}
	must(t, storetest.Append(j, id, 1, one(after)))
}

func TestATransactionThatCouldNotBeUndoneDoesNotStopTheNext(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j.db"))
	must(t, j.writer.begin(t.Context())) // nobody writes yet
	must(t, storetest.Append(j, id, 1, one(0)))
}

func BenchmarkAppend(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Journal { return open(b, filepath.Join(b.TempDir(), "j.db")) })
}
