package actors

import (
	"testing"
	"time"
)

func TestSessionsWriteAtTheSameMomentsAndInTime(t *testing.T) {
	begin := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	moments := map[time.Time]bool{}
	for ms := range 100 {
		now := begin.Add(time.Duration(ms) * time.Millisecond)
		wait := untilSave(now, defaultSaveEvery)
		if wait > defaultSaveEvery || wait <= defaultSaveEvery*3/4 {
			t.Errorf("at %v it waits %v", now, wait)
		}
		moments[now.Add(wait)] = true
	}
	if len(moments) > 2 {
		t.Errorf("those of 100 ms write at %d moments", len(moments))
	}
	if got := untilSave(begin, 5); got != 5 {
		t.Errorf("a short time became %v", got)
	}
}
