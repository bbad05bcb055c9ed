package dashboard

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// niceAnswer uses most of what answers are made of.
const niceAnswer = "An actor is a small thing that owns its state and does **one thing at a time**. Three rules:\n\n" +
	"1. It has a mailbox; messages are taken in order.\n2. Nobody else touches its state.\n3. It may make other actors.\n\n" +
	"```go\nfunc (c *Counter) Receive(ctx actor.Context) {\n\tswitch m := ctx.Message().(type) {\n\tcase *Add:\n\t\tc.sum += m.N\n\t}\n}\n```\n\n" +
	"| door | session |\n|---|---|\n| `/v1/chat/completions` | by header |\n| `/ws/chat` | by query |\n\n> Both reach the same mailbox.\n"

// model is a conversation with a model that says what the test wants.
type model struct {
	*tab
	up *upstream.Server
}

func newModel(t *testing.T) *model {
	t.Helper()
	up := upstream.New(t)
	return &model{signedIn(t, gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})), up}
}

// answers begins a conversation in which the model says a text, and waits until it
// is drawn.
func (m *model) answers(t *testing.T, text string) {
	t.Helper()
	m.t = t
	half := len(text) / 2
	for half > 0 && !utf8.RuneStart(text[half]) {
		half--
	}
	m.up.Set("m", upstream.Script{Deltas: []string{text[:half], text[half:]}})
	m.eval("location.hash = '#/chat/new'", nil)
	m.sees("Ask something")
	m.say("What is an actor?")
	m.wait("document.querySelector('.turn[data-state=done] .prose[data-drawn=all]')", "the answer is whole and drawn")
}

// A model may say anything, to harm the page or who reads it.
func TestHostileMarkdownDoesNoHarm(t *testing.T) {
	b := newModel(t)
	const rlo, pdi = "\u202e", "\u2069"
	for _, c := range []struct {
		name, answer string
		shows        []string // on the page, as text
	}{
		{"script", "before <script>window.harmed = 1</script> after", []string{"<script>window.harmed = 1</script>", "after"}},
		{"handlers", `<img src=x onerror="window.harmed=1"> <svg onload="window.harmed=1"><a href="javascript:window.harmed=1">x</a>`, []string{"onerror"}},
		{"blocks of HTML", "<div onclick='window.harmed=1'>\n\n**bold** <iframe srcdoc='<script>parent.harmed=1</script>'></iframe>\n\n</div><style>*{display:none}</style>", []string{"bold", "iframe", "<style>"}},
		{"links", "[a](javascript:window.harmed=1) [b](data:text/html,<script>parent.harmed=1</script>) [c](vbscript:x) [d](JaVa&#115;cript:window.harmed=1) [e](//evil.example/x) [f](https://good.example/)", []string{"a", "f"}},
		{"images of other hosts", "![tracker](https://evil.example/pixel.png) and ![](http://evil.example/2.png \"t\")", []string{"tracker"}},
		{"attributes in code", "```js\" onmouseover=\"window.harmed=1\nlet x\n```", []string{"let x"}},
		{"forms", `<form action="https://evil.example"><input name=token><button>Sign in again</button></form>`, []string{"<form"}},
		{"names that clobber", `<a id="app" name="cookie">x</a> [x](https://good.example/ "y")`, []string{"x"}},
		{"overrides of direction", "safe" + rlo + "gpj.exe" + pdi + " `a" + rlo + "b`", []string{"⟦U+202E⟧", "⟦U+2069⟧"}},
		{"control characters", "a\x1b[31mb\x00c\u0085d", []string{"a\ufffd[31mb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.answers(t, c.answer)
			for _, text := range c.shows {
				b.sees(text, ".prose")
			}
			var found string
			b.eval(`[...document.querySelectorAll('.prose *')].filter((e) =>
				!/^(A|BLOCKQUOTE|BR|BUTTON|CODE|DEL|DIV|EM|H[1-6]|HR|LI|OL|P|PRE|SPAN|STRONG|TABLE|TBODY|TD|TH|THEAD|TR|UL)$/.test(e.tagName) ||
				[...e.attributes].some((a) => a.name.startsWith('on') || a.name === 'id' || a.name === 'name' || a.name === 'style' ||
					(a.name === 'href' && !/^(https?:\/\/|mailto:)/i.test(a.value)))).map((e) => e.outerHTML).join('\n')`, &found)
			if found != "" {
				t.Errorf("the page holds %s", found)
			}
			// Clicks on all that can be clicked harm nobody.
			b.eval(`document.querySelectorAll('.prose a[href]').forEach((a) => { a.addEventListener('click', (e) => e.preventDefault()); a.click(); })`, nil)
			var harmed bool
			if b.eval("window.harmed === 1", &harmed); harmed {
				t.Error("a script of the model ran")
			}
		})
	}
}

func TestALinkOpensElsewhereAndTellsNothing(t *testing.T) {
	b := newModel(t)
	b.answers(t, "See [the docs](https://good.example/docs) please.")
	var link string
	b.eval("(({ href, target, rel }) => [href, target, rel].join(' '))(document.querySelector('.prose a'))", &link)
	if link != "https://good.example/docs _blank noopener noreferrer nofollow" {
		t.Errorf("the link is %q", link)
	}
}

func TestBrokenUTF8IsShownAsSuch(t *testing.T) {
	up := upstream.New(t)
	// Half of a surrogate pair, which JSON can say and no text can hold.
	up.Set("m", upstream.Script{Choices: []json.RawMessage{
		json.RawMessage(`[{"index":0,"delta":{"role":"assistant","content":"a\ud83d"},"finish_reason":null}]`),
		json.RawMessage(`[{"index":0,"delta":{"content":" b \udc00 c"},"finish_reason":null}]`),
	}})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m"})
	b := signedIn(t, g)
	b.say("x")
	b.sees("c", ".prose")
	b.wait("document.querySelector('.turn').dataset.state === 'done'", "the answer is over")
	b.reload()
	b.sees("c", ".prose")
}

func TestTextsMadeToStopThePageDoNot(t *testing.T) {
	b := newModel(t)
	for name, answer := range map[string]string{
		"a huge table":         "|a|b|\n|-|-|\n" + strings.Repeat("|x|y|\n", 8000),
		"a wide table":         strings.Repeat("|a", 1500) + "|\n" + strings.Repeat("|-", 1500) + "|\n" + strings.Repeat(strings.Repeat("|x", 1500)+"|\n", 8),
		"deep quotes":          strings.Repeat("> ", 3000) + "deep",
		"brackets":             strings.Repeat("[", 20000) + strings.Repeat("](", 10000),
		"emphasis":             strings.Repeat("*a **b ", 8000),
		"backticks":            strings.Repeat("`a``b```c", 6000),
		"deep lists":           strings.Repeat("- ", 4000) + "deep",
		"a megabyte of text":   strings.Repeat("word ", 200_000),
		"one word without end": strings.Repeat("x", 55_000),
	} {
		t.Run(name, func(t *testing.T) {
			b.answers(t, answer)
			// The page still answers a person at once.
			b.write("#message", "still here")
			var wide bool
			if b.eval("document.documentElement.scrollWidth > innerWidth", &wide); wide {
				t.Error("the page scrolls sideways")
			}
			b.click(".menu a", "Connect")
			b.sees("Make a token")
		})
	}
}

func TestACodeBlockIsCopied(t *testing.T) {
	b := newModel(t)
	b.answers(t, "```sh\necho hello\n```\n")
	b.eval("window.copied = ''; Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (s) => { window.copied = s } } })", nil)
	b.click(".code button", "Copy")
	b.sees("Copied", ".code button")
	b.wait("window.copied === 'echo hello\\n'", "the code is on the clipboard")
}
