// Package storetest is the suite that every store.Journal passes.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"agentzero/store"
)

// Run tests a kind of journal. open returns an empty one, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) store.Journal) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, j store.Journal)
	}{
		{"what is appended can be loaded in order", appendAndLoad},
		{"a session that was never written is not found", notFound},
		{"an append without events changes nothing", appendNothing},
		{"an older epoch is fenced off and leaves nothing", fence},
		{"owners do not see each other's sessions", owners},
		{"a list is the newest first and goes on after a name", list},
		{"a deleted session is gone and its name is free", deleteSession},
		{"a load sees every append that was called before it", loadAfterAppend},
		{"many writers of many sessions lose nothing", manyWriters},
		{"a snapshot does not change when more is appended", snapshotStays},
		{"a closed journal refuses everything", closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t)
			t.Cleanup(func() { _ = j.Close() })
			test.run(t, j)
		})
	}
}

var (
	chat = store.ID{Owner: "ann", Name: "chat"}
	noon = time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.UTC)
)

func event(kind string, n int) store.Event {
	return store.Event{
		Kind: kind, Turn: fmt.Sprint("turn_", n), At: noon.Add(time.Duration(n) * time.Second),
		Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)),
	}
}

// write appends and waits for the answer.
func write(j store.Journal, id store.ID, epoch uint64, events ...store.Event) error {
	done := make(chan error, 1)
	j.Append(id, epoch, events, func(err error) { done <- err })
	return <-done
}

func mustWrite(t *testing.T, j store.Journal, id store.ID, epoch uint64, events ...store.Event) {
	t.Helper()
	if err := write(j, id, epoch, events...); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, j store.Journal, id store.ID) store.Snapshot {
	t.Helper()
	s, err := j.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func same(t *testing.T, got, want []store.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.Kind != w.Kind || g.Turn != w.Turn || !g.At.Equal(w.At) || string(g.Data) != string(w.Data) {
			t.Errorf("event %d is %v, want %v", i, g, w)
		}
	}
}

func appendAndLoad(t *testing.T, j store.Journal) {
	events := []store.Event{event("a", 1), event("b", 2), {Kind: "bare", At: noon.Add(3 * time.Second)}, event("d", 4)}
	mustWrite(t, j, chat, 1, events[:2]...)
	mustWrite(t, j, chat, 3, events[2:]...)
	s := mustLoad(t, j, chat)
	same(t, s.Events, events)
	if s.Info.ID != chat || s.Epoch != 3 || !s.Info.Created.Equal(events[0].At) || !s.Info.Updated.Equal(events[3].At) {
		t.Errorf("snapshot %+v", s)
	}
	if err := j.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func notFound(t *testing.T, j store.Journal) {
	if _, err := j.Load(t.Context(), chat); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("load: %v", err)
	}
	if _, err := j.List(t.Context(), "ann", "chat", 10); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("list after it: %v", err)
	}
	if err := j.Delete(t.Context(), chat); err != nil {
		t.Errorf("delete: %v", err)
	}
	if infos, err := j.List(t.Context(), "ann", "", 10); err != nil || len(infos) != 0 {
		t.Errorf("list: %v, %v", infos, err)
	}
}

func appendNothing(t *testing.T, j store.Journal) {
	mustWrite(t, j, chat, 1)
	notFound(t, j)
}

func fence(t *testing.T, j store.Journal) {
	mustWrite(t, j, chat, 5, event("a", 1))
	if err := write(j, chat, 4, event("b", 2), event("c", 3)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("an older epoch: %v", err)
	}
	mustWrite(t, j, chat, 5, event("d", 4))
	mustWrite(t, j, store.ID{Owner: "ann", Name: "other"}, 1, event("e", 5))
	same(t, mustLoad(t, j, chat).Events, []store.Event{event("a", 1), event("d", 4)})
}

func owners(t *testing.T, j store.Journal) {
	// No way of joining owner and name may mix these up.
	ids := []store.ID{{Owner: "ann", Name: "a"}, {Owner: "bob", Name: "a"}, {Owner: "ann", Name: "A"}, {Owner: "an", Name: "na"}, {Owner: "a/b", Name: "c"}, {Owner: "a", Name: "b/c"}}
	for i, id := range ids {
		mustWrite(t, j, id, 1, event("a", i))
	}
	for i, id := range ids {
		same(t, mustLoad(t, j, id).Events, []store.Event{event("a", i)})
	}
	if infos, err := j.List(t.Context(), "bob", "", 10); err != nil || len(infos) != 1 || infos[0].ID != ids[1] {
		t.Errorf("list: %v, %v", infos, err)
	}
	if _, err := j.List(t.Context(), "bob", "A", 10); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("list after another owner's session: %v", err)
	}
}

func list(t *testing.T, j store.Journal) {
	for i := range 5 {
		mustWrite(t, j, store.ID{Owner: "ann", Name: fmt.Sprint("s", i)}, 1, event("a", i))
	}
	mustWrite(t, j, store.ID{Owner: "ann", Name: "s0"}, 1, event("b", 9)) // written last, but the oldest still
	names := func(after string, limit int) (list []string) {
		infos, err := j.List(t.Context(), "ann", after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			list = append(list, info.ID.Name)
			if info.ID.Name == "s0" && (!info.Created.Equal(event("", 0).At) || !info.Updated.Equal(event("", 9).At)) {
				t.Errorf("info %+v", info)
			}
		}
		return list
	}
	for _, want := range []struct {
		after string
		limit int
		names []string
	}{
		{"", 10, []string{"s4", "s3", "s2", "s1", "s0"}},
		{"", 2, []string{"s4", "s3"}},
		{"s3", 2, []string{"s2", "s1"}},
		{"s1", 2, []string{"s0"}},
		{"s0", 2, nil},
	} {
		if got := names(want.after, want.limit); !reflect.DeepEqual(got, want.names) {
			t.Errorf("%d after %q: %v, want %v", want.limit, want.after, got, want.names)
		}
	}
}

func deleteSession(t *testing.T, j store.Journal) {
	mustWrite(t, j, chat, 7, event("a", 1))
	if err := j.Delete(t.Context(), chat); err != nil {
		t.Fatal(err)
	}
	notFound(t, j)
	mustWrite(t, j, chat, 1, event("b", 2)) // a new session, whose epochs begin anew
	same(t, mustLoad(t, j, chat).Events, []store.Event{event("b", 2)})
}

func loadAfterAppend(t *testing.T, j store.Journal) {
	const n = 100
	done := make(chan int, n)
	for i := range n {
		j.Append(chat, 1, []store.Event{event("a", i)}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			done <- i
		})
		if i%10 == 0 {
			if got := len(mustLoad(t, j, chat).Events); got != i+1 {
				t.Fatalf("%d events after %d appends", got, i+1)
			}
		}
	}
	for i := range n {
		if got := <-done; got != i {
			t.Fatalf("append %d was answered as number %d", got, i)
		}
	}
	j.Append(chat, 1, []store.Event{event("a", n)}, func(error) { done <- n })
	if err := j.Delete(t.Context(), chat); err != nil {
		t.Fatal(err)
	}
	<-done
	notFound(t, j)
}

func manyWriters(t *testing.T, j store.Journal) {
	const sessions, each = 20, 25
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			for n := range each {
				if err := write(j, store.ID{Owner: "ann", Name: fmt.Sprint("s", i)}, uint64(n), event("a", n), event("b", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range sessions {
		s := mustLoad(t, j, store.ID{Owner: "ann", Name: fmt.Sprint("s", i)})
		if len(s.Events) != 2*each {
			t.Fatalf("%d events, want %d", len(s.Events), 2*each)
		}
		for n := range each {
			same(t, s.Events[2*n:2*n+2], []store.Event{event("a", n), event("b", n)})
		}
	}
}

func snapshotStays(t *testing.T, j store.Journal) {
	mustWrite(t, j, chat, 1, event("a", 1))
	s := mustLoad(t, j, chat)
	mustWrite(t, j, chat, 2, event("b", 2))
	same(t, s.Events, []store.Event{event("a", 1)})
	if s.Epoch != 1 {
		t.Errorf("epoch %d", s.Epoch)
	}
}

func closed(t *testing.T, j store.Journal) {
	mustWrite(t, j, chat, 1, event("a", 1))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, load := j.Load(ctx, chat)
	_, list := j.List(ctx, "ann", "", 10)
	for what, err := range map[string]error{
		"append": write(j, chat, 1, event("b", 2)), "load": load, "list": list, "delete": j.Delete(ctx, chat), "ping": j.Ping(ctx),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
