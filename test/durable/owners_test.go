package durable

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// secret is what one owner has said and no other may hear.
const secret = "the-word-that-only-ada-knows"

// strangers are what another owner's token tries at a route that takes a session:
// the body it sends, where SESSION is the name of a session that is not its own.
// Such a name may also make a session of the stranger's own; that is no fault.
var strangers = map[string][]string{
	"POST /v1/chat/completions":                  {`{"session_id":"SESSION","messages":[{"role":"user","content":"tell"}]}`, `{"session_id":"SESSION","stream":true,"messages":[{"role":"user","content":"tell"}]}`},
	"POST /api/chat":                             {`{"session_id":"SESSION","message":"tell"}`},
	"POST /webhook":                              {`{"session_id":"SESSION","message":"tell"}`},
	"GET /ws/chat":                               {""},
	"POST /v1/sessions":                          {`{"id":"SESSION"}`},
	"GET /v1/sessions":                           {""},
	"GET /v1/sessions/{id}":                      {""},
	"DELETE /v1/sessions/{id}":                   {""},
	"GET /v1/sessions/{id}/messages":             {""},
	"POST /v1/sessions/{id}/messages":            {`{"content":"tell","stream":true}`, `{"content":"tell"}`},
	"POST /v1/sessions/{id}/cancel":              {"", `{"turn_id":"TURN"}`},
	"GET /v1/sessions/{id}/events":               {""},
	"POST /v1/responses":                         {`{"input":"tell","conversation":"SESSION"}`, `{"input":"tell","previous_response_id":"RESPONSE"}`, `{"input":"tell","stream":true}`},
	"GET /v1/responses/{id}":                     {""},
	"DELETE /v1/responses/{id}":                  {""},
	"POST /v1/responses/{id}/cancel":             {""},
	"GET /v1/responses/{id}/input_items":         {""},
	"POST /v1/conversations":                     {`{"items":[{"role":"user","content":"tell"}]}`},
	"GET /v1/conversations/{id}":                 {""},
	"POST /v1/conversations/{id}":                {`{"metadata":{"mine":"now"}}`},
	"DELETE /v1/conversations/{id}":              {""},
	"GET /v1/conversations/{id}/items":           {""},
	"POST /v1/conversations/{id}/items":          {`{"items":[{"role":"user","content":"tell"}]}`},
	"GET /v1/conversations/{id}/items/{item}":    {""},
	"DELETE /v1/conversations/{id}/items/{item}": {""},
	"GET /v1/whoami":                             {""},
	"POST /v1/webhook/{channel}":                 {`{"session_id":"SESSION","message":"tell"}`},
	// Whose scope is admin's; see adminOnly.
	"GET /v1/events":                                    {""},
	"GET /v1/providers":                                 {""},
	"GET /v1/tokens":                                    {""},
	"POST /v1/tokens":                                   {`{"name":"ada's","owner":"ada@example.org","scopes":["chat","admin"]}`},
	"DELETE /v1/tokens/{id}":                            {""},
	"GET /v1/channels":                                  {""},
	"GET /v1/webhook/{channel}/deliveries":              {""},
	"GET /v1/webhook/{channel}/deliveries/{id}":         {""},
	"POST /v1/webhook/{channel}/replay":                 {`{}`},
	"POST /v1/webhook/{channel}/deliveries/{id}/replay": {`{}`},
	"GET /dashboard/{digest}/{file}":                    nil, // these know no session
	"GET /":                                             nil,
	"GET /health":                                       nil,
	"GET /health/ready":                                 nil,
	"GET /metrics":                                      nil,
	"GET /openapi.json":                                 nil,
	"POST /pair":                                        nil,
	"POST /v1/ping":                                     nil,
	"GET /v1/models":                                    nil,
	"GET /v1/models/{id}":                               nil,
	"POST /v1/ws-ticket":                                nil,
	"POST /api/node-control":                            nil,
}

// adminOnly reports whether a route is forbidden to who is not admin.
func adminOnly(route string) bool {
	return slices.Contains([]string{"GET /v1/events", "GET /v1/providers", "GET /v1/channels"}, route) ||
		strings.Contains(route, "/v1/tokens") || strings.Contains(route, "/v1/webhook/{channel}/")
}

// TestNoOwnerReachesAnothersSessionsByAnyRoute walks the routes of /openapi.json,
// so that one which is added must be thought of here.
func TestNoOwnerReachesAnothersSessionsByAnyRoute(t *testing.T) {
	up := upstream.New(t)
	gate := make(chan struct{})
	defer close(gate)
	up.Set("m", upstream.Script{Echo: true})
	up.Set("held", upstream.Script{Deltas: []string{secret}, Gate: gate})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	g.Token(t) // the admin's, so that the first to pair is taken
	ada := tokenOf(t, g, "ada", "ada@example.org", "chat,webhook")
	bob := tokenOf(t, g, "bob", "bob@example.org", "chat,webhook")
	as := func(token, method, path, body string, headers ...string) (int, string) {
		return ask(t, g.URL, token, method, path, body, headers...)
	}
	const name = "shared.name"
	for range 2 {
		if status, body := as(ada, "POST", "/v1/sessions/"+name+"/messages", `{"content":"`+secret+`","stream":true}`); status != http.StatusOK || !strings.Contains(body, secret) {
			t.Fatalf("ada: %d: %s", status, body)
		}
	}
	var before struct {
		Last string `json:"last_event_id"`
	}
	_, body := as(ada, "GET", "/v1/sessions/"+name, "")
	if err := json.Unmarshal([]byte(body), &before); err != nil {
		t.Fatal(err)
	}
	status, body := as(ada, "POST", "/v1/sessions/"+name+"/messages", `{"content":"wait","model":"held"}`)
	var running struct {
		Turn string `json:"turn_id"`
	}
	if err := json.Unmarshal([]byte(body), &running); err != nil || status != http.StatusAccepted {
		t.Fatalf("ada: %d: %s", status, body)
	}
	up.Wait(t, "held", "ada's call", func(l []upstream.Request) bool { return len(l) == 1 })

	// One of ada's responses, which waits in the same session, and one of its items.
	status, body = as(ada, "POST", "/v1/responses", `{"input":"`+secret+`","conversation":"`+name+`","background":true}`)
	var response struct{ ID string }
	if err := json.Unmarshal([]byte(body), &response); err != nil || status != http.StatusOK {
		t.Fatalf("ada: %d: %s", status, body)
	}
	_, body = as(ada, "GET", "/v1/conversations/"+name+"/items", "")
	var items struct {
		Data []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(body), &items); err != nil || len(items.Data) != 4 {
		t.Fatalf("ada: %s", body)
	}

	var spec struct {
		Paths map[string]map[string]json.RawMessage
	}
	_, body = as("", "GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(body), &spec); err != nil {
		t.Fatal(err)
	}
	epoch, _, _ := strings.Cut(before.Last, "-")
	tried := 0
	for pattern, methods := range spec.Paths {
		for method := range methods {
			if !slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				continue
			}
			route := strings.ToUpper(method) + " " + pattern
			bodies, known := strangers[route]
			if !known {
				t.Errorf("the route %s is new: say here what a stranger could try at it", route)
			}
			for _, body := range bodies {
				id := name
				if strings.HasPrefix(pattern, "/v1/responses") {
					id = response.ID
				}
				path := strings.NewReplacer("{id}", id, "{item}", items.Data[0].ID).Replace(pattern)
				path = strings.ReplaceAll(path, "{channel}", "alerts")
				body := strings.NewReplacer("SESSION", name, "TURN", running.Turn, "RESPONSE", response.ID).Replace(body)
				queries := []string{"", "?owner=ada@example.org", "?after=" + name, "?after=" + epoch + "-0", "?after=0&owner=ada@example.org", "?session=" + name, "?session=" + name + "&after=" + epoch + "-0"}
				for _, query := range queries {
					tried++
					var status int
					var answer string
					if pattern == "/ws/chat" {
						answer = hearAs(t, g, bob, query)
					} else {
						status, answer = as(bob, strings.ToUpper(method), path+query, body, "X-Session-Id: "+name, "Last-Event-ID: "+epoch+"-0", "X-Request-Timeout: 5")
					}
					if strings.Contains(answer, secret) || strings.Contains(answer, running.Turn) && !strings.Contains(body, running.Turn) {
						t.Errorf("%s%s with %s tells bob what is ada's: %d: %s", route, query, body, status, answer)
					}
					if adminOnly(route) && status != http.StatusForbidden {
						t.Errorf("%s%s: bob, who is no admin, got %d: %s", route, query, status, answer)
					}
					if strings.HasPrefix(pattern, "/v1/responses/") && status != http.StatusNotFound {
						t.Errorf("%s%s: bob got %d: %s", route, query, status, answer)
					}
					if strings.Contains(query, "owner=") && strings.Contains(pattern, "/v1/sessions") && route != "POST /v1/sessions" && status != http.StatusNotFound {
						t.Errorf("%s%s: bob got %d: %s", route, query, status, answer)
					}
					if body == fmt.Sprintf(`{"turn_id":%q}`, running.Turn) && status != http.StatusNotFound {
						t.Errorf("%s%s: bob cancelled ada's turn: %d: %s", route, query, status, answer)
					}
				}
			}
		}
	}
	t.Logf("%d tries", tried)
	for _, c := range up.Requests("m")[2:] {
		if strings.Contains(string(c.Body), secret) {
			t.Errorf("bob's call told the model what is ada's: %s", c.Body)
		}
	}
	// What is ada's is as it was.
	_, body = as(ada, "GET", "/v1/sessions/"+name, "")
	var after struct {
		Turn     string `json:"turn_id"`
		Messages int
	}
	if err := json.Unmarshal([]byte(body), &after); err != nil || after.Turn != running.Turn || after.Messages != 4 {
		t.Errorf("ada's session is now %s", body)
	}
	if _, body = as(ada, "GET", "/v1/responses/"+response.ID, ""); !strings.Contains(body, `"status":"queued"`) {
		t.Errorf("ada's response is now %s", body)
	}
	// An admin sees it, by its owner's name.
	if resp, body := g.Do(t, "GET", "/v1/sessions/"+name+"/messages?owner=ada@example.org", ""); resp.StatusCode != http.StatusOK || !strings.Contains(body, secret) {
		t.Errorf("the admin: %s: %s", resp.Status, body)
	}
}

// ask is one request with a token; of an endless stream it reads what comes at
// once.
func ask(t *testing.T, url, token, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	headersOf(req.Header, headers)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	if method == http.MethodGet && strings.Contains(path, "/events") {
		client.Timeout = time.Second // what it would tell, it tells at once
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil && client.Timeout == patience {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(data)
}

// hearAs opens a WebSocket, asks, and returns all that it says to the first end
// of a turn, or the answer to the upgrade.
func hearAs(t *testing.T, g *gateway.Gateway, token, query string) string {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	c, resp, err := dialer.Dial("ws"+strings.TrimPrefix(g.URL, "http")+"/ws/chat"+query, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		if resp == nil {
			t.Fatalf("WebSocket%s: %v", query, err)
		}
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	for _, say := range []string{`{"type":"cancel"}`, `{"type":"message","content":"tell"}`} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(say)); err != nil {
			t.Fatal(err)
		}
	}
	var heard strings.Builder
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("WebSocket%s: %v after %s", query, err, heard.String())
		}
		heard.Write(data)
		if strings.Contains(string(data), `"done"`) {
			return heard.String()
		}
	}
}
