package report_test

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"agentzero/bench"
	"agentzero/bench/report"
	"agentzero/bench/upstream"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result makes a result of round figures.
func result(target string, clients int, factor int64) *bench.Result {
	h := hdrhistogram.New(1, 300_000_000, 3)
	for i := int64(1); i <= 1000; i++ {
		_ = h.RecordValue(i * factor) // within the range
	}
	encoded, _ := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // a cookie it knows
	d := bench.Distribution{
		Count: 1000, Min: h.Min(), Mean: h.Mean(), Max: h.Max(), P50: h.ValueAtQuantile(50),
		P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9), HDR: string(encoded),
	}
	r := &bench.Result{
		Target:     bench.Target{Name: target, URL: "http://127.0.0.1:1"},
		Plan:       bench.Plan{Door: bench.Completions, Clients: clients, Ramp: time.Second, Duration: 10 * time.Second, Answer: upstream.Default},
		Conditions: bench.Conditions{Machine: "a <machine>", CPUs: 2, Kernel: "linux 6.1", Go: "go1.26"},
		Started:    time.Date(2026, 7, 1, 12, 0, int(factor), 0, time.UTC),
		Measured:   10,
		Counts:     bench.Counts{Connections: 5, Begun: 5, Whole: 3, HungUp: 1, Failed: 1, Deltas: 1000},
		OpenAtEnd:  int64(clients), DeltaRate: 100 * float64(clients),
		Fairness: bench.Fairness{Min: 95, Median: 100, Max: 101},
		First:    d, Added: d,
		Server: bench.Cost{PIDs: []int{7}, CPUSeconds: 1, CPUPerDelta: 10 * float64(factor), MemoryBefore: 4 << 20, PerStream: 20 << 10 * float64(factor), FilesMost: 12, ThreadsMost: 9},
		Load:   bench.Load{CPUSeconds: 2, Idle: 0.4},
	}
	if target != "nginx" {
		r.Errors = map[string]*bench.Failure{"timeout": {Count: 1, Example: "it took <too> long"}, "status 503": {Count: 3, Example: "no"}}
	}
	return r
}

func comparison(t *testing.T) *bench.Comparison {
	t.Helper()
	c, err := bench.Group([]*bench.Result{
		result("nginx", 100, 1), result("mine & yours", 100, 2), result("nginx", 100, 3), result("mine & yours", 100, 3),
		result("nginx", 500, 2), result("mine & yours", 500, 5),
	}, "nginx")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReportsAreAsTheirGoldenFiles(t *testing.T) {
	late := result("mine", 100, 4)
	late.Late, late.Plan.Rate = 17, 12.5
	for name, write := range map[string]func(io.Writer) error{
		"run.txt":      func(w io.Writer) error { return report.Text(w, result("nginx", 100, 1)) },
		"open.txt":     func(w io.Writer) error { return report.Text(w, late) },
		"compare.txt":  func(w io.Writer) error { return report.CompareText(w, comparison(t)) },
		"compare.md":   func(w io.Writer) error { return report.CompareMarkdown(w, comparison(t)) },
		"compare.html": func(w io.Writer) error { return report.CompareHTML(w, comparison(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s\n(run with -update to take it)", got.String(), want)
			}
		})
	}
}

func TestThePageStandsAlone(t *testing.T) {
	var page bytes.Buffer
	if err := report.CompareHTML(&page, comparison(t)); err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"http:", "https:", "src=", "href=", "@import", "<script"} {
		if strings.Contains(page.String(), outside) {
			t.Errorf("the page needs something from outside: %s", outside)
		}
	}
	plots := strings.Split(page.String(), "<svg ")[1:]
	if len(plots) != 6 {
		t.Errorf("it has %d plots, want one for each of 2 steps and 4 of the growth", len(plots))
	}
	for _, plot := range plots {
		text, _, _ := strings.Cut("<svg "+plot, "</svg>")
		if err := xml.Unmarshal([]byte(text+"</svg>"), new(struct{})); err != nil {
			t.Errorf("a plot is no XML: %v", err)
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("a plot has points that are no numbers: %s", text)
		}
	}
}

func TestAComparisonOfNothingMeasuredCanBeDrawn(t *testing.T) {
	empty := &bench.Result{Target: bench.Target{Name: "a"}, Plan: bench.Plan{Door: bench.IdleWebSocket, Clients: 1}}
	c, err := bench.Group([]*bench.Result{empty}, "")
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := report.CompareHTML(&page, c); err != nil || strings.Contains(page.String(), "NaN") {
		t.Errorf("%v\n%s", err, page.String())
	}
}
