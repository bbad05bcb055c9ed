package llm

import (
	"path/filepath"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
)

// TestTheOpenAIClientGetsResponsesOfARealModel runs what test/conformance has for
// any model.
func TestTheOpenAIClientGetsResponsesOfARealModel(t *testing.T) {
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	pytest := part.File(t, "PyPI clients", filepath.Join(root, ".cache", "venv", "bin", "pytest"))
	g := gateway.Start(t, gateway.Options{Upstream: startModel(t) + "/v1", Model: modelName})
	t.Log(program.Program{
		Path: pytest,
		Args: []string{"-v", "-rP", "--no-header", "--color=no", "-p", "no:cacheprovider", "test_responses_any.py"},
		Dir:  filepath.Join(root, "test", "conformance", "python"),
		Env: []string{
			"GATEWAY_URL=" + g.URL, "GATEWAY_TOKEN=" + g.Token(t), "MODEL=" + modelName,
			"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "PYTHONDONTWRITEBYTECODE=1",
		},
	}.Run(t))
}
