package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestMain(m *testing.M) { gateway.Main(m) }

func TestTheDemoAnswersAfterPairing(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	resp, body := g.Do(t, "POST", "/api/chat", `{"message":"hello"}`)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %s: %s", resp.Status, body)
	}
	var answer struct {
		Message   string
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Message == "" || answer.SessionID == "" {
		t.Errorf("answer %s (%v)", body, err)
	}
	g.Stop(t)
}

func TestAnUpstreamAnswersThroughTheGateway(t *testing.T) {
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "echo"})
	resp, body := g.Do(t, "POST", "/v1/chat/completions", `{"model":"echo","messages":[{"role":"user","content":"there and back"}]}`)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "there and back") {
		t.Errorf("%s: %s", resp.Status, body)
	}
	if got := up.Requests("echo"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer upstream-key" {
		t.Errorf("the upstream got %+v", got)
	}
}

func TestATokenOutlivesTheProcess(t *testing.T) {
	first := gateway.Start(t, gateway.Options{})
	token := first.Token(t)
	first.Stop(t)
	second := gateway.Start(t, gateway.Options{DataDir: first.DataDir})
	second.UseToken(token)
	if resp, body := second.Do(t, "POST", "/v1/ping", `{"message":"x"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", resp.Status, body)
	}
}
