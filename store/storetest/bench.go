package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"agentzero/store"
)

// BenchmarkAppend compares sessions that append at the same time, each waiting for
// its last append, with a bare loop that writes as much to a file and waits for the
// disk: x-fsync is how many appends are kept in the time of one such write.
func BenchmarkAppend(b *testing.B, open func(b *testing.B) store.Journal) {
	for _, sessions := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			j := open(b)
			bare := fsync(b)
			each := max(1, b.N/sessions)
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for s := range sessions {
				wg.Go(func() {
					id := store.ID{Owner: "o", Name: fmt.Sprint(s)}
					for i := range each {
						if err := Append(j, id, 1, batch(uint64(i), i)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			rate := float64(each*sessions) / b.Elapsed().Seconds()
			after := fsync(b) // the disk's pace changes
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(2*rate/(bare+after), "x-fsync")
		})
	}
}

// fsync is how many writes of an event to a file a second reach the disk.
func fsync(b *testing.B) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := append(event(1).Data, make([]byte, 100)...)
	n, begin := 0, time.Now()
	for ; time.Since(begin) < 300*time.Millisecond; n++ {
		_, err := f.Write(data)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}
