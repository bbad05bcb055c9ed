package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// A slow reader reads a byte a second, from a socket that takes little; what the
// kernel holds for it beyond that is a few MB. The flood is much more. It is
// paced, so that a reader who keeps up does not fall out of the window when the
// machine is busy, and it is of chunks whose text is short, because an answer's
// text is kept in any case.
const (
	floodChunk  = 32 << 10
	floodChunks = 1 << 10 // 32 MiB in all
	floodPace   = time.Millisecond
	floodConfig = "[sessions]\nlog_window_bytes = 4194304\n"
	// floodGrowth is how much the gateway may grow while two slow readers are
	// so far behind: some windows, and the collector's slack.
	floodGrowth = 32 << 20
)

// flood is a script of much to read; its text is that of upstream.Count.
func flood() upstream.Script {
	padding := strings.Repeat("x", floodChunk)
	choices := make([]json.RawMessage, floodChunks)
	for i, d := range upstream.Count(floodChunks) {
		choices[i] = json.RawMessage(fmt.Sprintf(`[{"index":0,"delta":{"content":%q},"finish_reason":null,"padding":%q}]`, d, padding))
	}
	return upstream.Script{Choices: choices, Interval: floodPace}
}

func TestASlowReaderCostsNobodyAnything(t *testing.T) {
	up := upstream.New(t)
	up.Set("flood", flood())
	up.Set("count", upstream.Script{Deltas: upstream.Count(100)})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Config: floodConfig})
	read := func(c *client) error {
		if s := c.read(0); !s.done || s.deltas != floodChunks {
			return fmt.Errorf("after %d deltas it ended with %+v, %v", s.deltas, s.failure, s.err)
		}
		return nil
	}
	ask := func(t testing.TB, headers ...string) *client {
		return send(t, g, "POST", "/v1/chat/completions", chat("flood", "x", true), headers...)
	}
	// The memory that a flood takes with a reader that keeps up.
	if err := read(ask(t)); err != nil {
		t.Fatal(err)
	}
	before := metricsOf(t, g)["process_resident_memory_bytes"]

	// Two slow readers, one of an answer of its own, one of an answer that another
	// client reads too.
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	slowly := func(c *client) *client {
		c.conn.SetReadBuffer(4 << 10)
		c.answer()
		readers.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					c.body.ReadByte()
				case <-stop:
					return
				}
			}
		})
		return c
	}
	const shared = "Idempotency-Key: shared"
	slowly(ask(t))
	slowly(ask(t, "X-Session-Id: s", shared))

	var others sync.WaitGroup
	others.Go(func() {
		if err := read(ask(t, "X-Session-Id: s", shared)); err != nil {
			t.Errorf("the other reader of the same answer: %v", err)
		}
	})
	for i := range 4 {
		others.Go(func() {
			for range 10 {
				s := send(t, g, "POST", "/v1/chat/completions", chat("count", "x", true), fmt.Sprintf("X-Session-Id: other%d", i)).read(0)
				if !s.done || s.text != joined(100) {
					t.Errorf("another session's reader got %+v", s)
				}
			}
		})
	}
	others.Wait()
	up.Wait(t, "flood", "the end of all floods", func(l []upstream.Request) bool {
		for _, r := range l {
			if r.Ended.IsZero() {
				return false
			}
		}
		return len(l) == 3
	})
	after := metricsOf(t, g)["process_resident_memory_bytes"]
	t.Logf("resident memory: %.1f MiB before, %.1f MiB with two readers %d MiB behind", before/(1<<20), after/(1<<20), floodChunks*floodChunk>>20)
	if after-before > floodGrowth && !raced(t) {
		t.Errorf("the gateway has grown by %.1f MiB", (after-before)/(1<<20))
	}
}

func TestAReaderTooFarBehindIsToldAndCanResume(t *testing.T) {
	up := upstream.New(t)
	up.Set("flood", flood())
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "flood", Config: floodConfig})
	createSession(t, g, "s")
	w := watch(t, g, "s")
	c := send(t, g, "POST", "/v1/chat/completions", chat("", "x", true), "X-Session-Id: s")
	w.waitEvent("turn.completed") // nobody waited for the one who does not read

	got := c.read(0)
	if got.done || got.failure == nil || got.failure.Code != "gap" {
		t.Fatalf("after %d deltas the slow reader was told %+v, %v", got.deltas, got.failure, got.err)
	}
	if got.deltas == 0 || got.text != joined(got.deltas) {
		t.Errorf("before the gap it got %q", got.text)
	}

	// Where it was is gone by now; the stored messages have it all.
	again := watch(t, g, "s", "Last-Event-ID: "+got.lastID)
	if e := again.mustNext(); e.name != "gap" || !strings.Contains(e.data, "/v1/sessions/s/messages") {
		t.Errorf("the resumed stream began with %+v", e)
	}
	resp, body := g.Do(t, "GET", "/v1/sessions/s/events?after="+got.lastID, "")
	if f := failureOf(t, body); resp.StatusCode != http.StatusGone || f.Code != "gap" {
		t.Errorf("%s: %s", resp.Status, body)
	}
	list := messages(t, g, "s")
	if len(list) != 2 || list[1].Content != joined(floodChunks) {
		t.Errorf("the stored messages are not whole: %d of them", len(list))
	}
}
