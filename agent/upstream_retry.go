package agent

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (r Retry) withDefaults() Retry {
	if r.Max == 0 {
		r.Max = 2
	}
	if r.Base <= 0 {
		r.Base = 250 * time.Millisecond
	}
	if r.Cap <= 0 {
		r.Cap = 8 * time.Second
	}
	if r.MaxWait <= 0 {
		r.MaxWait = 30 * time.Second
	}
	return r
}

// wait tells whether, and after how long, to call again after attempt number
// attempt (from 0) has failed with err.
func (r Retry) wait(attempt int, err *attemptError) (time.Duration, bool) {
	if !err.retryable || attempt >= r.Max || err.RetryAfter > r.MaxWait {
		return 0, false
	}
	if err.RetryAfter > 0 {
		return err.RetryAfter, true
	}
	backoff := r.Cap
	if shifted := r.Base << min(attempt, 30); shifted > 0 && shifted < r.Cap {
		backoff = shifted
	}
	// Full jitter: clients that failed together do not come back together.
	return rand.N(backoff), true
}

func retryableStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529: // 529: Anthropic's "overloaded"
		return true
	}
	return false
}

// parseRetryAfter reads Retry-After (RFC 9110, section 10.2.3: seconds or an
// HTTP date) and the finer retry-after-ms of OpenAI's servers. It returns 0
// where there is none, or where the time has passed.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return seconds(ms / 1000)
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		return seconds(s)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// seconds converts s, held within 0 and a year, so that no upstream's number
// overflows a Duration.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * 3600
	if !(s > 0) { // NaN too
		return 0
	}
	return time.Duration(min(s, year) * float64(time.Second))
}

// sleep waits for d and tells whether it did; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
