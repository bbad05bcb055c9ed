package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
	"agentzero/test/upstream"
)

// notForAChat are cases of extensions that the gateway does not offer: message
// compression. The suite would only report them as not implemented.
var notForAChat = []string{"12.*", "13.*"}

// forLargeMessages lets pass the largest messages of the suite, which have 16
// MiB, and their echo, which comes faster than the suite reads it.
const forLargeMessages = `
[gateway]
max_body_bytes = "20MiB"
[sessions]
log_window_bytes = "64MiB"
`

// TestAutobahnFindsNoFailedCase runs the Autobahn test suite's fuzzing client
// (https://github.com/crossbario/autobahn-testsuite) on /ws/chat. The suite is
// made for servers that echo: autobahn/fuzz.py says how a chat is one.
func TestAutobahnFindsNoFailedCase(t *testing.T) {
	folder := filepath.Join(root(t), ".cache", "autobahn")
	python := part.File(t, "Autobahn", filepath.Join(folder, "python2"))
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: forLargeMessages})

	out := t.TempDir()
	spec, err := json.Marshal(map[string]any{
		"outdir": out,
		"servers": []any{map[string]any{
			"agent":     "agentzero",
			"url":       "ws" + strings.TrimPrefix(g.URL, "http") + "/ws/chat",
			"protocols": []string{"agentzero.v1", "bearer." + g.Token(t)},
		}},
		"cases":         []string{"*"},
		"exclude-cases": notForAChat,
		"options":       map[string]int{"openHandshakeTimeout": 30, "closeHandshakeTimeout": 30, "serverConnectionDropTimeout": 30}, // seconds
	})
	if err != nil {
		t.Fatal(err)
	}
	specFile := filepath.Join(out, "spec.json")
	if err := os.WriteFile(specFile, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	program.Program{
		Path:  python,
		Args:  []string{"autobahn/fuzz.py", filepath.Join(folder, "lib"), specFile},
		Env:   []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore"},
		Limit: 10 * time.Minute,
	}.Run(t)
	checkReport(t, out)
}

// caseResult is what the suite says of one case: how the messages went, and how
// the connection was closed.
type caseResult struct {
	Behavior, BehaviorClose string
	Report                  string `json:"reportfile"`
}

func checkReport(t *testing.T, dir string) {
	t.Helper()
	var report struct{ Agentzero map[string]caseResult }
	readJSON(t, filepath.Join(dir, "index.json"), &report)
	behaviors := map[string][]string{}
	for name, c := range report.Agentzero {
		behaviors[c.Behavior] = append(behaviors[c.Behavior], name)
		good := []string{"OK", "INFORMATIONAL", "NON-STRICT"}
		if !slices.Contains(good, c.Behavior) || !slices.Contains(good, c.BehaviorClose) {
			var details struct{ Description, Result, ResultClose string }
			readJSON(t, filepath.Join(dir, c.Report), &details)
			t.Errorf("case %s: %s, closing: %s: %.500s", name, c.Behavior, c.BehaviorClose, fmt.Sprintf("%+v", details))
		}
	}
	// What the suite has without compression.
	if len(report.Agentzero) < 300 {
		t.Errorf("only %d cases were run", len(report.Agentzero))
	}
	var refusals map[string]int
	readJSON(t, filepath.Join(dir, "refusals.json"), &refusals)
	t.Logf("%d cases, in %d of which a refusal of a binary or empty message stood for its echo", len(report.Agentzero), len(refusals))
	for behavior, names := range behaviors {
		if behavior == "OK" {
			t.Logf("%s: %d", behavior, len(names))
			continue
		}
		slices.Sort(names)
		t.Logf("%s: %d: %s", behavior, len(names), strings.Join(names, " "))
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}
