package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"agentzero/bench"
)

// columns of the table of a comparison, in text and Markdown.
var columns = []string{"streams", "target", "CPU us a delta", "p50", "p99", "KiB a stream", "deltas a second", "least", "errors", "CPU", "p50", "p99", "memory"}

// ratioColumns are the last ones, which are by the reference.
const ratioColumns = 4

// none stands where there is no ratio: at the reference, and where it is missing.
const none = "-"

// row is an entry as the table shows it.
func row(step *bench.Step, e *bench.Entry) []string {
	cells := []string{
		streams(&step.Plan), e.Target,
		spread(e.CPUPerDelta, 1, 1),
		spread(e.P50, 1e3, 2) + " ms",
		spread(e.P99, 1e3, 1) + " ms",
		spread(e.PerStream, 1<<10, 0),
		fmt.Sprintf("%.0f", e.DeltaRate.Median),
		fmt.Sprintf("%.0f %%", e.Least*100),
		fmt.Sprint(failed(e)),
	}
	if e.Ratio == nil {
		return append(cells, none, none, none, none)
	}
	return append(cells, ratio(e.Ratio.CPUPerDelta), ratio(e.Ratio.P50), ratio(e.Ratio.P99), ratio(e.Ratio.PerStream))
}

// streams names a load in a word or two.
func streams(p *bench.Plan) string {
	name := fmt.Sprint(p.Clients)
	if p.Rate > 0 {
		name = fmt.Sprintf("%v/s", p.Rate)
	}
	if p.Door != bench.Completions {
		name += " " + string(p.Door)
	}
	if p.Sessions != bench.Stateless {
		name += ", sessions"
	}
	return name
}

// spread writes a median, and the range around it where there is one to see.
func spread(s bench.Spread, unit float64, decimals int) string {
	number := func(v float64) string { return fmt.Sprintf("%.*f", decimals, v/unit) }
	text := number(s.Median)
	if low, high := number(s.Min), number(s.Max); low != high {
		text += fmt.Sprintf(" (%s-%s)", low, high)
	}
	return text
}

func ratio(s bench.Spread) string {
	if s.Median == 0 {
		return none
	}
	return spread(s, 1, 2)
}

func failed(e *bench.Entry) (n int64) {
	for _, f := range e.Errors {
		n += f.Count
	}
	return n
}

// legend explains the table.
func legend(c *bench.Comparison) string {
	return fmt.Sprintf("Medians of the rounds, in brackets the least and the most. p50 and p99 are of the added latency: from a delta's sending by the upstream to its arrival at the client. Least is what the worst off stream got of the deltas of the median one. The last four columns are by %s, round by round.", c.Reference)
}

func where(c *bench.Comparison) string {
	return fmt.Sprintf("%s, on %s, %d CPUs, %s, %s", c.Started.UTC().Format("2006-01-02 15:04 MST"), c.Conditions.Machine, c.Conditions.CPUs, c.Conditions.Kernel, c.Conditions.Go)
}

func plan(step *bench.Step) string {
	p := &step.Plan
	return fmt.Sprintf("%s; ramp %v, warm-up %v, measured %v; machine idle %s %%",
		load(p), p.Ramp, p.Warmup, p.Duration, idle(step))
}

// idle is how much of the machine was left, by target.
func idle(step *bench.Step) string {
	var all []string
	for _, e := range step.Entries {
		all = append(all, fmt.Sprintf("%.0f", e.Idle.Median*100))
	}
	return strings.Join(all, "/")
}

// CompareText writes a comparison for a terminal.
func CompareText(out io.Writer, c *bench.Comparison) error {
	fmt.Fprintln(out, where(c))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := append([]string(nil), columns...)
	for i := len(head) - ratioColumns; i < len(head); i++ {
		head[i] = "x " + head[i]
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i := range c.Steps {
		for j := range c.Steps[i].Entries {
			fmt.Fprintln(w, strings.Join(row(&c.Steps[i], &c.Steps[i].Entries[j]), "\t"))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n", legend(c))
	for i := range c.Steps {
		fmt.Fprintln(out, plan(&c.Steps[i]))
		for j := range c.Steps[i].Entries {
			e := &c.Steps[i].Entries[j]
			if len(e.Errors) > 0 {
				fmt.Fprintf(out, "\n%s at %s streams:", e.Target, streams(&c.Steps[i].Plan))
				if err := failures(out, e.Errors); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// CompareMarkdown writes a comparison as a table for a README.
func CompareMarkdown(out io.Writer, c *bench.Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n", where(c))
	head := append([]string(nil), columns...)
	for i := len(head) - ratioColumns; i < len(head); i++ {
		head[i] = "x " + head[i]
	}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for i := range c.Steps {
		for j := range c.Steps[i].Entries {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row(&c.Steps[i], &c.Steps[i].Entries[j]), " | "))
		}
	}
	fmt.Fprintf(&b, "\n%s\n\n", legend(c))
	for i := range c.Steps {
		fmt.Fprintf(&b, "- %s\n", plan(&c.Steps[i]))
		for j := range c.Steps[i].Entries {
			e := &c.Steps[i].Entries[j]
			for _, kind := range kinds(e.Errors) {
				fmt.Fprintf(&b, "- errors of %s at %s streams: %d x %s\n", e.Target, streams(&c.Steps[i].Plan), e.Errors[kind].Count, kind)
			}
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
