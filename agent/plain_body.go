package agent

import (
	"errors"
	"io"
	"net/http"
	"slices"
)

// plainBody is the body of an answer on a plain connection. What it reads goes
// straight into the reader's buffer; the marks of HTTP's chunks are taken out
// there, so that one Read brings all that has arrived.
type plainBody struct {
	exchange *exchangeOnConn // nil once the connection was let go of
	early    []byte          // what came with the header
	chunked  bool
	chunks   dechunker
	left     int64 // of a body of known length; below 0: up to the connection's end
	reusable bool
	err      error // what all further Reads return
}

// body makes the body of an answer. early are the first bytes of it.
func (x *exchangeOnConn) body(resp *http.Response, early []byte) io.ReadCloser {
	b := &plainBody{exchange: x, early: early, left: resp.ContentLength, reusable: !resp.Close && !resp.Request.Close}
	b.chunked = slices.Equal(resp.TransferEncoding, []string{"chunked"})
	switch {
	case resp.Body == http.NoBody:
		b.chunked, b.left = false, 0
		b.finish()
	case !b.chunked && b.left < 0:
		b.reusable = false
	}
	return b
}

func (b *plainBody) Read(p []byte) (n int, err error) {
	for b.err == nil && n == 0 && len(p) > 0 {
		n = b.unframe(p[:b.fill(p)])
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, b.err
}

// fill reads once.
func (b *plainBody) fill(p []byte) int {
	if len(b.early) > 0 {
		n := copy(p, b.early)
		if b.early = b.early[n:]; len(b.early) == 0 {
			b.early = nil
		}
		return n
	}
	n, err := b.exchange.conn.Read(p)
	if err == nil {
		return n
	}
	switch ctx := b.exchange.ctx; {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == io.EOF && (b.chunked || b.left >= 0):
		err = io.ErrUnexpectedEOF
	}
	b.err = err // after what came with it
	return n
}

// unframe leaves in p what is of the body, and returns how much that is.
func (b *plainBody) unframe(p []byte) int {
	switch {
	case b.chunked:
		n, rest, err := b.chunks.decode(p)
		switch {
		case err != nil:
			b.err = err
		case b.chunks.over():
			b.reusable = b.reusable && rest == 0
			b.finish()
		}
		return n
	case b.left >= 0:
		n := int(min(int64(len(p)), b.left))
		b.reusable = b.reusable && n == len(p)
		if b.left -= int64(n); b.left == 0 {
			b.finish()
		}
		return n
	default:
		return len(p)
	}
}

// finish: all of the body was read.
func (b *plainBody) finish() {
	b.err = io.EOF
	b.letGo(b.reusable && len(b.early) == 0)
}

// Close ends the call; an answer that was not read to its end costs the
// connection.
func (b *plainBody) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	b.letGo(false)
	return nil
}

func (b *plainBody) letGo(reusable bool) {
	if x := b.exchange; x != nil {
		b.exchange = nil
		x.end(reusable)
	}
}

// dechunker takes HTTP's chunked coding off a stream (RFC 9112, section 7.1), in
// pieces as they come. Extensions and trailers are passed over.
type dechunker struct {
	state  chunkState
	size   int64 // of what is left of the chunk
	digits int
	line   int // length of the present line of no data
	extra  int // bytes of all extensions and trailers
}

type chunkState uint8

const (
	chunkSize      chunkState = iota // within the digits of a chunk's size
	chunkExtension                   // behind them, up to the line's end
	chunkData
	chunkDataCR // the line end behind the data
	chunkDataLF
	chunkTrailer // a line behind the last chunk; an empty one ends the stream
	chunkOver
)

const (
	maxChunkDigits = 15 // more would overflow
	maxChunkExtra  = 64 << 10
)

var errChunk = errors.New("malformed chunked encoding")

func (d *dechunker) over() bool { return d.state == chunkOver }

// decode moves the data of p to its front and returns its length, and how many
// bytes are behind the stream's end.
func (d *dechunker) decode(p []byte) (n, rest int, err error) {
	for i := 0; i < len(p); {
		switch d.state {
		case chunkData:
			part := p[i:min(len(p), i+int(min(d.size, int64(len(p)))))]
			n += copy(p[n:], part)
			i += len(part)
			if d.size -= int64(len(part)); d.size == 0 {
				d.state = chunkDataCR
			}
			continue
		case chunkOver:
			return n, len(p) - i, nil
		}
		if !d.mark(p[i]) {
			return n, 0, errChunk
		}
		i++
	}
	return n, 0, nil
}

// mark takes a byte that is no data.
func (d *dechunker) mark(b byte) bool {
	switch d.state {
	case chunkSize:
		if digit, ok := hexDigit(b); ok {
			d.size = d.size<<4 | digit
			d.digits++
			return d.digits <= maxChunkDigits
		}
		d.state = chunkExtension
		return d.digits > 0 && (b == '\r' || b == ';' || b == ' ' || b == '\t' || b == '\n' && d.begin())
	case chunkExtension:
		if b == '\n' {
			return d.begin()
		}
		d.extra++
		return d.extra <= maxChunkExtra
	case chunkDataCR:
		d.state = chunkDataLF
		return b == '\r'
	case chunkDataLF:
		d.state, d.digits = chunkSize, 0
		return b == '\n'
	default:
		return d.trailer(b)
	}
}

// begin: a chunk's size has been read.
func (d *dechunker) begin() bool {
	if d.state = chunkData; d.size == 0 {
		d.state, d.line = chunkTrailer, 0
	}
	return true
}

func (d *dechunker) trailer(b byte) bool {
	d.extra++
	switch {
	case b == '\n' && d.line == 0:
		d.state = chunkOver
	case b == '\n':
		d.line = 0
	case b != '\r':
		d.line++
	}
	return d.extra <= maxChunkExtra
}

func hexDigit(b byte) (int64, bool) {
	switch {
	case '0' <= b && b <= '9':
		return int64(b - '0'), true
	case 'a' <= b && b <= 'f':
		return int64(b-'a') + 10, true
	case 'A' <= b && b <= 'F':
		return int64(b-'A') + 10, true
	}
	return 0, false
}
