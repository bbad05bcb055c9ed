package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"agentzero/test/gateway"
)

// tab is a page in a browser. When its test ends, it fails the test for each
// error on its console and each request to another host.
type tab struct {
	t    *testing.T
	ctx  context.Context
	host string

	profile cdp.BrowserContextID

	mu       sync.Mutex
	faults   []string
	refusals bool // answers that say no are part of the test
	requests int
	bytes    float64 // of the bodies, as they came over the wire
}

// open shows the dashboard of a gateway in a fresh profile.
func open(t *testing.T, g *gateway.Gateway) *tab {
	t.Helper()
	ctx := startBrowser(t)
	commands := cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
	profile, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(commands)
	if err != nil {
		t.Fatalf("make a profile: %v", err)
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(profile).Do(commands) }) // the browser ends soon after
	return newTab(t, profile, g.URL)
}

// another opens a second tab of the same profile at the same address.
func (b *tab) another() *tab {
	b.t.Helper()
	return newTab(b.t, b.profile, b.address())
}

// signedIn opens the dashboard with the token of the first paired device.
func signedIn(t *testing.T, g *gateway.Gateway) *tab {
	t.Helper()
	b := open(t, g)
	b.eval(fmt.Sprintf("localStorage.setItem('agentzero.token', %q)", g.Token(t)), nil)
	b.reload()
	b.wait("document.querySelector('.shell')", "the page is signed in")
	return b
}

func newTab(t *testing.T, profile cdp.BrowserContextID, address string) *tab {
	t.Helper()
	whole := startBrowser(t)
	// A window of its own: a tab in the background is not drawn.
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).
		Do(cdp.WithExecutor(whole, chromedp.FromContext(whole).Browser))
	if err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := chromedp.NewContext(whole, chromedp.WithTargetID(id))
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{t: t, ctx: ctx, profile: profile, host: u.Host}
	chromedp.ListenTarget(ctx, b.hear)
	t.Cleanup(func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
	})
	b.run("open the page", log.Enable(), network.Enable(), emulation.SetDeviceMetricsOverride(1200, 800, 1, false), chromedp.Navigate(address))
	return b
}

// hear notes what must not be.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests++
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != b.host && u.Scheme != "data" && u.Scheme != "blob" {
			b.faults = append(b.faults, "the page asked another host: "+e.Request.URL)
		}
		if strings.Contains(e.Request.URL, "az_") {
			b.faults = append(b.faults, "there is a token in an address: "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "the page threw: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			text, _ := json.Marshal(e.Args)
			b.faults = append(b.faults, "the page wrote on its console: "+string(text))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level != log.LevelError && e.Entry.Level != log.LevelWarning || b.refusals && e.Entry.Source == log.SourceNetwork {
			return
		}
		b.faults = append(b.faults, fmt.Sprintf("the browser wrote on the console: %s (%s)", e.Entry.Text, e.Entry.URL))
	}
}

// refused tells that the test lets requests fail, which a browser writes on its
// console.
func (b *tab) refused() { b.mu.Lock(); b.refusals = true; b.mu.Unlock() }

func (b *tab) run(what string, actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// A tab is made by the first Run, and must outlive its time limit.
	if chromedp.FromContext(b.ctx).Target == nil {
		if err := chromedp.Run(b.ctx); err != nil {
			b.t.Fatalf("%s: %v", what, err)
		}
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.html())
	}
}

func (b *tab) reload() {
	b.t.Helper()
	b.run("reload", chromedp.Reload())
}

func (b *tab) eval(js string, result any) {
	b.t.Helper()
	if result == nil {
		result = new(any)
	}
	b.run(js, chromedp.Evaluate(js, result))
}

// wait polls until an expression is true.
func (b *tab) wait(js, what string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(15 * time.Millisecond) {
		var ok bool
		if err := chromedp.Run(b.ctx, chromedp.Evaluate("Boolean("+js+")", &ok)); err == nil && ok {
			return
		} else if time.Now().After(end) {
			b.t.Fatalf("it never came to be that %s (%v)\n%s", what, err, b.html())
		}
	}
}

func (b *tab) html() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	var text string
	_ = chromedp.Run(ctx, chromedp.Evaluate("document.body.innerText", &text)) // for a message only
	return text
}

// sees waits for a text on the page, or in the elements of a selector.
func (b *tab) sees(text string, selector ...string) {
	b.t.Helper()
	where := "body"
	if len(selector) > 0 {
		where = selector[0]
	}
	b.wait(fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))", where, text), fmt.Sprintf("%q shows %q", where, text))
}

// gone waits until a text is nowhere on the page.
func (b *tab) gone(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("!document.body.innerText.includes(%q)", text), fmt.Sprintf("%q is gone", text))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	var text string
	b.eval(fmt.Sprintf("[...document.querySelectorAll(%q)].map((e) => e.innerText).join('\\n')", selector), &text)
	return text
}

func (b *tab) address() string {
	b.t.Helper()
	var address string
	b.eval("location.href", &address)
	return address
}

// click clicks the first element of a selector that shows a text.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	find := fmt.Sprintf("[...document.querySelectorAll(%q)].find((e) => !e.disabled && (e.innerText || e.textContent).includes(%q))", selector, text)
	b.wait(find, fmt.Sprintf("there is a %s with %q", selector, text))
	b.eval(find+".click()", nil)
}

// write puts a text in a field as keys would.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.run("write in "+selector, chromedp.Focus(selector, chromedp.ByQuery), chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// say sends a message in the chat.
func (b *tab) say(text string) {
	b.t.Helper()
	b.wait("document.querySelector('#message')", "there is a field for a message")
	b.write("#message", text)
	b.run("send", chromedp.SendKeys("#message", "\r", chromedp.ByQuery))
}

// answer waits until the last answer is exactly a text, and over or not.
func (b *tab) answer(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("[...document.querySelectorAll('.prose')].at(-1)?.innerText.trim() === %q", strings.TrimSpace(text)), fmt.Sprintf("the last answer is %.60q", text))
}

// awaited has an evaluation wait for a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// asked is how many requests the page has made.
func (b *tab) asked() int { b.mu.Lock(); defer b.mu.Unlock(); return b.requests }

// weight is what came over the wire, in bytes.
func (b *tab) weight() float64 { b.mu.Lock(); defer b.mu.Unlock(); return b.bytes }

func clearCache() chromedp.Action { return network.ClearBrowserCache() }
