package dashboard

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

func TestActivityIsDrawnFromOneStream(t *testing.T) {
	g, next := counting(t, 5)
	b := signedIn(t, g)
	b.say("Count")
	b.answer(next(3))
	before := b.asked()
	b.eval("location.hash = '#/activity'", nil)
	b.wait("document.querySelectorAll('.plot path.line').length === 8", "the plots are drawn")
	b.wait("[...document.querySelectorAll('.facts dd')][0].innerText === '1'", "one turn runs")
	// The deltas were said before anybody watched.
	b.wait("/[1-9]/.test(document.querySelector('.plot path.line').getAttribute('d'))", "the deltas are in the plot")
	g.Do(t, "GET", "/v1/sessions/none", "")
	b.sees("not_found", ".plot")
	b.wait("(window.seen ??= document.querySelector('.plot path.line').getAttribute('d')) !== document.querySelector('.plot path.line').getAttribute('d')", "the plots move")
	if n := b.asked() - before; n > 2 {
		t.Errorf("the view asked %d times; it is drawn from one stream", n)
	}
	next(5)
}

func TestASessionIsWatchedCancelledAndDeleted(t *testing.T) {
	g, next := counting(t, 9)
	b := signedIn(t, g)
	b.eval("location.hash = '#/sessions'", nil)
	b.sees("No sessions yet")
	// Another client, of another owner, begins one.
	_, made := g.Do(t, "POST", "/v1/tokens", `{"name":"ops","owner":"ops","scopes":["chat"]}`)
	secret := made[strings.Index(made, `"token":"`)+len(`"token":"`):]
	secret = secret[:strings.Index(secret, `"`)]
	resp, body := g.Do(t, "POST", "/v1/sessions/night-shift/messages", `{"content":"Count"}`, "Authorization: Bearer "+secret)
	if resp.StatusCode != 202 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	b.sees("night-shift", "tbody")
	b.sees("answering", "tbody")
	b.sees("ops", "tbody")
	b.click("tbody a", "night-shift")
	for i := 1; i <= 3; i++ {
		b.answer(next(i))
	}
	b.sees("live", ".badge")
	b.click("button", "Cancel all")
	b.sees("What was said is kept", ".status")
	b.eval("history.back()", nil)
	b.sees("idle", "tbody")
	b.click("tbody button", "Delete")
	b.click("tbody button", "Yes")
	b.sees("No sessions yet")
	if resp, _ := g.Do(t, "GET", "/v1/sessions/night-shift", "", "Authorization: Bearer "+secret); resp.StatusCode != 404 {
		t.Errorf("the session is still there: %s", resp.Status)
	}
}

func TestDeliveriesAreShownAndReplayed(t *testing.T) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Fault: upstream.FaultStatus, Status: 400, ErrorMessage: "The upstream is not well."})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Config: "[channels.builds]\nkind = \"generic\"\nmax_tries = 1\n"})
	b := signedIn(t, g)
	b.eval("location.hash = '#/channels'", nil)
	b.sees("builds")
	resp, body := g.Do(t, "POST", "/v1/webhook/builds", `{"message":"Build 7 broke"}`)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	b.sees("1 dead", ".badge")
	b.click("a", "builds")
	b.sees("Build 7 broke", "tbody")
	b.sees("The upstream is not well", "tbody")
	b.sees("failed", "tbody .badge")
	up.Set("m", upstream.Script{Deltas: []string{"It was ", "the linker."}})
	b.click("tbody button", "Replay")
	b.sees("1 begun anew")
	b.sees("answered", "tbody .badge")
	b.click("tbody summary", "Build 7 broke")
	b.sees("It was the linker.", ".whole")
}

func TestProvidersTellHowTheyDo(t *testing.T) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Deltas: []string{"x"}})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Config: "[providers.gone]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\nmax_retries = 0\n"})
	b := signedIn(t, g)
	b.eval("location.hash = '#/providers'", nil)
	b.sees("answers", "section[aria-label=mock] .badge")
	b.sees("default", "section[aria-label=mock] .badge")
	b.sees("failing", "section[aria-label=gone] .badge")
	b.sees("Start the server, or correct its address", "section[aria-label=gone]")
	up.Down()
	b.click("button", "Ask again")
	b.sees("failing", "section[aria-label=mock] .badge")
	up.Up(t)
	b.click("button", "Ask again")
	b.sees("answers", "section[aria-label=mock] .badge")
}

// The snippets that need nothing but a shell are run as they stand.
func TestSnippetsRunAsTheyStand(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl on PATH")
	}
	_ = curl
	g := gateway.Start(t, gateway.Options{})
	b := signedIn(t, g)
	b.eval("location.hash = '#/connect'", nil)
	b.write("#name", "laptop")
	b.click("button", "Make")
	b.sees("copy it now")
	run := func(want string) {
		t.Helper()
		text := b.text("#snippet pre")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", text).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s\nanswered %s, %v", text, out, err)
		}
	}
	run("data: [DONE]")
	for _, client := range []string{"Python", "JavaScript", "Go", "WebSocket"} {
		b.click("[role=tab]", client)
		b.sees(strings.TrimPrefix(g.URL, "http://"), "#snippet pre")
	}
	// What runs in a browser runs in this one.
	var code, said string
	b.eval("document.querySelector('#snippet pre').innerText", &code)
	b.eval(fmt.Sprintf("window.said = ''; { const console = { log: (s) => { window.said += s }, error: (s) => { window.said += 'error ' + s } }; %s }; ''", code), &said)
	b.wait("window.said.length > 10 && !window.said.includes('error')", "the WebSocket's snippet is answered")
	b.write("#name", "hooks")
	b.eval("document.querySelector('#scope').value = 'webhook'; document.querySelector('#scope').dispatchEvent(new Event('change'))", nil)
	b.click("button", "Make")
	b.sees("hooks", ".secret")
	b.click("[role=tab]", "Webhook")
	run(`"message"`)
}

func TestErrorsAreToldInWordsWithARemedy(t *testing.T) {
	t.Run("no agent is configured", func(t *testing.T) {
		g := gateway.Start(t, gateway.Options{Upstream: "http://127.0.0.1:1/v1", Env: []string{"AGENTZERO_AGENT__PROVIDER="}, Config: ""})
		b := signedIn(t, g)
		b.refused()
		b.say("Hello")
		b.sees("No agent answers here yet", ".turn [role=alert]")
		b.sees("agent.provider", ".turn [role=alert]")
	})
	t.Run("the upstream is down", func(t *testing.T) {
		up := upstream.New(t)
		up.Set("m", upstream.Script{Deltas: []string{"fine"}})
		g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
		b := signedIn(t, g)
		b.refused()
		b.sees("Default model")
		up.Down()
		b.say("Hello")
		b.sees("The model’s server failed", ".turn [role=alert]")
		b.sees("Check that it runs", ".turn [role=alert]")
		up.Up(t)
		b.click(".turn button", "Send again")
		b.answer("fine")
		if n := strings.Count(b.text(".bubble"), "Hello"); n != 1 {
			t.Errorf("the message stands there %d times", n)
		}
	})
	t.Run("too many requests", func(t *testing.T) {
		up := upstream.New(t)
		up.Set("m", upstream.Script{Deltas: []string{"fine"}})
		g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Config: "[gateway]\nrate_limit_max = 40\nrate_limit_window_secs = 600\n"})
		b := signedIn(t, g)
		b.refused()
		b.sees("Default model")
		for range 60 {
			g.Do(t, "GET", "/v1/sessions", "")
		}
		b.say("Hello")
		b.sees("Too many requests", "[role=alert]")
		b.sees("Try again in", "[role=alert]")
	})
}

func TestThePageIsLightAndQuick(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	g.Token(t)
	b := signedIn(t, g)
	b.mu.Lock()
	b.bytes, b.requests = 0, 0
	b.mu.Unlock()
	b.run("forget what is kept", clearCache())
	began := time.Now()
	b.reload()
	b.wait("document.querySelector('#message')", "the page can be used")
	t.Logf("usable %v after the reload, with %.0f bytes in %d requests", time.Since(began).Round(time.Millisecond), b.weight(), b.asked())
	if b.weight() > 150<<10 {
		t.Errorf("the page weighs %.0f bytes", b.weight())
	}
}
