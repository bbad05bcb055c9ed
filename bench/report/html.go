package report

import (
	_ "embed"
	"html/template"
	"io"
	"math"
	"slices"

	"agentzero/bench"
)

//go:embed report.html
var page string

// CompareHTML writes a comparison as one page that needs nothing else, with its
// plots drawn in it.
func CompareHTML(out io.Writer, c *bench.Comparison) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return err
	}
	data := struct {
		Where, Legend string
		Head          []string
		Rows          [][]string
		Plans         []string
		Plots         []template.HTML
	}{Where: where(c), Legend: legend(c), Head: append([]string(nil), columns...)}
	for i := len(data.Head) - ratioColumns; i < len(data.Head); i++ {
		data.Head[i] = "× " + data.Head[i]
	}
	for i := range c.Steps {
		data.Plans = append(data.Plans, plan(&c.Steps[i]))
		for j := range c.Steps[i].Entries {
			data.Rows = append(data.Rows, row(&c.Steps[i], &c.Steps[i].Entries[j]))
		}
	}
	plots, err := plotsOf(c)
	if err != nil {
		return err
	}
	for _, p := range plots {
		data.Plots = append(data.Plots, template.HTML(p.svg())) // text in it is escaped there
	}
	return t.Execute(out, data)
}

// plotsOf are the latency at each step, and the growth with the streams.
func plotsOf(c *bench.Comparison) ([]plot, error) {
	var list []plot
	for i := range c.Steps {
		if !measuredLatency(&c.Steps[i]) {
			continue
		}
		p := plot{
			title: "Added latency at " + streams(&c.Steps[i].Plan) + " streams",
			x:     axis{name: "percentile", log: true, ticks: percentileTicks},
			y:     axis{name: "ms", log: true},
		}
		for _, e := range c.Steps[i].Entries {
			h, err := e.Added.Histogram()
			if err != nil {
				return nil, err
			}
			s := series{name: e.Target}
			for _, q := range []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99} {
				if h.TotalCount() > 0 {
					s.points = append(s.points, point{1 / (1 - q/100), float64(h.ValueAtQuantile(q)) / 1e3})
				}
			}
			p.series = append(p.series, s)
		}
		list = append(list, p)
	}
	steps := growthSteps(c)
	if len(steps) < 2 {
		return list, nil
	}
	for _, growth := range []struct {
		title, unit string
		figure      func(*bench.Entry) float64
	}{
		{"CPU per delta", "µs", func(e *bench.Entry) float64 { return e.CPUPerDelta.Median }},
		{"Memory per stream", "KiB", func(e *bench.Entry) float64 { return e.PerStream.Median / (1 << 10) }},
		{"Deltas a second", "thousands", func(e *bench.Entry) float64 { return e.DeltaRate.Median / 1e3 }},
		{"Added latency, p50", "ms", func(e *bench.Entry) float64 { return e.P50.Median / 1e3 }},
	} {
		p := plot{title: growth.title, x: axis{name: "streams", log: true}, y: axis{name: growth.unit}}
		for _, step := range steps {
			p.x.ticks = append(p.x.ticks, tick{float64(step.Plan.Clients), streams(&step.Plan)})
			for j := range step.Entries {
				e := &step.Entries[j]
				at := slices.IndexFunc(p.series, func(s series) bool { return s.name == e.Target })
				if at < 0 {
					at = len(p.series)
					p.series = append(p.series, series{name: e.Target})
				}
				if v := growth.figure(e); !math.IsNaN(v) {
					p.series[at].points = append(p.series[at].points, point{float64(step.Plan.Clients), v})
				}
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func measuredLatency(step *bench.Step) bool {
	for _, e := range step.Entries {
		if e.Added.Count > 0 {
			return true
		}
	}
	return false
}

// growthSteps are those that differ from the first in nothing but the number of
// their clients.
func growthSteps(c *bench.Comparison) (list []*bench.Step) {
	for i := range c.Steps {
		p, first := c.Steps[i].Plan, c.Steps[0].Plan
		p.Clients, p.Ramp, p.Warmup, p.Duration = first.Clients, first.Ramp, first.Warmup, first.Duration
		if p == first {
			list = append(list, &c.Steps[i])
		}
	}
	return list
}

var percentileTicks = []tick{{1, "0"}, {2, "50"}, {10, "90"}, {100, "99"}, {1000, "99.9"}, {10000, "99.99"}}
