package store_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"agentzero/store"
	"agentzero/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Journal { return store.NewMemory(store.MemoryOptions{}) })
}

func TestMemoryForgetsTheSessionWrittenLongestAgo(t *testing.T) {
	for name, o := range map[string]store.MemoryOptions{
		"by number": {MaxSessions: 2},
		"by bytes":  {MaxBytes: 2 * (104 + 100)},
	} {
		t.Run(name, func(t *testing.T) {
			m := store.NewMemory(o)
			id := func(n int) store.ID { return store.ID{Owner: "o", Name: fmt.Sprint(n)} }
			b := store.Batch{Events: []store.Event{{Data: make([]byte, 100)}}}
			for n := range 3 {
				if err := storetest.Append(m, id(n), 1, b); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := m.Load(t.Context(), id(0)); err != store.ErrNotFound {
				t.Errorf("the first one: %v", err)
			}
			for n := 1; n < 3; n++ {
				if _, err := m.Load(t.Context(), id(n)); err != nil {
					t.Errorf("%d: %v", n, err)
				}
			}
		})
	}
}

func TestMemoryKeepsWhatWasJustWrittenWhateverItsSize(t *testing.T) {
	m := store.NewMemory(store.MemoryOptions{MaxBytes: 1000})
	id := store.ID{Owner: "o", Name: "large"}
	if err := storetest.Append(m, id, 1, store.Batch{Events: []store.Event{{Data: make([]byte, 2000)}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Load(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func TestMemoryKeepsSessionsWithWorkInFlight(t *testing.T) {
	m := store.NewMemory(store.MemoryOptions{MaxSessions: 2})
	for n := range 4 {
		b := store.Batch{Open: n == 0, Events: []store.Event{{}}}
		if err := storetest.Append(m, store.ID{Owner: "o", Name: fmt.Sprint(n)}, 1, b); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range []error{nil, store.ErrNotFound, store.ErrNotFound, nil} {
		if _, err := m.Load(t.Context(), store.ID{Owner: "o", Name: fmt.Sprint(n)}); err != want {
			t.Errorf("%d: %v, want %v", n, err, want)
		}
	}
}

func TestMemoryInbox(t *testing.T) {
	storetest.RunInbox(t, func(*testing.T) store.Inbox { return store.NewMemory(store.MemoryOptions{}) })
}
