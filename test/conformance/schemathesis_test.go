package conformance

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/program"
	"agentzero/test/upstream"
)

// withNodeControl turns on what would else answer nothing but 404.
const withNodeControl = `
[gateway.node_control]
enabled = true
auth_token = "node-token-of-the-test"
node_id = "n1"
`

// TestSchemathesisFindsNoAnswerThatDisagreesWithTheDocument lets Schemathesis
// (https://schemathesis.io) make requests of all that /openapi.json allows, and
// of what it forbids, and hold each answer against it. How it is set up stands in
// python/schemathesis.toml.
func TestSchemathesisFindsNoAnswerThatDisagreesWithTheDocument(t *testing.T) {
	schemathesis := venv(t, "schemathesis")
	scripts, err := filepath.Abs("python")
	if err != nil {
		t.Fatal(err)
	}
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	up.Set("tools", toolCalls())
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo", Config: withNodeControl})
	t.Log(program.Program{
		Path: schemathesis,
		Args: []string{
			"--no-color", "--config-file", filepath.Join(scripts, "schemathesis.toml"), "run", g.URL + "/openapi.json",
			"--header", "Authorization: Bearer " + g.Token(t),
		},
		Dir:   t.TempDir(), // it leaves things behind
		Env:   []string{"PYTHONPATH=" + scripts, "PYTHONDONTWRITEBYTECODE=1"},
		Limit: 5 * time.Minute,
	}.Run(t))
	// A gateway that was drained by the way would have answered 503 to all else.
	if resp, body := g.Do(t, "GET", "/health", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards the gateway is %s: %s", resp.Status, body)
	}
}
