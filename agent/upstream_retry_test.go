package agent

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	tests := []struct {
		after, ms string
		want      time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{" 0.5 ", "", 500 * time.Millisecond},
		{"0", "", 0},
		{"-3", "", 0},
		{"NaN", "", 0},
		{"1e300", "", year},
		{"Inf", "", year},
		{"soon", "", 0},
		{"Mon, 04 May 2026 03:02:21 GMT", "", 20 * time.Second},
		{"Mon, 04 May 2026 03:02:00 GMT", "", 0},
		{"7", "250", 250 * time.Millisecond},
		{"7", "soon", 7 * time.Second},
	}
	for _, tt := range tests {
		h := http.Header{}
		if tt.after != "" {
			h.Set("Retry-After", tt.after)
		}
		if tt.ms != "" {
			h.Set("Retry-After-Ms", tt.ms)
		}
		if got := parseRetryAfter(h, now); got != tt.want {
			t.Errorf("Retry-After %q, -Ms %q: got %v, want %v", tt.after, tt.ms, got, tt.want)
		}
	}
}

func TestRetryWait(t *testing.T) {
	failed := func(after time.Duration) *attemptError {
		return &attemptError{Error: &Error{RetryAfter: after}, retryable: true}
	}
	r := Retry{}.withDefaults()
	if _, again := r.wait(2, failed(0)); again {
		t.Error("a third retry is made by default")
	}
	if _, again := (Retry{Max: -1}).withDefaults().wait(0, failed(0)); again {
		t.Error("a retry is made where none is wanted")
	}
	if _, again := r.wait(0, &attemptError{Error: &Error{}}); again {
		t.Error("a failure that is for good is tried again")
	}
	if wait, again := r.wait(1, failed(30*time.Second)); !again || wait != 30*time.Second {
		t.Errorf("a Retry-After of 30 s: %v, %v", wait, again)
	}
	if _, again := r.wait(0, failed(30*time.Second+1)); again {
		t.Error("a Retry-After above 30 s is waited out")
	}
	r.Max = math.MaxInt
	for attempt, limit := range map[int]time.Duration{
		0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 4: 4 * time.Second, 5: 8 * time.Second, 6: 8 * time.Second, 1000: 8 * time.Second,
	} {
		longest := time.Duration(0)
		for range 1000 {
			wait, again := r.wait(attempt, failed(0))
			if !again || wait < 0 || wait >= limit {
				t.Fatalf("attempt %d: %v, %v; the limit is %v", attempt, wait, again, limit)
			}
			longest = max(longest, wait)
		}
		if longest < limit/2 {
			t.Errorf("attempt %d: never above %v of %v in 1000 tries", attempt, longest, limit)
		}
	}
}
