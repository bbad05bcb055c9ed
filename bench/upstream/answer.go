package upstream

import (
	"fmt"
	"sync/atomic"
	"time"

	"agentzero/bench/internal/stamp"
)

// answer is one response in the making. Only the wheel touches it, but for gone.
type answer struct {
	behaviour      Behaviour
	stream, usage  bool
	chunked        bool // the client speaks HTTP/1.1
	close          bool // the connection ends with the answer
	conn           *conn
	id             int64
	sent           int // deltas
	cutAt          int // the delta before which it breaks off, counted from 1; 0 for never
	begun, written bool
	due            time.Time
	pending        []byte // what the client has not taken yet
	gone           atomic.Bool
	done           chan struct{}
}

// retryWrite is the wait for a client that does not read.
const retryWrite = 5 * time.Millisecond

// step says what is due. again means that the answer goes on at a.due.
func (a *answer) step(w *wheel, now time.Time) (again bool) {
	switch {
	case a.gone.Load():
		return w.end(a, &w.counts.hungUp)
	case a.due.After(now):
		return true
	case len(a.pending) > 0:
		return a.flush(w, now)
	case !a.begun:
		return a.begin(w, now)
	case !a.stream:
		a.written, a.sent = true, a.behaviour.Tokens
		return a.put(w, now, a.wholeBody(now))
	case a.cutAt > 0 && a.sent+1 >= a.cutAt:
		a.close = true
		return w.end(a, &w.counts.cut)
	case a.sent < a.behaviour.Tokens:
		return a.delta(w, now)
	}
	a.written = true
	return a.put(w, now, w.writer.last(a))
}

// begin sends a stream's head at once; the first delta takes its time.
func (a *answer) begin(w *wheel, now time.Time) bool {
	a.begun = true
	a.id = w.counts.begun.Load()
	wait := w.wait(a.behaviour.First, &a.behaviour)
	if !a.stream {
		a.due = now.Add(wait + time.Duration(a.behaviour.Tokens)*a.behaviour.Interval)
		return true
	}
	a.due = now.Add(wait)
	return a.put(w, now, w.writer.head(a))
}

// delta sends one delta. When the wheel is behind by more than an interval, it
// does not run after its time: a model has no burst to catch up with.
func (a *answer) delta(w *wheel, now time.Time) bool {
	a.sent++
	wait := w.wait(a.behaviour.Interval, &a.behaviour)
	if a.sent == a.behaviour.Tokens {
		wait = 0 // the end comes with the last delta's time
	}
	a.due = a.due.Add(wait)
	if a.due.Before(now) && wait > 0 {
		w.counts.late.Add(1)
		a.due = now.Add(wait)
	}
	w.counts.deltas.Add(1)
	return a.put(w, now, w.writer.delta(a))
}

// put writes b, which is the wheel's own buffer, without waiting.
func (a *answer) put(w *wheel, now time.Time, b []byte) (again bool) {
	n, err := a.conn.tryWrite(b)
	if err != nil {
		a.close = true
		return w.end(a, &w.counts.hungUp)
	}
	if n < len(b) {
		a.pending = append(a.pending, b[n:]...)
		a.due = maxTime(a.due, now.Add(retryWrite))
		return true
	}
	if a.written {
		return w.end(a, &w.counts.whole)
	}
	return true
}

// flush goes on with what the client did not take.
func (a *answer) flush(w *wheel, now time.Time) (again bool) {
	n, err := a.conn.tryWrite(a.pending)
	if err != nil {
		a.close = true
		return w.end(a, &w.counts.hungUp)
	}
	a.pending = a.pending[:copy(a.pending, a.pending[n:])]
	switch {
	case len(a.pending) > 0:
		a.due = now.Add(retryWrite)
		return true
	case a.written:
		return w.end(a, &w.counts.whole)
	}
	a.pending = nil
	return a.step(w, now)
}

// end tells the connection that its answer is over. Its goroutine is waiting for
// the client to say something: only closing it ends that.
func (w *wheel) end(a *answer, fate *atomic.Int64) (again bool) {
	fate.Add(1)
	if a.close {
		_ = a.conn.Close()
	}
	close(a.done)
	return false
}

// wholeBody is the answer of a request without stream, its deltas in one text.
func (a *answer) wholeBody(now time.Time) []byte {
	text := make([]byte, 0, a.behaviour.Tokens*(stamp.Len+1))
	for range a.behaviour.Tokens {
		at := len(text)
		text = append(text, make([]byte, stamp.Len)...)
		stamp.Put(text[at:], now.UnixNano())
		text = append(text, ' ')
	}
	body := fmt.Sprintf(`{"id":"chatcmpl-%012d","object":"chat.completion","created":%d,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":%s}`,
		a.id, now.Unix(), text, a.usageJSON())
	version, connection := "1.1", ""
	if a.close {
		connection = "Connection: close\r\n"
	}
	return fmt.Appendf(nil, "HTTP/%s 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", version, connection, len(body), body)
}

func (a *answer) usageJSON() string {
	return fmt.Sprintf(`{"prompt_tokens":1,"completion_tokens":%d,"total_tokens":%d}`, a.sent, a.sent+1)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
