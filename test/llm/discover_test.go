package llm

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// A real server of llama.cpp is told apart from others, answers as the best
// server there is, and is replaced when it goes away.
func TestARealModelServerIsFoundAndReplaced(t *testing.T) {
	up := upstream.New(t)
	up.Set("other", upstream.Script{Deltas: []string{"the other answers"}})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Env: []string{"AGENTZERO_AGENT__PROVIDER=auto"}})
	g.Token(t)
	ask := func(t *testing.T) string {
		resp, body := g.Do(t, "POST", "/v1/chat/completions", `{"max_tokens":8,"messages":[{"role":"user","content":"Hello!"}]}`)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", resp.Status, body)
		}
		return body
	}
	t.Run("while it is there", func(t *testing.T) {
		model := startModel(t)
		r := gateway.Command(t, []string{"AGENTZERO_AGENT__LOCAL_SERVERS=" + model}, "discover")
		t.Logf("agentzero discover\n%s", r.Stdout)
		first := strings.Split(r.Stdout+"\n\n", "\n")[1]
		if !strings.HasPrefix(first, "llama.cpp ") || !strings.Contains(first, model) || !strings.Contains(first, modelName) {
			t.Errorf("it is found as %q", first)
		}
		g.Configure(t, `agent.local_servers = ["`+model+`", "`+up.URL()+`"]`)
		g.Signal(t, syscall.SIGHUP)
		g.WaitOutput(t, "configuration reloaded")
		if body := ask(t); !strings.Contains(body, `"model":"`+modelName+`"`) {
			t.Errorf("the answer is another's: %s", body)
		}
		if _, body := g.Do(t, "GET", "/v1/models", ""); !strings.Contains(body, `"id":"`+modelName+`"`) || !strings.Contains(body, `"id":"openai/other"`) {
			t.Errorf("the models are %s", body)
		}
	})
	if body := ask(t); !strings.Contains(body, "the other answers") {
		t.Errorf("when it has gone: %s", body)
	}
}
