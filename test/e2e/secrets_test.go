package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestNoSecretIsEverLogged(t *testing.T) {
	const (
		fixed    = "fixed-token-that-must-not-be-logged"
		node     = "node-token-that-must-not-be-logged"
		header   = "provider-header-that-must-not-be-logged"
		stranger = "strangers-guess-that-must-not-be-logged"
	)
	up := upstream.New(t)
	up.Set("echo", upstream.Script{Echo: true})
	up.Set("tells", upstream.Script{Fault: upstream.FaultStatus, Status: 401, ErrorMessage: "Incorrect API key provided: upstream-key, " + header})
	dead := upstream.New(t)
	dead.Down()
	g := gateway.Start(t, gateway.Options{
		Upstream: up.URL(), Model: "echo", Args: []string{"--log-level", "debug"},
		Config: fmt.Sprintf("[gateway.node_control]\nenabled = true\nauth_token = \"env:NODE_TOKEN\"\n[providers.mock]\nmax_retries = 0\n[providers.mock.headers]\nX-Secret = %q\n[providers.dead]\nkind = \"openai\"\nbase_url = %q\nmax_retries = 0\n",
			header, dead.URL()),
		Env: []string{"AGENTZERO_GATEWAY_BEARER_TOKEN=" + fixed, "NODE_TOKEN=" + node},
	})
	secrets := map[string]string{
		"the fixed token": fixed, "node control's token": node, "the provider's key": "upstream-key",
		"the provider's header": header, "a stranger's guess": stranger,
	}
	// A code is printed only where there is no token at all, the fixed one included.
	open := gateway.Start(t, gateway.Options{Args: []string{"--log-level", "debug"}})
	code := codeOf(t, open)
	pair(t, open, stranger)
	pair(t, open, code)
	pair(t, open, code)

	g.UseToken(fixed)
	token := tokenOf(t, g, "laptop", "default", "chat")
	secrets["a token"] = token
	_, body := g.Do(t, "POST", "/v1/ws-ticket", "")
	var ticket struct{ Ticket string }
	if err := json.Unmarshal([]byte(body), &ticket); err != nil || ticket.Ticket == "" {
		t.Fatal(body)
	}
	secrets["a ticket"] = ticket.Ticket

	// Everything that has to do with a secret, well and badly.
	sendAs(t, g, token, "POST", "/api/chat", `{"message":"x"}`).whole()
	sendAs(t, g, stranger, "POST", "/api/chat", `{"message":"x"}`).whole()
	for _, model := range []string{"tells", "dead/x", "none"} {
		if _, answer := g.Do(t, "POST", "/v1/chat/completions", chat(model, "x", true)); strings.Contains(answer, "upstream-key") || strings.Contains(answer, header) {
			t.Errorf("the client is told a secret: %s", answer)
		}
	}
	sendAs(t, g, node, "POST", "/api/node-control", `{"method":"node.list"}`).whole()
	sendAs(t, g, stranger, "POST", "/api/node-control", `{"method":"node.list"}`).whole()
	url := "ws" + strings.TrimPrefix(g.URL, "http") + "/ws/chat"
	for _, c := range []struct {
		query, protocol string
		ok              bool
	}{
		{"", "bearer." + token, true},
		{"?ticket=" + ticket.Ticket, "", true},
		{"?ticket=" + ticket.Ticket, "", false},
		{"", "bearer." + stranger, false},
		{"?token=" + token, "", false},
	} {
		dialer := websocket.Dialer{Subprotocols: []string{"agentzero.v1"}}
		if c.protocol != "" {
			dialer.Subprotocols = append(dialer.Subprotocols, c.protocol)
		}
		conn, resp, err := dialer.Dial(url+c.query, http.Header{})
		if (err == nil) != c.ok {
			t.Errorf("WebSocket with %q: %v", c.query+c.protocol, err)
		}
		if err == nil {
			if got := conn.Subprotocol(); got != "agentzero.v1" && c.protocol != "" {
				t.Errorf("the subprotocol that was chosen is %q", got)
			}
			conn.NetConn().Close()
		} else if resp != nil {
			resp.Body.Close()
		}
	}
	// What is no HTTP, with a secret in it.
	for _, broken := range []string{
		"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nBroken Header\r\n\r\n",
		"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: many\r\n\r\n",
		"POST /api/chat?key=" + token + " HTTP/9\r\nAuthorization: Bearer " + token + "\r\n\r\n",
		"Authorization: Bearer " + token + "\r\n\r\n",
		"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nX-Long: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
		"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
	} {
		c := dial(t, g)
		if _, err := io.WriteString(c.conn, broken); err != nil {
			t.Fatal(err)
		}
		c.conn.CloseWrite()
		io.Copy(io.Discard, c.conn)
	}
	if r := gateway.Command(t, nil, "token", "revoke", "laptop", "--data-dir", g.DataDir); r.Code != 0 {
		t.Fatalf("token revoke: exit %d: %s", r.Code, r.Stderr)
	}
	eventually(t, "the token is revoked", func() bool { return pings(t, g, token) == http.StatusForbidden })
	g.Stop(t)
	open.Stop(t)

	for name, secret := range secrets {
		if log := g.Log(); strings.Contains(log, secret) {
			at := strings.Index(log, secret)
			t.Errorf("%s stands in the log: ...%s", name, log[max(0, at-200):at+len(secret)])
		}
	}
	for name, secret := range map[string]string{"the pairing code": code, "the code without its dash": strings.Replace(code, "-", "", 1), "a stranger's guess": stranger} {
		if strings.Contains(open.Log(), secret) {
			t.Errorf("%s stands in the log", name)
		}
	}
	if !strings.Contains(g.Log(), "level=DEBUG") {
		t.Error("the log is not of the debug level")
	}
}
