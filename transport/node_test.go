package transport

import "testing"

func TestNodeControl(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Node = &NodeControl{Token: "node-token", ID: "n1", Allowed: []string{"n1", "n2"}} })
	for _, test := range []struct {
		name, body, token string
		status            int
		code              Code
	}{
		{"without a token", `{"method":"node.list"}`, "", 401, CodeAuthRequired},
		{"with a token of the gateway", `{"method":"node.list"}`, "Authorization: Bearer " + adminToken, 403, CodeAuthFailed},
		{"a list", `{"method":"node.list"}`, "Authorization: Bearer node-token", 200, ""},
		{"a list by the header", `{"method":"node.list"}`, "X-Node-Control-Token: node-token", 200, ""},
		{"a description", `{"method":"node.describe","node_id":"n1"}`, "X-Node-Control-Token: node-token", 200, ""},
		{"a description of nobody", `{"method":"node.describe"}`, "X-Node-Control-Token: node-token", 400, CodeBadRequest},
		{"a node that is not allowed", `{"method":"node.describe","node_id":"n3"}`, "X-Node-Control-Token: node-token", 403, CodeAuthFailed},
		{"a node that is not there", `{"method":"node.describe","node_id":"n2"}`, "X-Node-Control-Token: node-token", 404, CodeNotFound},
		{"an odd method", `{"method":"node.stop"}`, "X-Node-Control-Token: node-token", 400, CodeBadRequest},
		{"a drain that is taken back", `{"method":"node.drain","node_id":"n1"}`, "X-Node-Control-Token: node-token", 200, ""},
		{"the taking back", `{"method":"node.undrain","node_id":"n1"}`, "X-Node-Control-Token: node-token", 200, ""},
		{"a drain", `{"method":"node.drain","node_id":"n1"}`, "X-Node-Control-Token: node-token", 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			headers := []string{"Authorization:"}
			if test.token != "" {
				headers = append(headers, test.token)
			}
			if len(test.token) > 6 && test.token[:6] == "Author" {
				headers = headers[1:]
			}
			got := r.ask("POST", "/api/node-control", test.body, headers...)
			if got.StatusCode != test.status {
				t.Errorf("%s %s", got.Status, got.body)
			}
			if test.code != "" && got.failure(t).Code != test.code {
				t.Errorf("%s", got.body)
			}
		})
	}
	if got := r.ask("GET", "/health", ""); got.StatusCode != 503 {
		t.Errorf("after the drain: %s", got.Status)
	}
	if got := newRig(t).ask("POST", "/api/node-control", `{"method":"node.list"}`); got.StatusCode != 404 {
		t.Errorf("where it is off: %s", got.Status)
	}
}

func TestAServerThatShutsDownTakesNoWorkAgain(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Node = &NodeControl{Token: "node-token", ID: "n1"} })
	r.server.Drain()
	got := r.ask("POST", "/api/node-control", `{"method":"node.undrain","node_id":"n1"}`, "Authorization:", "X-Node-Control-Token: node-token")
	if got.StatusCode != 503 || got.failure(t).Code != CodeDraining {
		t.Errorf("%s %s", got.Status, got.body)
	}
	if got := r.ask("POST", "/api/node-control", `{"method":"node.drain","node_id":"n1"}`, "Authorization:", "X-Node-Control-Token: node-token"); got.StatusCode != 200 {
		t.Errorf("%s %s", got.Status, got.body)
	}
}
