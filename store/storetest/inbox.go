package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"agentzero/store"
)

// RunInbox runs the suite that every [store.Inbox] passes. open returns an empty
// store, which the suite closes.
func RunInbox(t *testing.T, open func(t *testing.T) store.Inbox) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, in store.Inbox)
	}{
		{"a delivery comes back as it was", aDeliveryComesBack},
		{"a delivery is kept once", aDeliveryIsKeptOnce},
		{"of many that accept one at once one is fresh", oneOfManyIsFresh},
		{"unfinished deliveries come in their order", unfinishedInOrder},
		{"deliveries are listed newest first, page by page", deliveriesAreListed},
		{"finished deliveries are forgotten", finishedAreForgotten},
		{"a closed inbox says so", aClosedInboxSaysSo},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := open(t)
			test.run(t, in)
			must(t, in.(interface{ Close() error }).Close())
		})
	}
}

// Accept waits for an acceptance.
func Accept(in store.Inbox, d store.Delivery) (fresh bool, err error) {
	done := make(chan struct{})
	in.Accept(d, func(f bool, e error) {
		fresh, err = f, e
		close(done)
	})
	<-done
	return fresh, err
}

// Update waits for an update.
func Update(in store.Inbox, d store.Delivery) error {
	done := make(chan error, 1)
	in.Update(d, func(err error) { done <- err })
	return <-done
}

func delivery(channel string, n int) store.Delivery {
	return store.Delivery{
		Channel: channel, ID: fmt.Sprintf("d%d", n), Conversation: fmt.Sprintf("c%d", n%2), State: "queued", Open: true,
		Accepted: at(n), Updated: at(n), Data: []byte(fmt.Sprintf(`{"n":%d,"text":"a \u0000 b"}`, n)),
	}
}

func closed(d store.Delivery, state string, n int) store.Delivery {
	d.State, d.Open, d.Updated, d.Data = state, false, at(n), []byte(`{"done":true}`)
	return d
}

func wantDelivery(t *testing.T, got, want store.Delivery) {
	t.Helper()
	if got.Channel != want.Channel || got.ID != want.ID || got.Conversation != want.Conversation || got.State != want.State || got.Open != want.Open ||
		!got.Accepted.Equal(want.Accepted) || !got.Updated.Equal(want.Updated) || string(got.Data) != string(want.Data) || got.Place == 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func aDeliveryComesBack(t *testing.T, in store.Inbox) {
	d := delivery("hooks", 1)
	fresh, err := Accept(in, d)
	must(t, err)
	if !fresh {
		t.Error("the first is no duplicate")
	}
	got, err := in.Delivery(t.Context(), "hooks", d.ID)
	must(t, err)
	wantDelivery(t, got, d)
	d = closed(d, "answered", 5)
	must(t, Update(in, d))
	got, err = in.Delivery(t.Context(), "hooks", d.ID)
	must(t, err)
	wantDelivery(t, got, d)
	_, err = in.Delivery(t.Context(), "other", d.ID)
	wantError(t, err, store.ErrNotFound)
	wantError(t, Update(in, delivery("hooks", 2)), store.ErrNotFound)
}

func aDeliveryIsKeptOnce(t *testing.T, in store.Inbox) {
	d := delivery("hooks", 1)
	_, err := Accept(in, d)
	must(t, err)
	again := d
	again.Data = []byte(`{"n":2}`)
	fresh, err := Accept(in, again)
	must(t, err)
	if fresh {
		t.Error("the second is a duplicate")
	}
	got, err := in.Delivery(t.Context(), "hooks", d.ID)
	must(t, err)
	wantDelivery(t, got, d)
	if fresh, err = Accept(in, delivery("other", 1)); err != nil || !fresh {
		t.Errorf("of another channel: %v, %v", fresh, err)
	}
}

func oneOfManyIsFresh(t *testing.T, in store.Inbox) {
	const ids, each = 20, 8
	var mu sync.Mutex
	var wg sync.WaitGroup
	fresh := make(map[string]int)
	for range each {
		wg.Go(func() {
			for n := range ids {
				d := delivery("hooks", n)
				f, err := Accept(in, d)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if f {
					fresh[d.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for n := range ids {
		if id := fmt.Sprintf("d%d", n); fresh[id] != 1 {
			t.Errorf("%s was fresh %d times", id, fresh[id])
		}
	}
}

// acceptAll accepts n deliveries without waiting between them.
func acceptAll(t *testing.T, in store.Inbox, channel string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		in.Accept(delivery(channel, i), func(fresh bool, err error) {
			if err != nil || !fresh {
				t.Errorf("accept %d: %v, %v", i, fresh, err)
			}
			wg.Done()
		})
	}
	wg.Wait()
}

func ids(t *testing.T, in store.Inbox, q store.DeliveryQuery) []string {
	t.Helper()
	var all []string
	for {
		page, err := in.Deliveries(t.Context(), q)
		must(t, err)
		if len(page) == 0 {
			return all
		}
		for _, d := range page {
			all = append(all, d.ID)
		}
		q.After = page[len(page)-1].ID
	}
}

func wantIDs(t *testing.T, got []string, numbers ...int) {
	t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, fmt.Sprintf("d%d", n))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func unfinishedInOrder(t *testing.T, in store.Inbox) {
	acceptAll(t, in, "hooks", 7)
	acceptAll(t, in, "other", 2)
	for _, n := range []int{0, 3} {
		must(t, Update(in, closed(delivery("hooks", n), "answered", 10)))
	}
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", Unfinished: true, Limit: 2}), 1, 2, 4, 5, 6)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "none", Unfinished: true, Limit: 2}))
}

func deliveriesAreListed(t *testing.T, in store.Inbox) {
	acceptAll(t, in, "hooks", 6)
	acceptAll(t, in, "other", 2)
	must(t, Update(in, closed(delivery("hooks", 1), "answered", 10)))
	must(t, Update(in, closed(delivery("hooks", 4), "dead", 10)))
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", Limit: 4}), 5, 4, 3, 2, 1, 0)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", States: []string{"dead", "answered"}, Limit: 1}), 4, 1)
	_, err := in.Deliveries(t.Context(), store.DeliveryQuery{Channel: "hooks", After: "none", Limit: 1})
	wantError(t, err, store.ErrNotFound)
	counts, err := in.CountDeliveries(t.Context(), "hooks")
	must(t, err)
	if counts["queued"] != 4 || counts["answered"] != 1 || counts["dead"] != 1 || len(counts) != 3 {
		t.Errorf("got %v", counts)
	}
}

func finishedAreForgotten(t *testing.T, in store.Inbox) {
	acceptAll(t, in, "hooks", 8)
	acceptAll(t, in, "other", 1)
	must(t, Update(in, closed(delivery("other", 0), "answered", 0)))
	for n := range 6 {
		must(t, Update(in, closed(delivery("hooks", n), "answered", 10+n)))
	}
	forget := func(before time.Time, keep, want int) {
		t.Helper()
		n, err := in.ForgetDeliveries(t.Context(), "hooks", before, keep)
		must(t, err)
		if n != want {
			t.Errorf("forgot %d, want %d", n, want)
		}
	}
	forget(at(0), 0, 0)
	forget(at(12), 0, 2)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", Limit: 10}), 7, 6, 5, 4, 3, 2)
	forget(at(0), 1, 3)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", Limit: 10}), 7, 6, 5)
	forget(at(1000), 0, 1)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "hooks", Limit: 10}), 7, 6)
	wantIDs(t, ids(t, in, store.DeliveryQuery{Channel: "other", Limit: 10}), 0)
	if fresh, err := Accept(in, delivery("hooks", 3)); err != nil || !fresh { // what was forgotten is new again
		t.Errorf("%v, %v", fresh, err)
	}
}

func aClosedInboxSaysSo(t *testing.T, in store.Inbox) {
	_, err := Accept(in, delivery("hooks", 1))
	must(t, err)
	must(t, in.(interface{ Close() error }).Close())
	ctx := context.Background()
	_, err = Accept(in, delivery("hooks", 2))
	wantError(t, err, store.ErrClosed)
	wantError(t, Update(in, delivery("hooks", 1)), store.ErrClosed)
	_, err = in.Delivery(ctx, "hooks", "d1")
	wantError(t, err, store.ErrClosed)
	_, err = in.Deliveries(ctx, store.DeliveryQuery{Channel: "hooks", Limit: 1})
	wantError(t, err, store.ErrClosed)
	_, err = in.CountDeliveries(ctx, "hooks")
	wantError(t, err, store.ErrClosed)
	_, err = in.ForgetDeliveries(ctx, "hooks", at(0), 1)
	wantError(t, err, store.ErrClosed)
}
