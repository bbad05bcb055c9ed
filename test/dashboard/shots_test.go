package dashboard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// shotsEnv names a folder into which the tests put a picture of each view.
const shotsEnv = "AGENTZERO_TEST_SHOTS"

// shoot takes pictures of the view as it stands, light and dark, wide and narrow.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv(shotsEnv)
	if dir == "" {
		return
	}
	for _, form := range []struct {
		name          string
		width, height int64
	}{{"", 1200, 800}, {"-phone", 375, 740}} {
		for _, scheme := range []string{"light", "dark"} {
			var picture []byte
			b.run("picture", b.scheme(scheme), emulation.SetDeviceMetricsOverride(form.width, form.height, 1, false),
				chromedp.Evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 120)))", nil, awaited), chromedp.CaptureScreenshot(&picture))
			if err := os.WriteFile(filepath.Join(dir, name+form.name+"-"+scheme+".png"), picture, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.run("back", emulation.SetDeviceMetricsOverride(1200, 800, 1, false))
}

// scheme has the page drawn as a person likes it who prefers light or dark.
func (b *tab) scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

// TestPictures takes pictures of each view, of a gateway that has something to do.
func TestPictures(t *testing.T) {
	if os.Getenv(shotsEnv) == "" {
		t.Skipf("%s is not set", shotsEnv)
	}
	up := upstream.New(t)
	up.Set("small", upstream.Script{Deltas: []string{niceAnswer[:200], niceAnswer[200:]}})
	up.Set("large", upstream.Script{Deltas: upstream.Count(900), Interval: 18 * time.Millisecond, Wait: 120 * time.Millisecond})
	up.Set("broken", upstream.Script{Fault: upstream.FaultStatus, Status: 500})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "small", Config: "[channels.builds]\nkind = \"generic\"\nmax_tries = 1\n"})
	g.Token(t)
	g.Do(t, "POST", "/v1/webhook/builds", `{"message":"Build 1207 of main is broken: summarize why, and who should look at it."}`)
	g.Do(t, "POST", "/v1/webhook/builds", `{"message":"Build 1208 of main is well again."}`)
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			time.Sleep(time.Duration(i) * 3 * time.Second) // for the picture's sake
			for _, model := range []string{"large", "broken", "large"}[i%2:] {
				body := fmt.Sprintf(`{"model":%q,"stream":true,"messages":[{"role":"user","content":"Count, please"}]}`, model)
				g.Do(t, "POST", "/v1/chat/completions", body, fmt.Sprintf("X-Session-Id: count-%d", i))
			}
		})
	}
	b := signedIn(t, g)
	b.say("What is an actor?")
	b.sees("2 tokens", ".status")
	b.shoot("chat")
	time.Sleep(20 * time.Second) // for the picture's sake
	for _, view := range []string{"activity", "sessions", "channels", "channels/builds", "providers", "connect"} {
		b.eval("location.hash = '#/"+view+"'", nil)
		b.wait("document.querySelector('h1')", "the view is there")
		time.Sleep(2 * time.Second)
		b.shoot(strings.ReplaceAll(view, "/", "-"))
	}
	b.write("#name", "laptop")
	b.click("button", "Make")
	b.sees("copy it now")
	b.shoot("connect-made")
	b.eval("location.hash = '#/sessions/default/count-1'", nil)
	b.sees("live")
	b.shoot("watch")
	work.Wait()
	b.click("button", "Sign out")
	b.sees("Pairing code")
	b.shoot("pair")
}
