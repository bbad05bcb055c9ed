package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentzero/bench"
	"agentzero/bench/upstream"
)

// command runs a command line and returns what it printed.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = (&app{stdout: &out, stderr: &errs}).run(context.Background(), args)
	return code, out.String(), errs.String()
}

func model(t *testing.T) string {
	t.Helper()
	s, err := upstream.New(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}

// short makes a run that ends by its answers.
var short = []string{"--clients", "2", "--answers", "4", "--ramp", "0s", "--warmup", "0s", "--duration", "1m", "--tokens", "5", "--interval", "1ms"}

func TestRunWritesWhatCompareReads(t *testing.T) {
	url, dir := model(t), t.TempDir()
	file := filepath.Join(dir, "a.json")
	code, out, errs := command(t, append([]string{"run", url, "--json", file}, short...)...)
	if code != 0 || !strings.Contains(out, "4 begun, 4 whole") || errs != "" {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	var r bench.Result
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.Counts.Deltas != 20 || strings.Contains(string(b), "token\"") {
		t.Errorf("the file holds %s (%v)", b, err)
	}
	page, again := filepath.Join(dir, "a.html"), filepath.Join(dir, "b.json")
	if code, out, errs = command(t, "compare", file, file, "--html", page, "--json", again); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("<svg")) {
		t.Errorf("the page is %s (%v)", b, err)
	}
	if code, out, errs = command(t, "compare", again); code != 0 || !strings.Contains(out, "completions") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestCompareAsksServersInTurn(t *testing.T) {
	url := model(t)
	code, out, errs := command(t, append([]string{"compare", "--vs", "one=" + url, "--vs", "two=" + url, "--rounds", "1"}, short...)...)
	if code != 0 || !strings.Contains(out, "one") || !strings.Contains(out, "two") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestScenariosAreListedAndRun(t *testing.T) {
	if code, out, _ := command(t, "scenario"); code != 0 || !strings.Contains(out, "thundering-herd") {
		t.Errorf("exit %d\n%s", code, out)
	}
	file := filepath.Join(t.TempDir(), "own.toml")
	if err := os.WriteFile(file, []byte("door = \"completions\"\nclients = 1\nanswers = 2\nduration = \"1m\"\n[answer]\ntokens = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "scenario", file, model(t)); code != 0 || !strings.Contains(out, "2 whole") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestAMessageWithoutAFateIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		ended string
		code  int
	}{"all have one": {"3", 0}, "one has none": {"2", 1}} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "agentzero_turns_accepted_total 4\nagentzero_running_turns 1\nagentzero_turns_total{fate=\"answered\"} "+test.ended+"\n")
			}))
			defer server.Close()
			code, out, errs := command(t, "fates", server.URL, "--wait", "0s")
			if code != test.code || !strings.Contains(out, "4 accepted, 1 in flight, "+test.ended+" answered") {
				t.Errorf("exit %d, %q, %q", code, out, errs)
			}
			if test.code == 1 && !strings.Contains(errs, "4 messages were accepted, but 3 are accounted for") {
				t.Errorf("the error is %q", errs)
			}
		})
	}
}

func TestMistakesAreSaidInOneLine(t *testing.T) {
	for want, args := range map[string][]string{
		"no http://":            {"run", "127.0.0.1"},
		"not this machine":      {"run", "http://192.0.2.1"},
		"clients is 0":          {"run", "http://127.0.0.1:1", "--clients", "0"},
		"door is \"window\"":    {"run", "http://127.0.0.1:1", "--door", "window"},
		"no scenario \"x\"":     {"scenario", "x", "http://127.0.0.1:1"},
		"files, or servers":     {"compare"},
		"no such file":          {"compare", "nowhere.json"},
		"no NAME=URL":           {"compare", "--vs", "http://127.0.0.1:1"},
		"no floor \"cellar\"":   {"floor", "--variant", "cellar"},
		"tokens is -1":          {"upstream", "--tokens", "-1"},
		"tells of no turns":     {"fates", model(t)},
		"unknown command":       {"walk"},
		"the URL of one server": {"scenario", "steady"},
	} {
		code, out, errs := command(t, args...)
		if code != 1 || out != "" || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, %q, %q, want one line with %q", args, code, out, errs, want)
		}
	}
}
