package transport

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// sseEvent is one event of a stream, or one comment.
type sseEvent struct{ id, event, data, comment string }

// sse reads an event stream piece by piece.
type sse struct {
	t testing.TB
	*http.Response
	lines *bufio.Reader
}

// stream reads the head of a stream that must have begun well.
func (c *client) stream() *sse {
	c.t.Helper()
	resp := c.response("GET")
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		body, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("no stream: %s, %s: %s", resp.Status, kind, body)
	}
	return &sse{t: c.t, Response: resp, lines: bufio.NewReader(resp.Body)}
}

// next is the next event or comment; false is the end of the stream.
func (s *sse) next() (sseEvent, bool) {
	s.t.Helper()
	var e sseEvent
	for some := false; ; {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF && line == "" && !some {
			return e, false
		}
		if err != nil {
			s.t.Fatalf("the stream broke off: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "":
			if line != "" && !some {
				return sseEvent{comment: value}, true
			}
			if some && line == "" {
				return e, true
			}
		case "id":
			e.id, some = value, true
		case "event":
			e.event, some = value, true
		case "data":
			e.data, some = value, true
		case "retry":
			some = true
		}
	}
}

// event is the next event, comments passed over.
func (s *sse) event() sseEvent {
	s.t.Helper()
	for {
		e, ok := s.next()
		if !ok {
			s.t.Fatal("the stream ended where an event should have come")
		}
		if e.comment == "" {
			return e
		}
	}
}

// rest are the events up to the end.
func (s *sse) rest() []sseEvent {
	s.t.Helper()
	var all []sseEvent
	for {
		e, ok := s.next()
		if !ok {
			return all
		}
		if e.comment == "" {
			all = append(all, e)
		}
	}
}

// until reads events up to one of a name.
func (s *sse) until(event string) sseEvent {
	s.t.Helper()
	for {
		if e := s.event(); e.event == event {
			return e
		}
	}
}
