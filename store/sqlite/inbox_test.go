package sqlite

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"agentzero/store"
	"agentzero/store/storetest"
)

func TestInbox(t *testing.T) {
	storetest.RunInbox(t, func(t *testing.T) store.Inbox { return open(t, filepath.Join(t.TempDir(), "j.db")) })
}

func BenchmarkAccept(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			j := open(b, filepath.Join(b.TempDir(), "j.db"))
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for s := range senders {
				wg.Go(func() {
					for i := range b.N/senders + 1 {
						d := store.Delivery{
							Channel: "hooks", ID: fmt.Sprintf("%d-%d", s, i), Conversation: "hooks:c", State: "queued", Open: true,
							Accepted: time.Now(), Updated: time.Now(), Data: []byte(`{"text":"How are you?","target":{"chat_id":1}}`),
						}
						if fresh, err := storetest.Accept(j, d); err != nil || !fresh {
							b.Error(fresh, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
