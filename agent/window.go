package agent

import (
	"fmt"
	"io"
	"sync"
)

const (
	// defaultMaxLine bounds one line or event of a stream, in bytes.
	defaultMaxLine = 8 << 20
	// windowStart is the size a window's buffer begins with, and goes back to
	// after a large event: most events are a few hundred bytes.
	windowStart = 4 << 10
	// windowKeep is the largest buffer that is kept for further use.
	windowKeep = 64 << 10
	// windowRead bounds what one Read may bring, and so the number of events
	// that are handed out together.
	windowRead = 64 << 10
	// maxEmptyReads is how many Reads in a row may bring nothing.
	maxEmptyReads = 100
)

// window is the part of a stream that is in memory: bytes that were read and
// are not done with. Its buffer grows up to limit, and no further.
type window struct {
	src   io.Reader
	buf   []byte
	limit int
}

// event is one event of an event stream, or one line of NDJSON. Its data may be
// changed by whom it is handed to, and is valid until the next call of next.
type event struct {
	// name is the event's type, "" where the stream gives none.
	name string
	data []byte
	// torn: the stream ended before the end of this event was seen. What is
	// there may still be whole.
	torn bool
}

// buffers holds windows' buffers of windowStart bytes between streams.
var buffers = sync.Pool{New: func() any { return new([windowStart]byte) }}

func newWindow(src io.Reader, limit int) window {
	if limit <= 0 {
		limit = defaultMaxLine
	}
	return window{src: src, buf: buffers.Get().(*[windowStart]byte)[:0], limit: limit}
}

// fill forgets the first drop bytes and reads once more. When it returns nil,
// at least one byte came.
func (w *window) fill(drop int) error {
	if drop > 0 {
		w.buf = w.buf[:copy(w.buf, w.buf[drop:])]
	}
	if len(w.buf) == 0 && cap(w.buf) > windowKeep {
		w.buf = buffers.Get().(*[windowStart]byte)[:0]
	}
	if len(w.buf) >= w.limit {
		return &Error{Kind: KindMalformed, Message: fmt.Sprintf("line too long: over %d bytes", w.limit)}
	}
	if len(w.buf) == cap(w.buf) {
		w.grow()
	}
	free := w.buf[len(w.buf):min(cap(w.buf), len(w.buf)+windowRead, w.limit)]
	for range maxEmptyReads {
		n, err := w.src.Read(free)
		w.buf = w.buf[:len(w.buf)+n]
		if n > 0 {
			return nil // an error that came with bytes comes again without
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (w *window) grow() {
	grown := make([]byte, len(w.buf), min(2*cap(w.buf), max(w.limit, windowStart)))
	copy(grown, w.buf)
	w.giveBack()
	w.buf = grown
}

// giveBack ends the use of the buffer.
func (w *window) giveBack() {
	if cap(w.buf) == windowStart {
		buffers.Put((*[windowStart]byte)(w.buf[:windowStart]))
	}
	w.buf = nil
}
