package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// longTalk makes a session whose journal is worth a snapshot, of messages of all
// kinds, and lets it go.
func longTalk(t *testing.T, s *System) (first *Started) {
	t.Helper()
	for i := range 100 {
		m := watched(fmt.Sprintf("%d %s", i, strings.Repeat("word ", 50)))
		if i == 70 {
			m.Input = append([]agent.Message{{Role: "system", Text: "be kind"}}, m.Input...)
		}
		if i%10 == 3 {
			m.Input[0] = agent.Message{Role: "user", Text: "seen", Raw: json.RawMessage(`{"role":"user","content":"seen","name":"ann"}`)}
		}
		started := start(t, s, chat, m)
		rest(t, started)
		started.Events.Close()
		if first == nil {
			first = started
		}
	}
	log := peek(t, s, chat)
	askToGo(s, chat)
	gone(t, log)
	return first
}

// readAll rebuilds a session without its snapshot.
func readAll(t *testing.T, j store.Journal) *revival {
	t.Helper()
	r, err := replay(t.Context(), j, chat.id(), 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sameItems compares times as they are written down.
func sameItems(a, b []Item) bool {
	return slices.EqualFunc(a, b, func(a, b Item) bool {
		at, bt := a.At, b.At
		a.At, b.At = time.Time{}, time.Time{}
		return at.Equal(bt) && reflect.DeepEqual(a, b)
	})
}

func TestASnapshotHoldsWhatItsEventsDo(t *testing.T) {
	for name, j := range map[string]store.Journal{"memory": store.NewMemory(store.MemoryOptions{}), "disk": onDisk(t)} {
		t.Run(name, func(t *testing.T) {
			s := testSystem(t, Options{Journal: j, Agent: echo})
			longTalk(t, s)
			want := readAll(t, j)
			got, err := revive(t.Context(), j, chat.id(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got.snap.At != got.last || got.grown != 0 || len(got.events) != 0 {
				t.Errorf("read up to %d of %d from the snapshot, and %d bytes of events", got.snap.At, got.last, got.grown)
			}
			if !sameItems(got.items, want.items) || got.state.bytes != want.state.bytes || len(got.items) != 200 {
				t.Errorf("%d items of %d bytes, want %d of %d", len(got.items), got.state.bytes, len(want.items), want.state.bytes)
			}
			before, _ := j.Load(t.Context(), chat.id())
			rest(t, start(t, s, chat, watched("and on")))
			want = readAll(t, j)
			got, err = revive(t.Context(), j, chat.id(), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got.snap.At != before.Last || !sameItems(got.items, want.items) || got.turns != 101 || got.messages != 202 {
				t.Errorf("behind the snapshot at %d: %d items, %d turns, want %d", got.snap.At, len(got.items), got.turns, len(want.items))
			}
		})
	}
}

// A turn that waits or runs when the snapshot is taken is read in full.
func TestASnapshotTakenWhileMessagesWait(t *testing.T) {
	j := onDisk(t)
	s, a := scriptedSystem(t, Options{Journal: j})
	large := strings.Repeat("word ", minSnapshot/5)
	first := start(t, s, chat, watched(large))
	c := a.next(t)
	merged := start(t, s, chat, with(watched("two"), BusyCollect))
	start(t, s, chat, with(watched("three"), BusyCollect))
	start(t, s, chat, watched("four"))
	c.finish("1") // writes the snapshot with its end
	rest(t, first)
	r, err := revive(t.Context(), j, chat.id(), 1<<20)
	if err != nil || r.snap.At == 0 || len(r.items) != 2 || len(r.open) != 2 || len(r.open[0].said) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	a.next(t).finish("2")
	rest(t, merged)
	want := readAll(t, j)
	if r, err = revive(t.Context(), j, chat.id(), 1<<20); err != nil || !sameItems(r.items, want.items) || len(r.items) != 5 {
		t.Errorf("%d items, want %d, %v", len(r.items), len(want.items), err)
	}
	a.next(t).finish("4")
}

func TestAWatcherResumesFromBeforeTheSnapshot(t *testing.T) {
	j := onDisk(t)
	s := testSystem(t, Options{Journal: j, Agent: echo})
	longTalk(t, s)
	all := readAll(t, j)
	for _, from := range []int{0, len(all.events) / 2, len(all.events) - 2} {
		sub := subscribe(t, s, chat, Subscribe{Epoch: all.head.Log, After: all.events[from].seq})
		got := until(t, sub, func(e *Event) bool { return e.Seq == all.events[len(all.events)-1].seq })
		if len(got) != len(all.events)-from-1 {
			t.Fatalf("past %d: %d events, want %d", from, len(got), len(all.events)-from-1)
		}
		for i, e := range got {
			want := all.events[from+1+i]
			if e.Seq != want.seq || e.Kind != want.kind || e.Turn != want.turn || !bytes.Equal(e.Data, want.data) || !bytes.Equal(e.Content(), want.data[want.contentAt:want.contentAt+want.contentLen]) {
				t.Fatalf("got %+v, want %+v", e, want)
			}
		}
	}
	// Live events come behind them.
	sub := subscribe(t, s, chat, Subscribe{Epoch: all.head.Log, After: all.events[0].seq})
	start(t, s, chat, message("news"))
	until(t, sub, func(e *Event) bool { return string(e.Content()) == `"news"` })
}

func TestASnapshotThatDoesNotFitIsNotUsed(t *testing.T) {
	for name, spoil := range map[string]func(data []byte) []byte{
		"of another version": func(data []byte) []byte { data[0]++; return data },
		"of another place":   func(data []byte) []byte { data[1]++; return data },
		"cut off":            func(data []byte) []byte { return data[:len(data)/2] },
		"with more behind":   func(data []byte) []byte { return append(data, 0) },
		"empty":              func([]byte) []byte { return []byte{} },
	} {
		t.Run(name, func(t *testing.T) {
			j := store.NewMemory(store.MemoryOptions{})
			s := testSystem(t, Options{Journal: j, Agent: echo})
			longTalk(t, s)
			kept, _ := j.Load(t.Context(), chat.id())
			data, _ := j.Snapshot(t.Context(), chat.id())
			done := make(chan error, 1)
			j.Append(chat.id(), kept.Epoch, store.Batch{After: kept.Last, Snapshot: spoil(bytes.Clone(data))}, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := conversation(t, s, chat); len(got) != 200 {
				t.Errorf("%d messages", len(got))
			}
		})
	}
}

func FuzzSnapshot(f *testing.F) {
	s := &session{state: &state{}}
	for i := range 3 {
		s.say(Item{Message: agent.Message{Role: "user", Text: "t", Raw: []byte("{}")[:2*(i%2)]}, Turn: "turn_1", At: time.Unix(int64(i), 0), place: uint64(i)})
	}
	f.Add(s.snapshot(9))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &revival{state: &state{last: 9}, head: head{Snapshot: snapshotMark{At: 9, From: 10}}}
		r.restoreSnapshot(data)
		if r.snap.At == 0 {
			return
		}
		again := &revival{state: &state{last: 9}, head: r.head}
		again.restoreSnapshot((&session{state: r.state}).snapshot(9))
		if !reflect.DeepEqual(again.items, r.items) {
			t.Errorf("got %+v, want %+v", again.items, r.items)
		}
	})
}
