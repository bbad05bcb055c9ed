package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fates is agentzero's own account of the messages it has accepted. At rest, those
// that have ended and those in flight are as many as were accepted.
type Fates struct {
	Accepted int64            `json:"accepted"`
	InFlight int64            `json:"in_flight"` // running or queued
	Ended    map[string]int64 `json:"ended"`     // by fate
}

// Sum is what the gateway can account for.
func (f *Fates) Sum() int64 {
	sum := f.InFlight
	for _, n := range f.Ended {
		sum += n
	}
	return sum
}

// ErrNoFates is that of a server whose /metrics has no such account.
var ErrNoFates = errors.New("bench: the server's /metrics tells of no turns")

const (
	maxMetrics   = 16 << 20 // bytes of /metrics that are read
	fatesTimeout = 10 * time.Second
	metricsPath  = "/metrics"
)

// ReadFates reads a target's account from its /metrics.
func ReadFates(ctx context.Context, t Target) (*Fates, error) {
	a, err := t.address()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fatesTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.dial+a.prefix+metricsPath, nil)
	if err != nil {
		return nil, err
	}
	req.Host = a.host
	req.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("bench: read the fates: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, ErrNoFates
	}
	return parseFates(io.LimitReader(resp.Body, maxMetrics))
}

// parseFates reads the text format of Prometheus, as far as it is needed.
func parseFates(r io.Reader) (*Fates, error) {
	f := &Fates{Ended: make(map[string]int64)}
	told := false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			continue
		}
		fate, isFate := strings.CutPrefix(name, `agentzero_turns_total{fate="`)
		if !isFate && name != "agentzero_turns_accepted_total" && name != "agentzero_running_turns" && name != "agentzero_queued_turns" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bench: the metric %s is %q, no whole number", name, value)
		}
		switch {
		case isFate:
			f.Ended[strings.TrimSuffix(fate, `"}`)] += n
		case name == "agentzero_turns_accepted_total":
			f.Accepted, told = n, true
		default:
			f.InFlight += n
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("bench: read the fates: %w", err)
	}
	if !told {
		return nil, ErrNoFates
	}
	return f, nil
}
