package bench

import (
	"bytes"
	"errors"
	"fmt"
)

// dechunker takes HTTP/1.1's chunked framing off. Its zero value is at the start
// of a body.
type dechunker struct {
	state chunkState
	left  int64 // of the present chunk, or its size in the making
	line  int   // length of the present trailer line
}

type chunkState uint8

const (
	chunkStart chunkState = iota
	chunkSize
	chunkExtension
	chunkData
	chunkDataEnd
	chunkTrailer
	chunkOver
)

var errChunk = errors.New("the chunked framing is broken")

// feed passes the body in b on, in pieces that are parts of b. over is the end of
// the body; what follows it in b is not looked at.
func (d *dechunker) feed(b []byte, body func([]byte) error) (over bool, err error) {
	for len(b) > 0 {
		if d.state == chunkData {
			n := min(d.left, int64(len(b)))
			if err := body(b[:n]); err != nil {
				return false, err
			}
			b = b[n:]
			if d.left -= n; d.left == 0 {
				d.state = chunkDataEnd
			}
			continue
		}
		c := b[0]
		b = b[1:]
		switch d.state {
		case chunkStart:
			d.state, d.left = chunkSize, hexDigit(c)
			if d.left < 0 {
				return false, errChunk
			}
		case chunkSize, chunkExtension:
			switch n := hexDigit(c); {
			case c == '\n' && d.left == 0:
				d.state, d.line = chunkTrailer, 0
			case c == '\n':
				d.state = chunkData
			case c == ';' || c == '\r' || d.state == chunkExtension:
				d.state = chunkExtension
			case n < 0 || d.left > 1<<40:
				return false, errChunk
			default:
				d.left = d.left<<4 | n
			}
		case chunkDataEnd:
			switch c {
			case '\r':
			case '\n':
				d.state = chunkStart
			default:
				return false, errChunk
			}
		case chunkTrailer:
			switch {
			case c == '\r':
			case c == '\n' && d.line == 0:
				d.state = chunkOver
				return true, nil
			case c == '\n':
				d.line = 0
			default:
				d.line++
			}
		}
	}
	return false, nil
}

func hexDigit(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c && c <= 'f':
		return int64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int64(c-'A') + 10
	}
	return -1
}

// maxLine bounds a line of an event stream, in bytes.
const maxLine = 1 << 20

// lines cuts a stream into lines.
type lines struct {
	partial []byte // of a line whose end has not come
}

// feed passes each whole line on, without its end.
func (l *lines) feed(b []byte, line func([]byte) error) error {
	for {
		at := bytes.IndexByte(b, '\n')
		if at < 0 {
			if len(l.partial)+len(b) > maxLine {
				return fmt.Errorf("a line has more than %d bytes", maxLine)
			}
			l.partial = append(l.partial, b...)
			return nil
		}
		whole := b[:at]
		if len(l.partial) > 0 {
			l.partial = append(l.partial, whole...)
			whole = l.partial
			l.partial = l.partial[:0]
		}
		if err := line(bytes.TrimSuffix(whole, []byte("\r"))); err != nil {
			return err
		}
		b = b[at+1:]
	}
}
