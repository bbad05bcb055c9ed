package dashboard

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"agentzero/test/part"
)

// patience is how long a step may take. It measures nothing.
const patience = 20 * time.Second

// browser is the one Chromium of this package. Each test has a profile of its own
// in it.
var browser struct {
	once  sync.Once
	ctx   context.Context
	close func()
	err   error
}

// chromium finds Debian's Chromium, or a browser of the same kind, or skips aloud.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	part.Missing(t, "chromium", "no program of that name on PATH; run `make deps`")
	return ""
}

// startBrowser returns the context from which tabs are made.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	browser.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path),
			chromedp.Flag("disable-dev-shm-usage", true), // it is small in containers
			chromedp.Flag("disable-gpu", true),
		)
		if os.Geteuid() == 0 {
			options = append(options, chromedp.NoSandbox)
		}
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		browser.ctx = ctx
		browser.close = func() {
			cancel()
			end()
		}
		browser.err = chromedp.Run(ctx)
	})
	if browser.err != nil {
		t.Fatalf("start Chromium: %v", browser.err)
	}
	return browser.ctx
}

func closeBrowser() {
	if browser.close != nil {
		browser.close()
	}
}
