package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"agentzero/test/gateway"
)

func TestNodeControlNeedsItsOwnTokenAndDrains(t *testing.T) {
	const token = "a-token-of-an-operators-program"
	g := gateway.Start(t, gateway.Options{
		Config: "[gateway.node_control]\nenabled = true\nauth_token = \"env:NODE_TOKEN\"\nnode_id = \"alpha\"\nallowed_node_ids = [\"alpha\", \"beta\"]\n",
		Env:    []string{"NODE_TOKEN=" + token},
	})
	g.Token(t)
	call := func(token, body string) (*http.Response, string) {
		return sendAs(t, g, token, "POST", "/api/node-control", body).whole()
	}
	refuse := func(token, body string, status int, code string) {
		t.Helper()
		resp, answer := call(token, body)
		if f := failureOf(t, answer); resp.StatusCode != status || f.Code != code {
			t.Errorf("%s: %s: %s, want %d %s", body, resp.Status, answer, status, code)
		}
	}
	const list = `{"method":"node.list"}`
	refuse("", list, 401, "auth_required")
	refuse(g.Token(t), list, 403, "auth_failed")
	refuse(token, `{"method":"node.explode"}`, 400, "bad_request")
	refuse(token, `{"method":"node.describe"}`, 400, "bad_request")
	refuse(token, `{"method":"node.describe","node_id":"beta"}`, 404, "not_found")
	refuse(token, `{"method":"node.drain","node_id":"gamma"}`, 403, "auth_failed")
	if got := pings(t, g, token); got != http.StatusForbidden {
		t.Errorf("the token of node control opens the API with %d", got)
	}

	type node struct {
		ID          string `json:"node_id"`
		Status      string
		Version     string
		Connections int
	}
	var listed struct {
		OK    bool
		Nodes []node
	}
	resp, body := call(token, list)
	if err := json.Unmarshal([]byte(body), &listed); err != nil || resp.StatusCode != http.StatusOK || !listed.OK || len(listed.Nodes) != 1 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	if n := listed.Nodes[0]; n.ID != "alpha" || n.Status != "ok" || n.Version == "" || n.Connections < 1 {
		t.Errorf("listed is %+v", n)
	}
	if resp, body = sendAs(t, g, "", "POST", "/api/node-control", list, "X-Node-Control-Token: "+token).whole(); resp.StatusCode != http.StatusOK {
		t.Errorf("with the header of its own: %s: %s", resp.Status, body)
	}

	resp, body = call(token, `{"method":"node.drain","node_id":"alpha"}`)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"draining"`) {
		t.Errorf("%s: %s", resp.Status, body)
	}
	if resp, _ = g.Do(t, "GET", "/health", ""); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the health of a drained node is %s", resp.Status)
	}
	resp, body = g.Do(t, "POST", "/api/chat", `{"message":"x"}`)
	if f := failureOf(t, body); resp.StatusCode != http.StatusServiceUnavailable || f.Code != "draining" {
		t.Errorf("a message to a drained node: %s: %s", resp.Status, body)
	}
	if resp, body = call(token, `{"method":"node.describe","node_id":"alpha"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("a drained node is not described: %s: %s", resp.Status, body)
	}
	refuse(token, `{"method":"node.undrain","node_id":"gamma"}`, 403, "auth_failed")
	resp, body = call(token, `{"method":"node.undrain","node_id":"alpha"}`)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
		t.Errorf("undrained: %s: %s", resp.Status, body)
	}
	if resp, _ = g.Do(t, "GET", "/health", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the health of an undrained node is %s", resp.Status)
	}
	if resp, body = g.Do(t, "POST", "/api/chat", `{"message":"x"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("a message to an undrained node: %s: %s", resp.Status, body)
	}
}

func TestNodeControlIsOffUnlessItIsTurnedOn(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	resp, body := g.Do(t, "POST", "/api/node-control", `{"method":"node.list"}`)
	if f := failureOf(t, body); resp.StatusCode != http.StatusNotFound || f.Code != "not_found" {
		t.Errorf("%s: %s", resp.Status, body)
	}
}
