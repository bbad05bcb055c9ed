package dashboard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/upstream"
)

// eachView shows every view with something in it, one after another.
func eachView(t *testing.T, visit func(t *testing.T, b *tab)) {
	up := upstream.New(t)
	up.Set("m", upstream.Script{Deltas: []string{niceAnswer}})
	up.Set("bad", upstream.Script{Fault: upstream.FaultStatus, Status: 500})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Config: "[channels.builds]\nkind = \"generic\"\nmax_tries = 1\n"})
	b := signedIn(t, g)
	b.refused()
	b.say("What is an actor?")
	b.wait("document.querySelector('.prose[data-drawn=all] table')", "the answer is drawn")
	g.Do(t, "POST", "/v1/webhook/builds?wait=10", `{"message":"Build 7 broke, and this is a rather long text of why it broke"}`)
	for _, view := range []struct{ name, hash, shows string }{
		{"chat", "", "Both reach the same mailbox"},
		{"new chat", "#/chat/new", "Ask something"},
		{"activity", "#/activity", "Deltas a second"},
		{"sessions", "#/sessions", "Last activity"},
		{"one session", "#/sessions/default/none", "is not there"},
		{"channels", "#/channels", "builds"},
		{"deliveries", "#/channels/builds", "Build 7 broke"},
		{"providers", "#/providers", "mock"},
		{"connect", "#/connect", "this browser"},
	} {
		t.Run(view.name, func(t *testing.T) {
			b.t = t
			if view.hash != "" {
				b.eval(fmt.Sprintf("localStorage.removeItem('agentzero.session'); location.hash = %q", view.hash), nil)
			}
			b.wait(fmt.Sprintf("document.body.textContent.includes(%q)", view.shows), "the view is there")
			visit(t, b)
		})
	}
	t.Run("pairing", func(t *testing.T) {
		b.click("button", "Sign out")
		b.write("#code", "0000-0000")
		b.click("button", "Pair this browser")
		b.sees("No code is open now", "[role=alert]")
		visit(t, b)
	})
}

func TestEveryViewFitsAPhone(t *testing.T) {
	eachView(t, func(t *testing.T, b *tab) {
		for _, width := range []int64{320, 375} {
			b.run("narrow", emulation.SetDeviceMetricsOverride(width, 640, 2, true))
			var over string
			b.eval(`(() => {
				if (document.documentElement.scrollWidth > innerWidth) return 'the page is ' + document.documentElement.scrollWidth + ' wide';
				const view = document.querySelector('.page, .talk, .watch');
				return view && view.scrollWidth > view.clientWidth ? 'the view is ' + view.scrollWidth + ' wide' : '';
			})()`, &over)
			if over != "" {
				t.Errorf("at a width of %d %s", width, over)
			}
		}
	})
}

func TestEveryViewHasADarkForm(t *testing.T) {
	b := open(t, gateway.Start(t, gateway.Options{}))
	colours := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		b.run(scheme, b.scheme(scheme))
		var colour string
		b.eval("getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color", &colour)
		colours[scheme] = colour
	}
	if colours["light"] == colours["dark"] || colours["light"] != "rgb(246, 247, 249)rgb(27, 31, 42)" {
		t.Errorf("%v", colours)
	}
}

// What axe-core calls serious or critical must not be there: contrast, names,
// roles, focus.
func TestEveryViewIsAccessible(t *testing.T) {
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	axe, err := os.ReadFile(part.File(t, "axe-core", filepath.Join(root, "test/conformance/js/node_modules/axe-core/axe.min.js")))
	if err != nil {
		t.Fatal(err)
	}
	eachView(t, func(t *testing.T, b *tab) {
		b.eval(string(axe)+";''", nil)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1200, 375} {
				b.run(scheme, b.scheme(scheme), emulation.SetDeviceMetricsOverride(width, 800, 1, false))
				var faults []struct {
					ID, Impact, Help string
					Nodes            []struct{ HTML string }
				}
				var raw []byte
				b.run("axe", chromedp.Evaluate(`axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical'))`, &raw, awaited))
				if err := json.Unmarshal(raw, &faults); err != nil {
					t.Fatalf("%v in %s", err, raw)
				}
				for _, f := range faults {
					t.Errorf("%s, %d wide: %s (%s): %s, at %.300s", scheme, width, f.ID, f.Impact, f.Help, f.Nodes[0].HTML)
				}
			}
		}
	})
}

// A person without a mouse signs in, asks and stops.
func TestTheKeyboardIsEnough(t *testing.T) {
	g, next := counting(t, 4)
	b := open(t, g)
	b.sees("Pairing code")
	b.run("pair by keys", chromedp.Focus("#code", chromedp.ByQuery), chromedp.KeyEvent(g.Code(t)+"\r"))
	b.wait("document.activeElement?.id === 'message'", "the message's field has the focus")
	b.run("ask by keys", chromedp.KeyEvent("Count\r"))
	b.answer(next(2))
	b.wait("document.activeElement?.id === 'message'", "the focus has stayed")
	b.wait("document.querySelector('button.stop')", "there is a stop button")
	for range 5 {
		b.run("tab", chromedp.KeyEvent("\t"))
		var there bool
		if b.eval("document.activeElement.classList.contains('stop')", &there); there {
			break
		}
	}
	b.run("press", chromedp.KeyEvent("\r"))
	b.sees("What was said is kept", ".status")
}
