package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFatesAreSummedUpFromMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, "# TYPE agentzero_turns_total counter\n"+
			"agentzero_turns_accepted_total 12\nagentzero_running_turns 3\nagentzero_queued_turns 2\n"+
			"agentzero_turns_total{fate=\"answered\"} 5\nagentzero_turns_total{fate=\"cancelled\"} 1\nagentzero_deltas_total 99\n")
	}))
	defer server.Close()
	f, err := ReadFates(context.Background(), Target{Name: "x", URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if f.Accepted != 12 || f.InFlight != 5 || f.Ended["answered"] != 5 || f.Ended["cancelled"] != 1 || f.Sum() != 11 {
		t.Errorf("got %+v, the sum %d", f, f.Sum())
	}
	if _, err := ReadFates(context.Background(), Target{Name: "x", URL: server.URL + "/elsewhere"}); !errors.Is(err, ErrNoFates) {
		t.Errorf("without an account: %v", err)
	}
}

func TestMetricsThatCannotBeReadAreErrors(t *testing.T) {
	if _, err := parseFates(strings.NewReader("go_goroutines 3\n")); !errors.Is(err, ErrNoFates) {
		t.Errorf("another server's: %v", err)
	}
	if _, err := parseFates(strings.NewReader("agentzero_turns_accepted_total many\n")); err == nil {
		t.Error("a word was taken for a number")
	}
}
