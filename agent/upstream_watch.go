package agent

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// errSilent is the cause of a call that ended because nothing came.
var errSilent = errors.New("the upstream is silent")

// watch ends a call that falls silent: while its request is sent, then waiting
// for the headers, then within each Read for bytes. One timer serves the whole call.
// A Read only notes when it began; the timer, when it fires, looks how long the
// present Read has waited and arms itself for the rest.
type watch struct {
	ctx    context.Context // the call's
	parent context.Context // the caller's
	cancel context.CancelCauseFunc
	start  time.Time
	// reading is when the present Read began, in nanoseconds since start plus
	// one; 0 while nobody reads.
	reading atomic.Int64

	mu    sync.Mutex // guards what is below: the timer fires when it likes
	timer *time.Timer
	stage watchStage
	idle  time.Duration
}

type watchStage int

const (
	watchSending watchStage = iota
	watchHeaders
	watchBody
	watchOver
)

func newWatch(parent context.Context) *watch {
	w := &watch{parent: parent, start: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(parent)
	return w
}

// sent begins the wait for the headers, or for the request to be sent. Called
// again, when it was, or when net/http sends it again, it begins anew; called
// late, after the answer, it does nothing.
func (w *watch) sent(firstByte time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.stage {
	case watchSending:
		w.stage = watchHeaders
		w.timer = time.AfterFunc(firstByte, w.fire)
	case watchHeaders:
		w.timer.Reset(firstByte)
	}
}

// answered begins the watch over the body.
func (w *watch) answered(idle time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stage, w.idle = watchBody, idle
	if w.timer == nil { // answered before the request was sent to its end
		w.timer = time.AfterFunc(idle, w.fire)
		return
	}
	w.timer.Reset(idle)
}

// end ends the call, whatever its stage.
func (w *watch) end() {
	w.mu.Lock()
	w.stage = watchOver
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.cancel(nil)
}

// silent tells whether the watch has ended the call.
func (w *watch) silent() bool { return context.Cause(w.ctx) == errSilent }

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.stage {
	case watchHeaders:
		w.cancel(errSilent)
	case watchBody:
		since := w.reading.Load()
		if since == 0 {
			w.timer.Reset(w.idle)
			return
		}
		waited := time.Since(w.start) - time.Duration(since)
		if waited < w.idle {
			w.timer.Reset(w.idle - waited)
			return
		}
		w.cancel(errSilent)
	}
}

// watchedBody is the body of an answer. Its errors are those that upstream
// promises.
type watchedBody struct {
	up    *upstream
	watch *watch
	body  io.ReadCloser
}

func (b *watchedBody) Read(p []byte) (int, error) {
	w := b.watch
	w.reading.Store(int64(time.Since(w.start)) + 1)
	n, err := b.body.Read(p)
	w.reading.Store(0)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.explain(err)
}

func (b *watchedBody) explain(err error) error {
	switch {
	case b.watch.parent.Err() != nil:
		return b.watch.parent.Err()
	case b.watch.silent():
		return b.up.errorf(KindTimeout, errSilent, "no byte for %s in the middle of the answer", b.up.timeouts.Idle)
	default:
		return b.up.errorf(KindCut, err, "the answer broke off: %v", err)
	}
}

// Close ends the call, whether or not the body was read to its end.
func (b *watchedBody) Close() error {
	err := b.body.Close()
	b.watch.end()
	return err
}

const (
	drainBytes = 4 << 10
	drainTime  = 100 * time.Millisecond
)

// drain reads the rest of an answer that has told its end, so that the
// connection can be used again. It gives up on one that goes on, or stays open.
func drain(body io.Reader) {
	defer endAfter(body, drainTime)()
	// A rest that cannot be read costs a connection, not the answer.
	_, _ = io.CopyN(io.Discard, body, drainBytes)
}

// endAfter ends the call that body is from, if the function it returns is not
// called before.
func endAfter(body io.Reader, d time.Duration) (stop func()) {
	b, ok := body.(*watchedBody)
	if !ok {
		return func() {}
	}
	timer := time.AfterFunc(d, func() { b.watch.cancel(nil) })
	return func() { timer.Stop() }
}
