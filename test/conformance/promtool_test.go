package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"agentzero/test/part"
	"agentzero/test/program"
)

func TestPromtoolFindsNothingToSayAboutTheMetrics(t *testing.T) {
	promtool := part.File(t, "promtool", filepath.Join(root(t), ".cache", "promtool", "promtool"))
	r := newRig(t)
	for _, request := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/chat/completions", `{"model":"hello","messages":[{"role":"user","content":"x"}]}`, 200},
		{"POST", "/v1/chat/completions", `{"model":"hello","stream":true,"messages":[{"role":"user","content":"x"}]}`, 200},
		{"POST", "/v1/chat/completions", `{"model":"limited","messages":[{"role":"user","content":"x"}]}`, 429},
		{"POST", "/v1/chat/completions", `{`, 400},
		{"POST", "/api/chat", `{"message":"x","session_id":"\"odd\""}`, 400},
		{"POST", "/api/chat", `{"message":"x","session_id":"s"}`, 200},
		{"GET", "/v1/sessions/s/messages", "", 200},
		{"GET", "/v1/models", "", 200},
		{"GET", "/nowhere/\"at\"/all", "", 404},
	} {
		if resp, body := r.Do(t, request.method, request.path, request.body); resp.StatusCode != request.status {
			t.Fatalf("%s %s: %s: %s", request.method, request.path, resp.Status, body)
		}
	}
	_, metrics := r.Do(t, "GET", "/metrics", "")
	for _, name := range []string{"agentzero_gateway_requests_total", "agentzero_gateway_request_duration_seconds_bucket", "agentzero_gateway_errors_total"} {
		if !strings.Contains(metrics, "\n"+name+"{") {
			t.Errorf("there is no %s after some traffic", name)
		}
	}
	// A warning is printed like an error, and only the exit code differs.
	said := program.Program{Path: promtool, Args: []string{"check", "metrics"}, Stdin: []byte(metrics)}.Run(t)
	if said != "" {
		t.Errorf("promtool says:\n%s\nof:\n%s", said, metrics)
	}
}
