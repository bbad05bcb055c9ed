package agent

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWindowKeepsToItsLimit(t *testing.T) {
	for _, limit := range []int{1, 100, windowStart - 1, windowStart, windowStart + 1, windowKeep, 3 * windowKeep} {
		w := newWindow(&endless{text: "x", left: 1 << 30}, limit)
		var err error
		for err == nil {
			err = w.fill(0)
		}
		if e := asError(t, err); e.Kind != KindMalformed || len(w.buf) != limit || cap(w.buf) > max(limit, windowStart) {
			t.Errorf("limit %d: %d bytes in a buffer of %d (%v)", limit, len(w.buf), cap(w.buf), err)
		}
		if err := w.fill(1); err != nil || len(w.buf) != limit {
			t.Errorf("limit %d: after one byte is done with, it holds %d (%v)", limit, len(w.buf), err)
		}
		w.giveBack()
	}
}

func TestWindowForgetsWhatIsDoneWith(t *testing.T) {
	w := newWindow(iotest.OneByteReader(strings.NewReader("abcd")), 0)
	defer w.giveBack()
	for i, want := range []string{"a", "ab", "bc", "d"} {
		if err := w.fill([]int{0, 0, 1, 2}[i]); err != nil || string(w.buf) != want {
			t.Errorf("step %d: %q (%v), want %q", i, w.buf, err, want)
		}
	}
	if err := w.fill(0); err != io.EOF || string(w.buf) != "d" {
		t.Errorf("at the end: %q (%v)", w.buf, err)
	}
}

func TestWindowGivesUpOnASourceThatBringsNothing(t *testing.T) {
	w := newWindow(errorBody{}, 0)
	defer w.giveBack()
	if err := w.fill(0); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

func TestWindowTakesBytesThatComeWithAnError(t *testing.T) {
	broken := errors.New("broken")
	w := newWindow(iotest.DataErrReader(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(broken))), 0)
	defer w.giveBack()
	if err := w.fill(0); err != nil || string(w.buf) != "a" {
		t.Errorf("got %q (%v)", w.buf, err)
	}
	if err := w.fill(0); err != broken {
		t.Errorf("got %v", err)
	}
}
