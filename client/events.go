package client

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxLine bounds a line of an event stream, in bytes.
const maxLine = 16 << 20

// event is one of an event stream.
// See https://html.spec.whatwg.org/multipage/server-sent-events.html.
type event struct {
	id   string // of the last event that had one
	name string // "message" where it has none
	data string
}

// events reads an event stream.
type events struct {
	lines *bufio.Scanner
	id    string
}

func newEvents(r io.Reader) *events {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &events{lines: lines}
}

// next is the next event; one without data is none, but its id counts. At the
// stream's end it is io.EOF, which an event that is not complete comes to.
func (e *events) next() (event, error) {
	name, data := "", []string(nil)
	for e.lines.Scan() {
		line := strings.TrimSuffix(e.lines.Text(), "\r")
		if line == "" {
			if data == nil {
				name = ""
				continue
			}
			if name == "" {
				name = "message"
			}
			return event{id: e.id, name: name, data: strings.Join(data, "\n")}, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			if !strings.Contains(value, "\x00") {
				e.id = value
			}
		case "event":
			name = value
		case "data":
			data = append(data, value)
		}
	}
	if err := e.lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = errors.New("a line of the event stream is too long")
		}
		return event{}, err
	}
	return event{}, io.EOF
}
