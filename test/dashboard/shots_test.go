package dashboard

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
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

// TestPictures takes pictures of what no other test shows well.
func TestPictures(t *testing.T) {
	if os.Getenv(shotsEnv) == "" {
		t.Skipf("%s is not set", shotsEnv)
	}
	g, b := conversationOf(t, niceAnswer)
	_ = g
	b.shoot("chat")
	b.click("button", "Sign out")
	b.sees("Pairing code")
	b.shoot("pair")
}
