package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agentzero/store"
	"agentzero/store/storetest"
	"agentzero/test/postgres"
)

func TestMain(m *testing.M) { postgres.Main(m, func() error { return goleak.Find() }) }

func open(t testing.TB, url string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestJournal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Journal { return open(t, postgres.Database(t)) })
}

var id = store.ID{Owner: "o", Name: "s"}

func one(after uint64) store.Batch {
	return store.Batch{After: after, Events: []store.Event{{Kind: "k", Turn: "t", At: time.Now(), Data: []byte(`{"a":1}`)}}}
}

func TestTwoGatewaysStartOnOneDatabaseAtOnce(t *testing.T) {
	url := postgres.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			j, err := Open(t.Context(), Options{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			j.Close()
		})
	}
	wg.Wait()
}

func TestOfTwoGatewaysOnlyOneWritesASession(t *testing.T) {
	url := postgres.Database(t)
	a, b := open(t, url), open(t, url)
	if err := storetest.Append(a, id, 1, one(0)); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Append(b, id, 2, one(1)); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Append(a, id, 1, one(2)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the former owner: %v", err)
	}
}

// Both write to the same sessions, in opposite orders: each batch is kept by one
// of them, none twice.
func TestGatewaysThatMeetDoNotWaitForEachOther(t *testing.T) {
	url := postgres.Database(t)
	const sessions = 50
	var kept [sessions]int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 2 {
		j := open(t, url)
		for i := range sessions {
			n := i
			if g == 1 {
				n = sessions - 1 - i
			}
			wg.Add(1)
			j.Append(store.ID{Owner: "o", Name: fmt.Sprint(n)}, 1, one(0), func(err error) {
				defer wg.Done()
				if err != nil && !errors.Is(err, store.ErrFenced) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					kept[n]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for n, k := range kept {
		if k != 1 {
			t.Errorf("session %d was made %d times", n, k)
		}
	}
}

func TestANewerSchemaIsLeftAlone(t *testing.T) {
	url := postgres.Database(t)
	j := open(t, url)
	if _, err := j.pool.Exec(t.Context(), "INSERT INTO agentzero_schema VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := Open(t.Context(), Options{URL: url}); err == nil || !strings.Contains(err.Error(), "newer version of agentzero") {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorShowsNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://u:hush-hush@127.0.0.1:1/x",
		"postgres://u:hush-hush@%zz/x",
		"host=127.0.0.1 port=1 password=hush-hush user=u connect_timeout=x",
	} {
		_, err := Open(t.Context(), Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("got %v", err)
		}
	}
}

func TestABrokenConnectionIsMadeAnew(t *testing.T) {
	url := postgres.Database(t)
	j, other := open(t, url), open(t, url)
	if err := storetest.Append(j, id, 1, one(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"); err != nil {
		t.Fatal(err)
	}
	// What is written into the broken connection may fail, and may not be kept.
	var last uint64 = 1
	for attempt := 0; ; attempt++ {
		err := storetest.Append(j, id, 1, one(last))
		if err == nil {
			break
		}
		if attempt == 10 {
			t.Fatal(err)
		}
		s, err := other.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		last = s.Last
	}
}

func BenchmarkAppend(b *testing.B) {
	storetest.BenchmarkAppend(b, func(b *testing.B) store.Journal { return open(b, postgres.Database(b)) })
}

func TestAnErrorOfConnectingIsOneLine(t *testing.T) {
	err := describe(fmt.Errorf("failed to connect to `x`:\n\t%[1]s\n\t%[1]s\n\tother", "127.0.0.1:1: connection refused"))
	if got, want := err.Error(), "store: PostgreSQL: failed to connect to `x`: 127.0.0.1:1: connection refused; other"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInbox(t *testing.T) {
	storetest.RunInbox(t, func(t *testing.T) store.Inbox { return open(t, postgres.Database(t)) })
}
