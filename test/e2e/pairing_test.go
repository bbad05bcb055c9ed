package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

var codeForm = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// codeOf waits for the pairing code that the gateway prints.
func codeOf(t testing.TB, g *gateway.Gateway) string {
	t.Helper()
	g.WaitOutput(t, "one-time code")
	return codeForm.FindString(g.Output())
}

// pair tries a code without a token.
func pair(t testing.TB, g *gateway.Gateway, code string) (*http.Response, string) {
	t.Helper()
	var headers []string
	if code != "" {
		headers = append(headers, "X-Pairing-Code: "+code)
	}
	return sendAs(t, g, "", "POST", "/pair", "", headers...).whole()
}

// pings tells the status of a request that needs a token.
func pings(t testing.TB, g *gateway.Gateway, token string) int {
	t.Helper()
	resp, _ := sendAs(t, g, token, "POST", "/v1/ping", "").whole()
	return resp.StatusCode
}

func TestAPairingCodeIsGoodOnce(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	code := codeOf(t, g)
	if resp, body := pair(t, g, ""); resp.StatusCode != http.StatusUnauthorized || failureOf(t, body).Code != "auth_required" {
		t.Errorf("without a code: %s: %s", resp.Status, body)
	}
	if resp, body := pair(t, g, "ZZZZ-ZZZZ"); resp.StatusCode != http.StatusForbidden || failureOf(t, body).Code != "auth_failed" {
		t.Errorf("with a wrong code: %s: %s", resp.Status, body)
	}
	resp, body := pair(t, g, strings.ToLower(code))
	var answer struct {
		Paired bool
		Token  string
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusOK || !answer.Paired || len(answer.Token) < 43 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	if resp, body := pair(t, g, code); resp.StatusCode != http.StatusForbidden || failureOf(t, body).Code != "auth_failed" {
		t.Errorf("with the code for the second time: %s: %s", resp.Status, body)
	}
	if got := pings(t, g, answer.Token); got != http.StatusOK {
		t.Errorf("the token's status is %d", got)
	}
	resp, body = sendAs(t, g, "", "POST", "/v1/ping", "").whole()
	if f := failureOf(t, body); resp.StatusCode != http.StatusUnauthorized || f.Code != "auth_required" || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %s, %v: %s", resp.Status, resp.Header, body)
	}
	resp, body = sendAs(t, g, "nonsense", "POST", "/v1/ping", "").whole()
	if f := failureOf(t, body); resp.StatusCode != http.StatusForbidden || f.Code != "auth_failed" {
		t.Errorf("with a wrong token: %s: %s", resp.Status, body)
	}
}

func TestFiveWrongCodesLockPairing(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	code := codeOf(t, g)
	for i := range 5 {
		if resp, body := pair(t, g, "ZZZZ-ZZZZ"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("wrong code %d: %s: %s", i+1, resp.Status, body)
		}
	}
	for _, tried := range []string{"ZZZZ-ZZZZ", code} {
		resp, body := pair(t, g, tried)
		wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if f := failureOf(t, body); resp.StatusCode != http.StatusTooManyRequests || f.Code != "rate_limited" || err != nil || wait < 1 {
			t.Errorf("after five wrong codes: %s, Retry-After %q: %s", resp.Status, resp.Header.Get("Retry-After"), body)
		}
	}
}

func TestLaterStartsTellWhoIsPairedAndNewPairingStartsOver(t *testing.T) {
	first := gateway.Start(t, gateway.Options{})
	token := first.Token(t)
	first.Stop(t)

	second := gateway.Start(t, gateway.Options{DataDir: first.DataDir})
	second.WaitOutput(t, "1 client is paired")
	second.UseToken(token)
	if got := pings(t, second, token); got != http.StatusOK {
		t.Errorf("after a restart the token's status is %d", got)
	}
	if out := second.Output(); codeForm.MatchString(out) || !strings.Contains(out, "--new-pairing") {
		t.Errorf("the later start printed a code, or not how to pair another:\n%s", out)
	}
	second.Stop(t)

	third := gateway.Start(t, gateway.Options{DataDir: first.DataDir, Args: []string{"--new-pairing"}})
	if got := pings(t, third, token); got != http.StatusForbidden {
		t.Errorf("after --new-pairing the old token's status is %d", got)
	}
	if got := pings(t, third, third.Token(t)); got != http.StatusOK {
		t.Errorf("the status of the token of the fresh code is %d", got)
	}
}

func TestARevokedTokenEndsWhatItHasOpenAtOnce(t *testing.T) {
	up := upstream.New(t)
	never := make(chan struct{})
	for _, m := range []string{"stream", "socket", "whole"} {
		up.Set(m, upstream.Script{Deltas: upstream.Count(4), Gate: never, GateAfter: 2})
	}
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "stream", Config: "[sessions]\ndisconnect_grace = \"0s\"\n"})
	g.Token(t)
	token := tokenOf(t, g, "laptop", "default", "chat")

	streamed := sendAs(t, g, token, "POST", "/v1/chat/completions", chat("stream", "x", true))
	streamed.read(2)
	ws := connectAs(t, g, token, "session=s")
	ws.ask("socket", "x")
	up.WaitSent(t, "socket", 2)
	whole := sendAs(t, g, token, "POST", "/v1/chat/completions", chat("whole", "x", false))
	up.Wait(t, "whole", "the call", func(l []upstream.Request) bool { return len(l) == 1 })
	createSession(t, g, "s2")
	watcher := sendAs(t, g, token, "GET", "/v1/sessions/s2/events", "")
	watcher.answer()

	if r := gateway.Command(t, nil, "token", "revoke", "laptop", "--data-dir", g.DataDir); r.Code != 0 {
		t.Fatalf("token revoke: exit %d: %s", r.Code, r.Stderr)
	}
	if s := streamed.read(0); s.done || s.failure == nil || s.failure.Code != "auth_failed" {
		t.Errorf("the stream ended with %+v", s)
	}
	if _, last := ws.hearTurn(); last.Type != "error" || last.Code != "auth_failed" {
		t.Errorf("the WebSocket heard %+v", last)
	}
	if f, err := ws.hear(); err == nil {
		t.Errorf("the WebSocket goes on with %+v", f)
	}
	if resp, body := whole.whole(); resp.StatusCode != http.StatusForbidden || failureOf(t, body).Code != "auth_failed" {
		t.Errorf("the call that waits for its answer: %s: %s", resp.Status, body)
	}
	if e, err := watcher.next(); err == nil && !strings.Contains(e.data, "auth_failed") {
		t.Errorf("the watcher was told %+v", e)
	}
	for _, model := range []string{"stream", "socket", "whole"} {
		up.WaitHungUp(t, model)
	}
	if got := pings(t, g, token); got != http.StatusForbidden {
		t.Errorf("the revoked token's status is %d", got)
	}
}

func TestAFixedTokenOfTheEnvironmentIsGood(t *testing.T) {
	const token = "a-fixed-token-of-a-script-0123456789"
	g := gateway.Start(t, gateway.Options{Env: []string{"AGENTZERO_GATEWAY_BEARER_TOKEN=" + token}})
	if got := pings(t, g, token); got != http.StatusOK {
		t.Errorf("its status is %d", got)
	}
	if got := pings(t, g, token+"x"); got != http.StatusForbidden {
		t.Errorf("another token's status is %d", got)
	}
}

func TestWithoutPairingEverybodyOnTheMachineIsIn(t *testing.T) {
	g := gateway.Start(t, gateway.Options{Config: "[gateway]\nrequire_pairing = false\n"})
	if got := pings(t, g, ""); got != http.StatusOK {
		t.Errorf("the status without a token is %d", got)
	}
	resp, body := sendAs(t, g, "", "POST", "/api/chat", `{"message":"hello"}`).whole()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", resp.Status, body)
	}
	// But no page of another site, whatever name it uses.
	resp, body = sendAs(t, g, "", "POST", "/api/chat", `{"message":"hello"}`, "Origin: http://evil.example").whole()
	if resp.StatusCode != http.StatusForbidden || failureOf(t, body).Code != "origin_denied" {
		t.Errorf("from another site: %s: %s", resp.Status, body)
	}
}
