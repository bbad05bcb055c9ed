package client

import (
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	stream := newEvents(strings.NewReader("retry: 2000\nid: e-1\n\n: a comment\n\nid: e-2\nevent: delta\ndata: a\ndata:b\r\n\r\ndata\n\nid: e-3\ndata: cut off"))
	for _, want := range []event{{"e-2", "delta", "a\nb"}, {"e-2", "message", ""}} {
		if got, err := stream.next(); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if got, err := stream.next(); !errors.Is(err, io.EOF) {
		t.Errorf("an event that is cut off is %+v, %v", got, err)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("id: 1\nevent: delta\ndata: {\"turn_id\":\"t\",\"delta\":\"x\"}\n\n")
	f.Add("event: turn.failed\ndata: {\"turn_id\":\"t\",\"error\":{\"message\":\"m\"}}\n\n")
	f.Add("data: {\"turn_id\":1}\n\n\r\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		h := &hearing{id: "t", turn: Turn{Text: func(s string) {
			if s == "" {
				t.Error("an empty piece is told")
			}
		}}}
		for stream := newEvents(strings.NewReader(text)); ; {
			e, err := stream.next()
			if err != nil {
				return
			}
			if _, ended, err := h.hear(e); ended || err != nil {
				return
			}
		}
	})
}
