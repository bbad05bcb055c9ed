package transport

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

// stream writes a turn's or a session's events to a connection of its own. It
// has no goroutine while its client keeps up: whoever appends to the log rings
// its bell, and what has come is taken and pushed to the socket at once. What
// the socket does not take, and all that is no event, is seen to by a goroutine
// that lasts until the stream is at rest again. Buffers are borrowed for the
// time of a write only, so that a silent stream holds none.
type stream struct {
	*wait
	bell      bell
	frames    frames
	conn      *conn
	push      *pusher // nil where the connection cannot be pushed to
	pushing   bool    // what is written goes to push
	passed    bool    // there is no more to do than that
	keepAlive bool    // the connection serves further requests afterwards
	chunked   bool
	bytes     int64
	left      []byte       // of what was pushed, and not taken
	last      bool         // the last event was written, or is in left
	failed    error        // what ends it
	wrote     atomic.Int64 // time of the last write, Unix nanoseconds
	writing   atomic.Bool
	deadline  time.Time    // the connection's write deadline
	torn      bool         // the client has got a part of the last write only
	ending    bool         // the last words are being written, whatever was cut
	passing   func() error // pass, made once
}

// handOver takes the connection from fasthttp. What was read of the turn goes
// out first.
func (w *wait) handOver(f frames, first []actors.Event) {
	w.pause()
	ctx := w.ctx
	st := &stream{
		wait: w, frames: f, conn: w.conn,
		chunked:   ctx.Request.Header.IsHTTP11(),
		keepAlive: ctx.Request.Header.IsHTTP11() && !ctx.Request.Header.ConnectionClose() && w.conn != nil,
	}
	head := st.head()
	w.request.detached = true
	w.server.busy.Add(1)
	w.server.options.Metrics.streams.Inc()
	ctx.HijackSetNoResponse(true)
	taken := func() bool { return true }
	if st.conn != nil {
		taken = st.conn.handOver(st.over)
	}
	ctx.Hijack(func(c net.Conn) {
		if !taken() {
			return
		}
		if st.conn == nil {
			st.conn = &conn{Conn: c, all: new(connections)}
		} else {
			st.conn.takeBack(c)
		}
		// fasthttp keeps the request until this returns; the stream does not
		// need it.
		w.ctx = nil
		go st.run(head, first)
	})
}

// head is the response's header. It keeps proxies from holding the stream back.
func (st *stream) head() []byte {
	h := &st.ctx.Response.Header
	out := make([]byte, 0, 512)
	out = append(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"+
		"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nDate: "...)
	out = fasthttp.AppendHTTPDate(out, time.Now())
	out = append(out, "\r\n"...)
	for key, value := range h.All() {
		switch string(key) {
		case "Content-Type", "Content-Length", "Date", "Connection", "Server", "Transfer-Encoding":
			continue
		}
		out = append(out, key...)
		out = append(out, ": "...)
		out = append(out, value...)
		out = append(out, "\r\n"...)
	}
	if st.chunked {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if !st.keepAlive {
		out = append(out, "Connection: close\r\n"...)
	}
	return append(out, "\r\n"...)
}

// run begins the stream and lets go of its goroutine when all that was there is
// written.
func (st *stream) run(head []byte, first []actors.Event) {
	st.line.setOnCut(st.unblock)
	st.resume()
	st.keepAliveEvery(st.server.options.KeepAlive)
	st.push = newPusher(st.conn.Conn)
	st.passing = st.pass
	st.bell.quick, st.bell.slow = st.passOn, st.goOn
	st.bell.hold()
	st.events.Push(st.bell.ring)
	st.failed = st.request.guard(func() error { return st.begin(head, first) })
	st.bell.answer()
}

// begin writes the head and what there is already, in one piece. A stream that
// was cut before gets its head, too: what ends it is told behind it.
func (st *stream) begin(head []byte, first []actors.Event) (err error) {
	all := head
	if st.preface != "" {
		all = st.appendChunk(all, append(make([]byte, sizeRoom, sizeRoom+len(st.preface)+8), st.preface...), false)
	}
	if len(first) > 0 {
		var buf []byte
		buf, st.last = st.encode(make([]byte, sizeRoom), first)
		all = st.appendChunk(all, buf, st.last)
	}
	st.torn = true
	if err = st.write(all); err != errCut || st.bytes > 0 {
		return err
	}
	st.last, st.ending = false, true
	err = st.write(head)
	st.ending = false
	return err
}

// passOn sends what has come, as far as the client takes it at once. It reports
// false when there is more to do than that.
func (st *stream) passOn() bool {
	if st.push == nil || st.line.reason.Load() != alive || st.line.due.Load() {
		return false
	}
	st.pushing, st.passed = true, false
	st.failed = st.request.guard(st.passing)
	st.pushing = false
	return st.passed
}

func (st *stream) pass() error {
	scratch := eventPool.Get().(*[]actors.Event)
	events, err := st.read((*scratch)[:0])
	if len(events) > 0 {
		st.last, _ = st.send(events)
	}
	st.passed = err == nil && !st.last && len(st.left) == 0 // an error is read again by who can tell it
	giveBack(scratch, events)
	return nil
}

// goOn is what passOn is not: it waits for the client. It reports false when the
// stream is over.
func (st *stream) goOn() (more bool) {
	if st.failed == nil && (!st.last || len(st.left) > 0) {
		st.failed = st.request.guard(st.catchUp)
	}
	if st.failed != nil || st.last {
		st.end(st.failed)
		return false
	}
	if !st.deadline.IsZero() { // it is for writes that wait
		st.deadline = time.Time{}
		_ = st.conn.SetWriteDeadline(st.deadline) // on a closed connection the next write tells
	}
	return true
}

// catchUp writes what was left and what has come.
func (st *stream) catchUp() (err error) {
	if len(st.left) > 0 {
		left := st.left
		st.left = nil
		if err := st.write(left); err != nil {
			return err
		}
	}
	if !st.last {
		st.last, err = st.step()
	}
	return err
}

// end tells the client why, where it must still be told, and lets it go on with
// its connection.
func (st *stream) end(err error) {
	s := st.server
	if reason := st.line.reason.Load(); err != nil && !st.torn && (reason == revoked || reason == shutDown) {
		e := errorOfReason(reason)
		st.request.code = e.Code
		_ = st.lastWords(e)
	}
	if err != nil || !st.keepAlive || s.draining.Load() {
		_ = st.conn.Close()
		st.over()
		return
	}
	st.over()
	c := st.conn
	c.await(idleTimeout, s.options.ReadTimeout)
	_ = s.fast.ServeConn(c) // its errors are the client's leaving
}

// over ends what was begun by handOver.
func (st *stream) over() {
	st.done()
	st.request.finish(fasthttp.StatusOK, st.bytes)
	st.server.options.Metrics.streams.Dec()
	st.server.busy.Done()
}

// step writes what there is after a wake.
func (st *stream) step() (last bool, err error) {
	scratch := eventPool.Get().(*[]actors.Event)
	events, err := st.take((*scratch)[:0])
	switch {
	case err == errHungUp:
	case err != nil:
		e := errorOf(err)
		st.request.code = e.Code
		last, err = true, st.lastWords(e)
	case len(events) > 0:
		last, err = st.send(events)
	case st.line.isDue():
		err = st.keepAliveNow()
	}
	giveBack(scratch, events)
	return last, err
}

func giveBack(scratch *[]actors.Event, events []actors.Event) {
	clear(events) // the pool must not hold on to a log
	*scratch = events
	eventPool.Put(scratch)
}

var (
	eventPool = sync.Pool{New: func() any { s := make([]actors.Event, 0, 16); return &s }}
	framePool = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}
)

// maxPooled is the largest buffer that goes back to the pool.
const maxPooled = 64 << 10

// sizeRoom is what a chunk's size and its line end take at most.
const sizeRoom = 10

// send writes events in one piece, and their end where it is among them.
func (st *stream) send(events []actors.Event) (last bool, err error) {
	pooled := framePool.Get().(*[]byte)
	buf, last := st.encode(append((*pooled)[:0], make([]byte, sizeRoom)...), events)
	if len(buf) > sizeRoom {
		err = st.frame(buf, last)
	}
	if cap(buf) <= maxPooled {
		*pooled = buf
		framePool.Put(pooled)
	}
	return last, err
}

// encode appends events to buf, up to the last of the stream.
func (st *stream) encode(buf []byte, events []actors.Event) (out []byte, last bool) {
	for i := range events {
		if buf, last = st.frames.append(buf, &events[i]); last {
			if e := endError(&events[i]); e != nil {
				st.request.code = e.Code
			}
			break
		}
	}
	return buf, last
}

// lastWords writes an error that ends the stream. A client that does not read
// does not get it.
func (st *stream) lastWords(e *Error) error {
	st.ending, st.deadline = true, time.Time{}
	return st.frame(st.frames.fail(make([]byte, sizeRoom, 512), e), true)
}

// frame writes buf, whose first sizeRoom bytes are free for the chunk's size.
func (st *stream) frame(buf []byte, last bool) error {
	start, buf := st.chunk(buf, last)
	return st.write(buf[start:])
}

func (st *stream) appendChunk(dst, buf []byte, last bool) []byte {
	if len(buf) == sizeRoom {
		return dst
	}
	start, buf := st.chunk(buf, last)
	return append(dst, buf[start:]...)
}

// chunk makes an HTTP chunk of buf, which begins at start.
func (st *stream) chunk(buf []byte, last bool) (start int, _ []byte) {
	if !st.chunked {
		return sizeRoom, buf
	}
	var size [sizeRoom]byte
	n := len(strconv.AppendInt(size[:0], int64(len(buf)-sizeRoom), 16))
	start = sizeRoom - n - 2
	copy(buf[start:], size[:n])
	copy(buf[start+n:], "\r\n")
	buf = append(buf, "\r\n"...)
	if last {
		buf = append(buf, "0\r\n\r\n"...)
	}
	return start, buf
}

// keepAliveEvery wakes the stream when it was silent for the interval. The timer
// is not touched by writes; it looks at their time when it fires.
func (st *stream) keepAliveEvery(interval time.Duration) {
	st.wrote.Store(time.Now().UnixNano())
	st.line.alarm(interval, func() time.Duration {
		if silent := time.Duration(time.Now().UnixNano() - st.wrote.Load()); silent < interval {
			return interval - silent
		}
		st.line.ring()
		return interval
	})
}

func (st *stream) keepAliveNow() error {
	buf := make([]byte, sizeRoom, 64)
	return st.frame(append(buf, keepAlive...), false)
}

// errCut ends a write for a reason that the lifeline knows.
var errCut = errors.New("transport: the stream was cut while its client was not reading")

// unblock ends a write that waits for its client.
func (st *stream) unblock() {
	switch {
	case !st.writing.Load():
	case st.line.reason.Load() == shutDown: // who reads gets the rest
		_ = st.conn.SetWriteDeadline(time.Now().Add(closeWait))
	default:
		_ = st.conn.SetWriteDeadline(past)
	}
}

// write puts bytes on the wire. A client that takes some, however slowly, is
// waited for; one that takes nothing at all for the write timeout is given up.
func (st *stream) write(b []byte) error {
	if st.pushing {
		st.wrote.Store(time.Now().UnixNano())
		n := st.push.write(b)
		st.bytes += int64(n)
		st.left = append(st.left, b[n:]...)
		st.torn = n > 0 && n < len(b)
		return nil
	}
	timeout := st.server.options.WriteTimeout
	if !st.ending && st.line.reason.Load() == shutDown {
		st.ending, st.deadline = true, time.Time{}
	}
	if st.ending {
		timeout = min(timeout, closeWait)
	}
	st.writing.Store(true)
	defer st.writing.Store(false)
	for {
		now := time.Now()
		st.wrote.Store(now.UnixNano())
		if st.deadline.Sub(now) < timeout*3/4 { // setting it costs more than a look
			st.deadline = now.Add(timeout)
			if err := st.conn.SetWriteDeadline(st.deadline); err != nil {
				return err
			}
		}
		if st.line.reason.Load() != alive && !st.ending {
			return errCut // unblock may have come before the deadline was set
		}
		n, err := st.conn.Write(b)
		st.bytes += int64(n)
		if err == nil {
			st.torn = false
			return nil
		}
		st.torn = st.torn || n > 0
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		b = b[n:]
		st.deadline = time.Time{}
	}
}
