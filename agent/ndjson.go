package agent

import (
	"bytes"
	"io"
)

// ndjsonReader splits a stream into its lines, each a JSON value (NDJSON, as
// Ollama streams). Lines end with LF; white space around them, and empty lines,
// are skipped. A last line without an end is handed out too, marked torn.
type ndjsonReader struct {
	win    window
	events []event
	err    error
	line   int // where the present line starts
	scan   int // no end of it was found before
}

// newNDJSONReader reads lines from src. One of more than maxLine bytes is
// KindMalformed; 0 means 8 MiB.
func newNDJSONReader(src io.Reader, maxLine int) *ndjsonReader {
	return &ndjsonReader{win: newWindow(src, maxLine)}
}

// next returns all lines that are complete after one Read that completed any,
// under the same rules as [sseReader.next].
func (n *ndjsonReader) next() ([]event, error) {
	n.events = n.events[:0]
	for n.err == nil {
		n.scan -= n.line
		err := n.win.fill(n.line)
		n.line = 0
		if err != nil {
			n.err = err
			if err == io.EOF {
				n.add(n.win.buf, true)
			}
			break
		}
		n.scanLines()
		if len(n.events) > 0 {
			return n.events, nil
		}
	}
	if len(n.events) > 0 {
		return n.events, nil
	}
	return nil, n.err
}

// release gives the buffer back. The reader and its lines must not be used
// after it.
func (n *ndjsonReader) release() {
	n.win.giveBack()
	n.err = io.ErrClosedPipe
}

func (n *ndjsonReader) scanLines() {
	for {
		i := bytes.IndexByte(n.win.buf[n.scan:], '\n')
		if i < 0 {
			n.scan = len(n.win.buf)
			return
		}
		end := n.scan + i
		n.add(n.win.buf[n.line:end], false)
		n.line, n.scan = end+1, end+1
	}
}

func (n *ndjsonReader) add(line []byte, torn bool) {
	if line = bytes.TrimSpace(line); len(line) > 0 {
		n.events = append(n.events, event{data: line, torn: torn})
	}
}
