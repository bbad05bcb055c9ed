package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"agentzero/bench"
)

// Text writes a result for a terminal.
func Text(out io.Writer, r *bench.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("target", "%s %s", r.Target.Name, r.Target.URL)
	line("load", "%s", load(&r.Plan))
	line("measured", "%.1f s on %s, %d CPUs, %.0f %% idle", r.Measured, r.Conditions.Machine, r.Conditions.CPUs, r.Load.Idle*100)
	c := &r.Counts
	line("answers", "%d begun, %d whole, %d hung up, %d failed, %d open at the end", c.Begun, c.Whole, c.HungUp, c.Failed, r.OpenAtEnd)
	if r.Late > 0 {
		line("", "%d arrivals had to wait for a free client", r.Late)
	}
	line("deltas", "%d, %.0f a second; a client got %d to %d, half of them %d or more",
		c.Deltas+c.SlowDeltas, r.DeltaRate, r.Fairness.Min, r.Fairness.Max, r.Fairness.Median)
	if len(r.Server.PIDs) > 0 {
		s := &r.Server
		line("server", "%.1f us of CPU a delta (%.2f s in all), %s a stream on top of %s, %d files, %d threads",
			s.CPUPerDelta, s.CPUSeconds, size(s.PerStream), size(float64(s.MemoryBefore)), s.FilesMost, s.ThreadsMost)
	}
	line("load generator", "%.2f s of CPU", r.Load.CPUSeconds)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := times(out, r); err != nil {
		return err
	}
	return failures(out, r.Errors)
}

// times writes the table of distributions.
func times(out io.Writer, r *bench.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tcount\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, row := range []struct {
		name string
		d    *bench.Distribution
	}{
		{"connect", &r.Connect}, {"first delta", &r.First}, {"between deltas", &r.Between},
		{"added latency", &r.Added}, {"whole answer", &r.Whole},
	} {
		if row.d.Count > 0 {
			d := row.d
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", row.name, d.Count, ms(d.P50), ms(d.P90), ms(d.P99), ms(d.P999), ms(d.Max))
		}
	}
	return w.Flush()
}

func failures(out io.Writer, errors map[string]*bench.Failure) error {
	if len(errors) == 0 {
		_, err := fmt.Fprintln(out, "\nno errors")
		return err
	}
	fmt.Fprintln(out, "\nerrors")
	for _, kind := range kinds(errors) {
		if _, err := fmt.Fprintf(out, "  %d x %s: %s\n", errors[kind].Count, kind, errors[kind].Example); err != nil {
			return err
		}
	}
	return nil
}

// kinds sorts the kinds of errors, the most frequent first.
func kinds(errors map[string]*bench.Failure) []string {
	list := make([]string, 0, len(errors))
	for kind := range errors {
		list = append(list, kind)
	}
	slices.SortFunc(list, func(a, b string) int {
		if d := errors[b].Count - errors[a].Count; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	return list
}

// load tells a plan in a line.
func load(p *bench.Plan) string {
	var b strings.Builder
	if p.Rate > 0 {
		fmt.Fprintf(&b, "%v answers a second, at most %d at once", p.Rate, p.Clients)
	} else {
		fmt.Fprintf(&b, "%d clients", p.Clients)
	}
	fmt.Fprintf(&b, " over %s", p.Door)
	if p.Sessions != "" {
		fmt.Fprintf(&b, ", a session for each %s", p.Sessions)
	}
	if p.Door != bench.IdleWebSocket && p.Answer.Tokens > 0 {
		fmt.Fprintf(&b, "; %d deltas, one each %v", p.Answer.Tokens, p.Answer.Interval)
	}
	return b.String()
}

// ms writes microseconds as milliseconds.
func ms(micros int64) string {
	d := time.Duration(micros) * time.Microsecond
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(micros)/1000)
	}
	return fmt.Sprintf("%.2f ms", float64(micros)/1000)
}

func size(bytes float64) string {
	if bytes >= 1<<20 || bytes <= -1<<20 {
		return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", bytes/(1<<10))
}
