// Package storetest is the suite that every [store.Journal] passes.
package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"agentzero/store"
)

// Run runs the suite. open returns an empty journal, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) store.Journal) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, j store.Journal)
	}{
		{"events come back in order", eventsComeBackInOrder},
		{"the head is the latest", theHeadIsTheLatest},
		{"the snapshot is the latest, and counts", theSnapshotIsTheLatest},
		{"a batch without events leaves the time", aBatchWithoutEventsLeavesTheTime},
		{"two owners with one name do not meet", twoOwnersDoNotMeet},
		{"an older epoch is fenced", anOlderEpochIsFenced},
		{"a batch that does not follow the last is fenced", aBatchOutOfPlaceIsFenced},
		{"of two owners of one epoch one is fenced", twoOwnersOfOneEpoch},
		{"a deleted session takes no further batch", aDeletedSessionTakesNothing},
		{"reading is bounded", readingIsBounded},
		{"sessions are listed newest first, page by page", sessionsAreListed},
		{"claims are kept, given back and forgotten", claims},
		{"claims go with their session", claimsGoWithTheirSession},
		{"open sessions are named", openSessions},
		{"surplus sessions are the oldest", surplus},
		{"appends of many sessions keep each one's order", manyAppend},
		{"a load sees every append that was called before it", loadAfterAppend},
		{"a closed journal says so", aClosedJournalSaysSo},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t)
			test.run(t, j)
			if err := j.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// Append waits for an append.
func Append(j store.Journal, id store.ID, epoch uint64, b store.Batch) error {
	done := make(chan error, 1)
	j.Append(id, epoch, b, func(err error) { done <- err })
	return <-done
}

var (
	ada   = store.ID{Owner: "ada", Name: "s"}
	bob   = store.ID{Owner: "bob", Name: "s"}
	start = time.Date(2026, 11, 1, 12, 0, 0, 123456789, time.UTC)
)

func at(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

func event(n int) store.Event {
	return store.Event{Kind: "k", Turn: fmt.Sprintf("turn_%d", n), At: at(n), Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func batch(after uint64, numbers ...int) store.Batch {
	b := store.Batch{After: after}
	for _, n := range numbers {
		b.Events = append(b.Events, event(n))
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func read(t *testing.T, j store.Journal, id store.ID, after uint64) []store.Event {
	t.Helper()
	events, err := j.Read(t.Context(), id, after, 1000)
	must(t, err)
	return events
}

func wantEvents(t *testing.T, got []store.Event, after uint64, numbers ...int) {
	t.Helper()
	ok := len(got) == len(numbers)
	for i := 0; ok && i < len(got); i++ {
		want := event(numbers[i])
		ok = got[i].Seq == after+uint64(i)+1 && got[i].Kind == want.Kind && got[i].Turn == want.Turn &&
			got[i].At.Equal(want.At) && bytes.Equal(got[i].Data, want.Data)
	}
	if !ok {
		t.Errorf("got events %+v, want %v after %d", got, numbers, after)
	}
}

func eventsComeBackInOrder(t *testing.T, j store.Journal) {
	_, err := j.Load(t.Context(), ada)
	wantError(t, err, store.ErrNotFound)
	wantEvents(t, read(t, j, ada, 0), 0)
	must(t, Append(j, ada, 1, batch(0, 1, 2)))
	must(t, Append(j, ada, 1, batch(2, 3)))
	wantEvents(t, read(t, j, ada, 0), 0, 1, 2, 3)
	wantEvents(t, read(t, j, ada, 2), 2, 3)
	wantEvents(t, read(t, j, ada, 3), 3)
	s, err := j.Load(t.Context(), ada)
	must(t, err)
	if s.ID != ada || s.Epoch != 1 || s.Last != 3 || !s.Updated.Equal(at(3)) || s.Bytes <= 0 || s.Head != nil {
		t.Errorf("got %+v", s)
	}
	must(t, j.Ping(t.Context()))
}

func theHeadIsTheLatest(t *testing.T, j store.Journal) {
	b := batch(0, 1)
	b.Head = json.RawMessage(`{"v":1}`)
	must(t, Append(j, ada, 1, b))
	must(t, Append(j, ada, 1, batch(1, 2)))
	b = store.Batch{After: 2, Head: json.RawMessage(`{"v":2}`)}
	must(t, Append(j, ada, 2, b))
	s, err := j.Load(t.Context(), ada)
	must(t, err)
	if string(s.Head) != `{"v":2}` || s.Last != 2 || s.Epoch != 2 {
		t.Errorf("got %+v", s)
	}
}

func theSnapshotIsTheLatest(t *testing.T, j store.Journal) {
	wantSnapshot := func(want string) int64 {
		t.Helper()
		got, err := j.Snapshot(t.Context(), ada)
		must(t, err)
		if string(got) != want {
			t.Errorf("got snapshot %q, want %q", got, want)
		}
		infos, err := j.List(t.Context(), "ada", store.ID{}, 1)
		must(t, err)
		if len(infos) == 0 {
			return 0
		}
		return infos[0].Bytes
	}
	surplus := func(max int64) bool {
		t.Helper()
		ids, err := j.Surplus(t.Context(), store.Retention{MaxBytes: max}, at(0), 1)
		must(t, err)
		return len(ids) > 0
	}
	wantSnapshot("")
	must(t, Append(j, ada, 1, batch(0, 1)))
	none := wantSnapshot("")
	must(t, Append(j, ada, 1, store.Batch{After: 1, Snapshot: []byte("first\x00")}))
	if got := wantSnapshot("first\x00"); got != none+6 {
		t.Errorf("got %d bytes, want %d", got, none+6)
	}
	must(t, Append(j, ada, 1, batch(1, 2)))
	before := wantSnapshot("first\x00")
	b := batch(2, 3)
	b.Snapshot = bytes.Repeat([]byte("2"), 100_000)
	must(t, Append(j, ada, 2, b))
	total := wantSnapshot(string(b.Snapshot))
	if event := before - none - 6; total != before+event+100_000-6 {
		t.Errorf("got %d bytes, before it %d", total, before)
	}
	if surplus(total) || !surplus(total-1) {
		t.Error("the snapshot does not count in the sum of all sessions")
	}
	wantError(t, Append(j, ada, 1, store.Batch{After: 3, Snapshot: []byte("of an older owner")}), store.ErrFenced)
	wantError(t, Append(j, ada, 2, store.Batch{After: 2, Snapshot: []byte("out of place")}), store.ErrFenced)
	wantSnapshot(string(b.Snapshot))
	if got, err := j.Snapshot(t.Context(), bob); err != nil || got != nil {
		t.Errorf("of another session: %q, %v", got, err)
	}
	must(t, j.Delete(t.Context(), ada))
	wantSnapshot("")
	if surplus(1) {
		t.Error("bytes are counted of a session that was deleted")
	}
	b = batch(0, 1) // a session may begin with one
	b.Snapshot = []byte("new")
	must(t, Append(j, ada, 1, b))
	if got := wantSnapshot("new"); got != none+3 {
		t.Errorf("got %d bytes, want %d", got, none+3)
	}
}

func aBatchWithoutEventsLeavesTheTime(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 1, batch(0, 1)))
	must(t, Append(j, ada, 1, store.Batch{After: 1, Head: json.RawMessage(`{}`), Snapshot: []byte("s")}))
	s, err := j.Load(t.Context(), ada)
	must(t, err)
	if !s.Updated.Equal(at(1)) {
		t.Errorf("written at %v, want %v", s.Updated, at(1))
	}
}

func twoOwnersDoNotMeet(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 1, batch(0, 1)))
	must(t, Append(j, bob, 1, batch(0, 2)))
	must(t, j.Delete(t.Context(), ada))
	_, err := j.Load(t.Context(), ada)
	wantError(t, err, store.ErrNotFound)
	wantEvents(t, read(t, j, bob, 0), 0, 2)
}

func anOlderEpochIsFenced(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 5, batch(0, 1)))
	wantError(t, Append(j, ada, 4, batch(1, 2)), store.ErrFenced)
	must(t, Append(j, ada, 6, batch(1, 3)))
	wantError(t, Append(j, ada, 5, batch(2, 4)), store.ErrFenced)
	wantEvents(t, read(t, j, ada, 0), 0, 1, 3)
}

func aBatchOutOfPlaceIsFenced(t *testing.T, j store.Journal) {
	wantError(t, Append(j, ada, 1, batch(3, 1)), store.ErrFenced)
	_, err := j.Load(t.Context(), ada)
	wantError(t, err, store.ErrNotFound)
	must(t, Append(j, ada, 1, batch(0, 1)))
	wantError(t, Append(j, ada, 1, batch(0, 2)), store.ErrFenced)
	wantError(t, Append(j, ada, 1, batch(2, 2)), store.ErrFenced)
	wantEvents(t, read(t, j, ada, 0), 0, 1)
}

func twoOwnersOfOneEpoch(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 1, batch(0, 1)))
	results := make(chan error, 2)
	j.Append(ada, 2, batch(1, 2), func(err error) { results <- err })
	j.Append(ada, 2, batch(1, 3), func(err error) { results <- err })
	first, second := <-results, <-results
	if (first == nil) == (second == nil) {
		t.Errorf("got %v and %v, want one to be fenced", first, second)
	}
	if got := read(t, j, ada, 0); len(got) != 2 {
		t.Errorf("got %+v", got)
	}
}

func aDeletedSessionTakesNothing(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 1, batch(0, 1)))
	must(t, j.Delete(t.Context(), ada))
	must(t, j.Delete(t.Context(), ada))
	wantError(t, Append(j, ada, 1, batch(1, 2)), store.ErrFenced)
	wantEvents(t, read(t, j, ada, 0), 0)
	must(t, Append(j, ada, 1, batch(0, 3)))
	wantEvents(t, read(t, j, ada, 0), 0, 3)
}

func readingIsBounded(t *testing.T, j store.Journal) {
	big := bytes.Repeat([]byte("x"), store.MaxReadBytes/2)
	b := store.Batch{}
	for i := range 4 {
		b.Events = append(b.Events, store.Event{Kind: "k", At: at(i), Data: json.RawMessage(`"` + string(big) + `"`)})
	}
	must(t, Append(j, ada, 1, b))
	if got := read(t, j, ada, 0); len(got) != 2 {
		t.Errorf("got %d events at once, want 2", len(got))
	}
	got, err := j.Read(t.Context(), ada, 1, 1)
	must(t, err)
	if len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("got %d events", len(got))
	}
}

func sessionsAreListed(t *testing.T, j store.Journal) {
	var names []string
	for i := range 5 {
		name := fmt.Sprintf("s%d", i)
		names = append([]string{name}, names...)
		must(t, Append(j, store.ID{Owner: "ada", Name: name}, 1, batch(0, i)))
	}
	must(t, Append(j, bob, 1, batch(0, 9)))
	must(t, Append(j, store.ID{Owner: "ada", Name: "s0"}, 1, batch(1, 10))) // written again, but created first
	var got []string
	after := store.ID{}
	for {
		page, err := j.List(t.Context(), "ada", after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			got = append(got, i.ID.Name)
		}
		after = page[len(page)-1].ID
	}
	if !slices.Equal(got, names) {
		t.Errorf("got %v, want %v", got, names)
	}
	all, err := j.List(t.Context(), "", store.ID{}, 1000)
	must(t, err)
	if len(all) != 6 || all[0].ID != bob {
		t.Errorf("of all owners: %+v", all)
	}
	_, err = j.List(t.Context(), "ada", store.ID{Name: "none"}, 2)
	wantError(t, err, store.ErrNotFound)
	_, err = j.List(t.Context(), "bob", store.ID{Name: "s1"}, 2)
	wantError(t, err, store.ErrNotFound)
}

func claim(key string, id store.ID, n int) store.Claim {
	return store.Claim{Key: key, Fingerprint: [32]byte{byte(n), 31: 7}, Session: id, Turn: fmt.Sprint("turn_", n), Place: uint64(n), At: at(n)}
}

func wantClaim(t *testing.T, j store.Journal, key string, want *store.Claim) {
	t.Helper()
	got, ok, err := j.Claimed(t.Context(), key)
	must(t, err)
	switch {
	case want == nil && ok:
		t.Errorf("%s is claimed: %+v", key, got)
	case want != nil && (!ok || got.Fingerprint != want.Fingerprint || got.Session != want.Session || got.Turn != want.Turn || got.Place != want.Place || !got.At.Equal(want.At)):
		t.Errorf("%s: got %+v, %v, want %+v", key, got, ok, want)
	}
}

func claims(t *testing.T, j store.Journal) {
	one, two, again := claim("one", ada, 1), claim("two", ada, 2), claim("one", bob, 3)
	b := batch(0, 1)
	b.Claims = []store.Claim{one, two}
	must(t, Append(j, ada, 1, b))
	wantClaim(t, j, "one", &one)
	wantClaim(t, j, "none", nil)

	must(t, Append(j, ada, 1, store.Batch{After: 1, Forgets: []string{"one", "none"}}))
	wantClaim(t, j, "one", nil)
	wantClaim(t, j, "two", &two)

	b = batch(0, 1)
	b.Claims = []store.Claim{again}
	must(t, Append(j, bob, 1, b))
	must(t, j.ForgetClaims(t.Context(), at(3)))
	wantClaim(t, j, "one", &again)
	wantClaim(t, j, "two", nil)

	// The gateway joins the parts of a key with NUL.
	nul := claim("ada\x00POST /\x00k", ada, 5)
	b = store.Batch{After: 1, Claims: []store.Claim{nul}, Events: []store.Event{event(4)}}
	must(t, Append(j, ada, 1, b))
	wantClaim(t, j, nul.Key, &nul)
	must(t, Append(j, ada, 1, store.Batch{After: 2, Forgets: []string{nul.Key}}))
	wantClaim(t, j, nul.Key, nil)

	// A batch that is refused claims nothing.
	b = batch(7, 1)
	b.Claims = []store.Claim{claim("three", ada, 4)}
	wantError(t, Append(j, ada, 1, b), store.ErrFenced)
	wantClaim(t, j, "three", nil)
}

func claimsGoWithTheirSession(t *testing.T, j store.Journal) {
	b := batch(0, 1)
	b.Claims = []store.Claim{claim("one", ada, 1)}
	must(t, Append(j, ada, 1, b))
	must(t, j.Delete(t.Context(), ada))
	wantClaim(t, j, "one", nil)
}

func openSessions(t *testing.T, j store.Journal) {
	var want []store.ID
	for i := range 5 {
		id := store.ID{Owner: "ada", Name: fmt.Sprintf("s%d", i)}
		b := batch(0, i)
		b.Open = i != 2
		must(t, Append(j, id, 1, b))
		if b.Open {
			want = append(want, id)
		}
	}
	must(t, Append(j, want[1], 1, batch(1, 9))) // it has ended
	want = slices.Delete(want, 1, 2)
	var got []store.ID
	after := store.ID{}
	for {
		page, err := j.Unfinished(t.Context(), after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		after = page[len(page)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func surplus(t *testing.T, j store.Journal) {
	var ids []store.ID
	for i := range 4 {
		id := store.ID{Owner: "ada", Name: fmt.Sprintf("s%d", i)}
		ids = append(ids, id)
		must(t, Append(j, id, 1, batch(0, i)))
	}
	must(t, Append(j, ids[0], 1, batch(1, 10)))
	order := []store.ID{ids[1], ids[2], ids[3], ids[0]}
	infos, err := j.List(t.Context(), "", store.ID{}, 10)
	must(t, err)
	var total int64
	for _, i := range infos {
		total += i.Bytes
	}
	for name, c := range map[string]struct {
		r    store.Retention
		now  time.Time
		want []store.ID
	}{
		"no limit":     {store.Retention{}, at(1000), nil},
		"age":          {store.Retention{MaxAge: 5 * time.Second}, at(8), order[:2]},
		"count":        {store.Retention{MaxSessions: 1}, at(11), order[:3]},
		"enough":       {store.Retention{MaxSessions: 4, MaxBytes: total, MaxAge: time.Hour}, at(11), nil},
		"bytes":        {store.Retention{MaxBytes: total - 1}, at(11), order[:1]},
		"all too many": {store.Retention{MaxAge: time.Second}, at(100), order},
	} {
		got, err := j.Surplus(t.Context(), c.r, c.now, 10)
		must(t, err)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	got, err := j.Surplus(t.Context(), store.Retention{MaxAge: time.Second}, at(100), 2)
	must(t, err)
	if !slices.Equal(got, order[:2]) {
		t.Errorf("limited: got %v", got)
	}
}

func manyAppend(t *testing.T, j store.Journal) {
	const sessions, appends = 32, 40
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			id := store.ID{Owner: "ada", Name: fmt.Sprintf("s%d", s)}
			var mine sync.WaitGroup
			for i := range appends {
				mine.Add(1)
				j.Append(id, 1, batch(uint64(i), i), func(err error) {
					if err != nil {
						t.Error(err)
					}
					mine.Done()
				})
			}
			mine.Wait()
		})
	}
	wg.Wait()
	for s := range sessions {
		events := read(t, j, store.ID{Owner: "ada", Name: fmt.Sprintf("s%d", s)}, 0)
		numbers := make([]int, appends)
		for i := range numbers {
			numbers[i] = i
		}
		wantEvents(t, events, 0, numbers...)
	}
}

func loadAfterAppend(t *testing.T, j store.Journal) {
	const appends = 200
	answers := make(chan error, appends)
	for i := range appends {
		j.Append(ada, 1, batch(uint64(i), i), func(err error) { answers <- err })
		if i%50 == 49 {
			if s, err := j.Load(t.Context(), ada); err != nil || s.Last != uint64(i+1) {
				t.Errorf("after %d appends: %+v, %v", i+1, s, err)
			}
		}
	}
	must(t, j.Delete(t.Context(), ada))
	_, err := j.Load(t.Context(), ada)
	wantError(t, err, store.ErrNotFound)
	for range appends {
		must(t, <-answers)
	}
}

func aClosedJournalSaysSo(t *testing.T, j store.Journal) {
	must(t, Append(j, ada, 1, batch(0, 1)))
	must(t, j.Close())
	ctx := context.Background()
	wantError(t, Append(j, ada, 1, batch(1, 2)), store.ErrClosed)
	_, err := j.Load(ctx, ada)
	wantError(t, err, store.ErrClosed)
	_, err = j.Read(ctx, ada, 0, 1)
	wantError(t, err, store.ErrClosed)
	_, err = j.Snapshot(ctx, ada)
	wantError(t, err, store.ErrClosed)
	_, err = j.List(ctx, "ada", store.ID{}, 1)
	wantError(t, err, store.ErrClosed)
	_, _, err = j.Claimed(ctx, "k")
	wantError(t, err, store.ErrClosed)
	wantError(t, j.ForgetClaims(ctx, at(0)), store.ErrClosed)
	_, err = j.Surplus(ctx, store.Retention{MaxSessions: 1}, at(0), 1)
	wantError(t, err, store.ErrClosed)
	_, err = j.Unfinished(ctx, store.ID{}, 1)
	wantError(t, err, store.ErrClosed)
	wantError(t, j.Delete(ctx, ada), store.ErrClosed)
	wantError(t, j.Ping(ctx), store.ErrClosed)
}
