package agent

import (
	"bytes"
	"io"
)

// sseReader splits an event stream into its events, as the HTML standard says
// (section 9.2.6): lines end with LF, CRLF or CR, a byte order mark at the
// start is ignored, comments and the fields id and retry are skipped, several
// data lines are joined by LF.
//
// It differs in one point: when the stream ends, what was begun is handed out
// too, marked torn, because some servers leave out the last blank line.
type sseReader struct {
	win    window
	events []event
	names  []string
	err    error

	// Offsets in win.buf. Data of the present event stands, joined, in
	// [data, dataEnd); the present line starts at line, and in [line, scan) no
	// end of it was found.
	data, dataEnd int
	line, scan    int
	lf            int // the next LF from scan on, len(buf) if none; -1: not looked for

	name    string
	hasData bool
	skipLF  bool // the last line ended with CR: an LF right after it belongs to it
	begun   bool // the byte order mark was dealt with
}

// maxEventNames is how many distinct event names are remembered, so that a
// stream's names are allocated once.
const maxEventNames = 16

// newSSEReader reads events from src. A line, or the data of an event, of more
// than maxLine bytes is KindMalformed; 0 means 8 MiB.
func newSSEReader(src io.Reader, maxLine int) *sseReader {
	return &sseReader{win: newWindow(src, maxLine), lf: -1}
}

// next returns all events that are complete after one Read that completed any.
// They are valid until the next call. After the last of them it returns the
// error that ended the stream, io.EOF or the source's, and no events.
func (s *sseReader) next() ([]event, error) {
	s.events = s.events[:0]
	for s.err == nil {
		if err := s.fill(); err != nil {
			s.err = err
			if err == io.EOF {
				s.endOfStream()
			}
			break
		}
		s.scanLines()
		if len(s.events) > 0 {
			return s.events, nil
		}
	}
	if len(s.events) > 0 {
		return s.events, nil
	}
	return nil, s.err
}

// release gives the buffer back. The reader and its events must not be used
// after it.
func (s *sseReader) release() {
	s.win.giveBack()
	s.err = io.ErrClosedPipe
}

// fill reads once more, after moving what is still needed to the front: the
// data of the present event and, right behind it, the present line.
func (s *sseReader) fill() error {
	if s.hasData {
		tail := copy(s.win.buf[s.dataEnd:], s.win.buf[s.line:])
		s.win.buf = s.win.buf[:s.dataEnd+tail]
		s.scan -= s.line - s.dataEnd
		s.line = s.dataEnd
	} else {
		s.data, s.dataEnd = s.line, s.line
	}
	drop := s.data
	s.data, s.dataEnd, s.line, s.scan = 0, s.dataEnd-drop, s.line-drop, s.scan-drop
	s.lf = -1
	return s.win.fill(drop)
}

func (s *sseReader) scanLines() {
	if s.skipLF && s.scan < len(s.win.buf) {
		s.skipLF = false
		if s.win.buf[s.scan] == '\n' {
			s.line++
			s.scan++
		}
	}
	if !s.begun && !s.skipBOM() {
		return
	}
	for {
		end, size := s.lineEnd()
		if end < 0 {
			s.scan = len(s.win.buf)
			return
		}
		s.endOfLine(s.line, end)
		s.line = end + size
		s.scan = s.line
	}
}

// skipBOM passes over a byte order mark at the start of the stream. It returns
// false while too few bytes have come to know one.
func (s *sseReader) skipBOM() bool {
	const mark = "\xEF\xBB\xBF"
	have := s.win.buf
	if len(have) < len(mark) && string(have) == mark[:len(have)] {
		return false
	}
	s.begun = true
	if bytes.HasPrefix(have, []byte(mark)) {
		s.line, s.scan = len(mark), len(mark)
	}
	return true
}

// lineEnd finds the end of the present line: where it is, and how many bytes it
// takes. It returns -1 where the end has not come yet.
func (s *sseReader) lineEnd() (at, size int) {
	buf := s.win.buf
	if s.lf < s.scan {
		s.lf = len(buf)
		if i := bytes.IndexByte(buf[s.scan:], '\n'); i >= 0 {
			s.lf = s.scan + i
		}
	}
	if i := bytes.IndexByte(buf[s.scan:s.lf], '\r'); i >= 0 {
		at = s.scan + i
		switch {
		case at+1 == len(buf):
			s.skipLF = true // should it come
			return at, 1
		case buf[at+1] == '\n':
			return at, 2
		}
		return at, 1
	}
	if s.lf < len(buf) {
		return s.lf, 1
	}
	return -1, 0
}

// endOfLine takes the line buf[start:end].
func (s *sseReader) endOfLine(start, end int) {
	if start == end {
		s.dispatch(false)
		return
	}
	line := s.win.buf[start:end]
	field, value := line, line[len(line):]
	if i := bytes.IndexByte(line, ':'); i >= 0 {
		field, value = line[:i], line[i+1:]
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
	}
	switch string(field) {
	case "data":
		s.addData(end-len(value), end)
	case "event":
		s.name = s.intern(value)
	}
}

// addData joins buf[start:end] to the data of the present event. There is room
// for it and the LF between: the word "data" stood before it.
func (s *sseReader) addData(start, end int) {
	if !s.hasData {
		s.hasData = true
		s.data, s.dataEnd = start, end
		return
	}
	buf := s.win.buf
	buf[s.dataEnd] = '\n'
	s.dataEnd += 1 + copy(buf[s.dataEnd+1:], buf[start:end])
}

func (s *sseReader) dispatch(torn bool) {
	if s.hasData {
		s.events = append(s.events, event{name: s.name, data: s.win.buf[s.data:s.dataEnd:s.dataEnd], torn: torn})
	}
	s.hasData = false
	s.name = ""
}

// endOfStream hands out what the stream has begun and not ended.
func (s *sseReader) endOfStream() {
	if s.line < len(s.win.buf) {
		s.endOfLine(s.line, len(s.win.buf))
		s.line = len(s.win.buf)
	}
	s.dispatch(true)
}

// intern returns name as a string, the same one each time.
func (s *sseReader) intern(name []byte) string {
	for _, known := range s.names {
		if known == string(name) {
			return known
		}
	}
	fresh := string(name)
	if len(s.names) < maxEventNames {
		s.names = append(s.names, fresh)
	}
	return fresh
}
