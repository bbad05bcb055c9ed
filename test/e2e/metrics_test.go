package e2e

import (
	"strconv"
	"strings"
	"testing"

	"agentzero/test/gateway"
)

// samples are the values of /metrics by name and labels, as they stand there.
type samples map[string]float64

// metricsOf reads /metrics.
func metricsOf(t testing.TB, g *gateway.Gateway) samples {
	t.Helper()
	_, body := g.Do(t, "GET", "/metrics", "")
	s := samples{}
	for line := range strings.Lines(body) {
		name, value, ok := cutLast(strings.TrimSpace(line), " ")
		if !ok || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("/metrics: %q: %v", line, err)
		}
		s[name] = v
	}
	return s
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// sum adds up the samples whose name and labels begin with prefix.
func (s samples) sum(prefix string) float64 {
	total := 0.0
	for name, v := range s {
		if strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

// waitMetric waits until a sample has the value.
func waitMetric(t testing.TB, g *gateway.Gateway, name string, want float64) {
	t.Helper()
	var got float64
	defer func() {
		if t.Failed() {
			t.Logf("%s is %v, want %v", name, got, want)
		}
	}()
	eventually(t, name, func() bool {
		got = metricsOf(t, g)[name]
		return got == want
	})
}

// checkFates fails t unless every accepted message comes to exactly one fate.
func checkFates(t testing.TB, g *gateway.Gateway) samples {
	t.Helper()
	var s samples
	eventually(t, "no turn in flight", func() bool {
		s = metricsOf(t, g)
		return s["agentzero_running_turns"]+s["agentzero_queued_turns"] == 0
	})
	if accepted, ended := s["agentzero_turns_accepted_total"], s.sum("agentzero_turns_total{"); accepted != ended {
		t.Errorf("accepted %v turns, but %v have a fate", accepted, ended)
	}
	return s
}

// baseline is what the gateway is like at rest, after it has served n
// connections at once: it keeps the goroutines that did for the next ones, for
// some seconds.
func baseline(t testing.TB, g *gateway.Gateway, n int) samples {
	t.Helper()
	g.Token(t)
	var list []*client
	for range n {
		list = append(list, send(t, g, "GET", "/health", ""))
	}
	for _, c := range list {
		c.answer()
	}
	for _, c := range list {
		c.hangUp(false)
	}
	waitMetric(t, g, "agentzero_gateway_active_connections", 1) // the one that asks
	s := metricsOf(t, g)
	if s["go_goroutines"] == 0 || s["process_open_fds"] == 0 {
		t.Fatal("/metrics does not tell the goroutines and the open files")
	}
	return s
}

// waitAtRest waits until no goroutine and no file is left that was not there
// before.
func waitAtRest(t testing.TB, g *gateway.Gateway, before samples) {
	t.Helper()
	var now samples
	defer func() {
		if t.Failed() {
			for _, name := range []string{"go_goroutines", "process_open_fds", "agentzero_gateway_active_connections", "agentzero_active_streams", "agentzero_active_websockets"} {
				t.Logf("%s: before %v, now %v", name, before[name], now[name])
			}
		}
	}()
	eventually(t, "the gateway is as it was before", func() bool {
		now = metricsOf(t, g)
		return now["go_goroutines"] <= before["go_goroutines"] && now["process_open_fds"] <= before["process_open_fds"]
	})
}
