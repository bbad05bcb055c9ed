package store_test

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"agentzero/store"
	"agentzero/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryIsAJournal(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Journal { return store.NewMemory(store.MemoryOptions{}) })
}

func write(t *testing.T, m *store.Memory, name string, size int) {
	t.Helper()
	m.Append(store.ID{Owner: "ann", Name: name}, 1, []store.Event{{Kind: "a", Data: make([]byte, size)}}, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

func kept(t *testing.T, m *store.Memory, names ...string) (list []string) {
	t.Helper()
	for _, name := range names {
		_, err := m.Load(t.Context(), store.ID{Owner: "ann", Name: name})
		switch {
		case err == nil:
			list = append(list, name)
		case !errors.Is(err, store.ErrNotFound):
			t.Error(err)
		}
	}
	return list
}

func TestMemoryForgetsTheSessionsWrittenLongestAgo(t *testing.T) {
	m := store.NewMemory(store.MemoryOptions{MaxSessions: 2})
	for _, name := range []string{"a", "b", "a", "c"} {
		write(t, m, name, 1)
	}
	if got := fmt.Sprint(kept(t, m, "a", "b", "c")); got != "[a c]" {
		t.Errorf("kept %v", got)
	}
}

func TestMemoryKeepsToItsBytes(t *testing.T) {
	m := store.NewMemory(store.MemoryOptions{MaxBytes: 10_000})
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, m, name, 3000)
	}
	if got := fmt.Sprint(kept(t, m, "a", "b", "c", "d")); got != "[b c d]" {
		t.Errorf("kept %v", got)
	}
	write(t, m, "large", 20_000) // what was just written stays, whatever its size
	if got := fmt.Sprint(kept(t, m, "b", "c", "d", "large")); got != "[large]" {
		t.Errorf("kept %v", got)
	}
	if err := m.Delete(t.Context(), store.ID{Owner: "ann", Name: "large"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} { // its bytes are free again
		write(t, m, name, 3000)
	}
	if got := fmt.Sprint(kept(t, m, "a", "b", "c")); got != "[a b c]" {
		t.Errorf("kept %v", got)
	}
}

func TestMemoryDoesNotTakeASessionForAnOwnerThatIsFencedOff(t *testing.T) {
	m := store.NewMemory(store.MemoryOptions{MaxSessions: 1})
	id := store.ID{Owner: "ann", Name: "a"}
	m.Append(id, 2, []store.Event{{Kind: "a"}}, func(error) {})
	m.Append(id, 1, []store.Event{{Kind: "b"}}, func(err error) {
		if !errors.Is(err, store.ErrFenced) {
			t.Error(err)
		}
	})
	if s, err := m.Load(t.Context(), id); err != nil || len(s.Events) != 1 {
		t.Errorf("%v, %v", s, err)
	}
}
