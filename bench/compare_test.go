package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"agentzero/bench/upstream"
)

// resultOf is a result of which only some figures matter.
func resultOf(target string, clients int, at int64, cpu float64) *Result {
	return &Result{
		Target: Target{Name: target}, Plan: Plan{Door: Completions, Clients: clients, Duration: time.Second},
		Started: time.Unix(at, 0), Server: Cost{CPUPerDelta: cpu},
		Fairness: Fairness{Min: 9, Median: 10, Max: 11},
		Errors:   map[string]*Failure{"timeout": {Count: 2, Example: "x"}},
	}
}

func TestResultsAreGroupedByLoadAndTarget(t *testing.T) {
	c, err := Group([]*Result{
		resultOf("a", 500, 1, 10), resultOf("b", 500, 2, 30),
		resultOf("b", 500, 3, 20), resultOf("a", 500, 4, 20),
		resultOf("a", 100, 5, 7),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Reference != "a" || len(c.Steps) != 2 || c.Steps[0].Plan.Clients != 100 || c.Steps[1].Plan.Clients != 500 {
		t.Fatalf("got %+v", c)
	}
	if got := c.Steps[0].Entries; len(got) != 1 || got[0].Rounds != 1 {
		t.Errorf("at 100: %+v", got)
	}
	entries := c.Steps[1].Entries
	if len(entries) != 2 || entries[0].Target != "a" || entries[0].Ratio != nil || entries[1].Target != "b" {
		t.Fatalf("at 500: %+v", entries)
	}
	if got, want := entries[0].CPUPerDelta, (Spread{15, 10, 20}); got != want {
		t.Errorf("a's CPU is %+v, want %+v", got, want)
	}
	// b by a, round by round: 30/10 and 20/20.
	if got, want := entries[1].Ratio.CPUPerDelta, (Spread{2, 1, 3}); got != want {
		t.Errorf("b by a is %+v, want %+v", got, want)
	}
	if entries[1].Errors["timeout"].Count != 4 || entries[1].Least != 0.9 {
		t.Errorf("b has the errors %+v, the least share %v", entries[1].Errors, entries[1].Least)
	}
}

func TestTheMedianOfSpreads(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   Spread
	}{
		"of none":  {nil, Spread{}},
		"of one":   {[]float64{3}, Spread{3, 3, 3}},
		"of two":   {[]float64{4, 2}, Spread{3, 2, 4}},
		"of three": {[]float64{9, 1, 2}, Spread{2, 1, 9}},
	} {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestTargetsAreAskedInTurnAndNoneAlwaysFirst(t *testing.T) {
	_, a := mock(t)
	b := a
	a.Name, b.Name = "a", "b"
	var order []string
	c, err := Compare(context.Background(), []Target{a, b},
		Plan{Door: Completions, Clients: 1, Answers: 1, Duration: long, Answer: upstream.Behaviour{Tokens: 3}},
		CompareOptions{Rounds: 2, Clients: []int{1, 2}, Result: func(r *Result) { order = append(order, r.Target.Name) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abbaabba" {
		t.Errorf("the order was %s", got)
	}
	if len(c.Steps) != 2 || len(c.Steps[0].Entries) != 2 || c.Steps[1].Entries[1].Added.Count != 6 {
		t.Errorf("got %+v", c.Steps)
	}
}

func TestWhatCannotBeComparedIsRefused(t *testing.T) {
	if _, err := Group(nil, ""); err == nil {
		t.Error("nothing was compared")
	}
	plan := Plan{Door: Completions, Clients: 1, Duration: time.Second}
	one := []Target{{Name: "a", URL: "http://127.0.0.1:1"}}
	if _, err := Compare(context.Background(), one, plan, CompareOptions{}); err == nil {
		t.Error("no rounds were done")
	}
	if _, err := Compare(context.Background(), nil, plan, CompareOptions{Rounds: 1}); err == nil {
		t.Error("no target was asked")
	}
	if _, err := Compare(context.Background(), append(one, one...), plan, CompareOptions{Rounds: 1}); err == nil {
		t.Error("two targets of one name were told apart")
	}
}
