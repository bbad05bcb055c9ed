package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// hour is longer than any test, so that only the calls of fire made here count.
const hour = time.Hour

func TestWatchEndsACallThatStaysSilent(t *testing.T) {
	tests := []struct {
		name   string
		silent bool
		do     func(w *watch)
	}{
		{"while the request is sent", false, func(*watch) {}},
		{"without headers", true, func(w *watch) { w.sent(hour) }},
		{"with headers, and nobody reading", false, func(w *watch) { w.sent(hour); w.answered(hour) }},
		{"with headers, and a Read of a moment", false, func(w *watch) { w.sent(hour); w.answered(hour); w.reading.Store(int64(10 * hour)) }},
		{"with headers, and a Read of an hour", true, func(w *watch) { w.sent(hour); w.answered(hour); w.reading.Store(1) }},
		{"with headers before the request was sent", true, func(w *watch) { w.answered(hour); w.sent(hour); w.reading.Store(1) }},
		{"when it is over", false, func(w *watch) { w.sent(hour); w.answered(hour); w.reading.Store(1); w.end() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatch(t.Context())
			defer w.end()
			w.start = w.start.Add(-10 * hour)
			tt.do(w)
			w.fire()
			if w.silent() != tt.silent {
				t.Errorf("ended: %v, want %v", w.silent(), tt.silent)
			}
		})
	}
}

func TestWatchedBodyErrors(t *testing.T) {
	up := newUpstream(upstreamOptions{Provider: "test", BaseURL: "http://host"})
	broken := errors.New("broken")
	t.Run("the caller's context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWatch(ctx)
		defer w.end()
		cancel()
		b := watchedBody{up, w, errorBody{broken}}
		if _, err := b.Read(nil); err != context.Canceled {
			t.Errorf("got %v", err)
		}
	})
	t.Run("silence", func(t *testing.T) {
		w := newWatch(t.Context())
		defer w.end()
		w.cancel(errSilent)
		b := watchedBody{up, w, errorBody{broken}}
		if _, err := b.Read(nil); asError(t, err).Kind != KindTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a broken connection", func(t *testing.T) {
		w := newWatch(t.Context())
		defer w.end()
		b := watchedBody{up, w, errorBody{broken}}
		if _, err := b.Read(nil); asError(t, err).Kind != KindCut || !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the end", func(t *testing.T) {
		w := newWatch(t.Context())
		defer w.end()
		b := watchedBody{up, w, io.NopCloser(strings.NewReader(""))}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v", err)
		}
	})
}

type errorBody struct{ err error }

func (b errorBody) Read([]byte) (int, error) { return 0, b.err }
func (b errorBody) Close() error             { return nil }
