package transport

import (
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"regexp"
	"strings"
	"testing"
)

// loaded is the dashboard, made as a request makes it.
func loaded(t *testing.T) *dashboard {
	t.Helper()
	d := new(dashboard)
	d.load(true)
	return d
}

func TestTheDashboardIsServedWithAStrictPolicy(t *testing.T) {
	r := newRig(t)
	page := r.ask("GET", "/", "", "Authorization:")
	if page.StatusCode != 200 || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%s: %s", page.Status, page.body)
	}
	policy := page.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy has no %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows what is unsafe: %s", policy)
	}
	if regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=`).MatchString(page.body) {
		t.Error("the page holds script or style of its own, which the policy forbids")
	}
	if !strings.Contains(page.body, `data-pairing="required"`) {
		t.Error("the page is not told that it needs a token")
	}
	script := regexp.MustCompile(`src="([^"]+app\.js)"`).FindStringSubmatch(page.body)
	if script == nil {
		t.Fatal("the page loads no app.js")
	}
	got := r.ask("GET", "/"+script[1], "", "Authorization:")
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		!strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s %v", got.Status, got.Header)
	}
	packed := r.ask("GET", "/"+script[1], "", "Authorization:", "Accept-Encoding: br, gzip")
	unpacked, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v", packed.Header, err)
	}
	if text, err := io.ReadAll(unpacked); err != nil || string(text) != got.body {
		t.Errorf("packed it is another text, %v", err)
	}
	for _, address := range []string{"/dashboard/0000000000000000/app.js", path.Dir("/"+script[1]) + "/none.js", path.Dir("/"+script[1]) + "/index.html", path.Dir("/"+script[1]) + "/vendor/README.md"} {
		if got := r.ask("GET", address, "", "Authorization:"); got.StatusCode != 404 {
			t.Errorf("%s is answered %s", address, got.Status)
		}
	}
}

func TestTheDashboardKnowsWhereNoTokenIsNeeded(t *testing.T) {
	r := newRig(t, func(s *settings) { s.RequirePairing = false })
	if page := r.ask("GET", "/", "", "Authorization:"); !strings.Contains(page.body, `data-pairing="none"`) {
		t.Error(page.body)
	}
}

func TestTheFilesOfTheDashboardAreAllThere(t *testing.T) {
	d := loaded(t)
	imports := regexp.MustCompile(`(?:from\s*|import\s*|import\(|URL\()['"](\./[^'"]+|\.\./[^'"]+)['"]`)
	for name, f := range d.files {
		if strings.HasSuffix(name, ".js") {
			for _, m := range imports.FindAllSubmatch(f.plain, -1) {
				if target := path.Join(path.Dir(name), string(m[1])); target != path.Dir(name) && d.files[target] == nil {
					t.Errorf("%s asks for %s, which is not there", name, target)
				}
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="dashboard/[0-9a-f]{16}/([^"]+)"`).FindAllSubmatch(d.files[dashboardIndex].plain, -1) {
		if d.files[string(m[1])] == nil {
			t.Errorf("the page asks for %s, which is not there", m[1])
		}
	}
}

func TestTheDashboardIsLight(t *testing.T) {
	const limit = 150 << 10
	total := 0
	for _, f := range loaded(t).files {
		total += len(f.gzipped)
	}
	t.Logf("%d bytes compressed", total)
	if total > limit {
		t.Errorf("the dashboard weighs %d bytes compressed, more than %d", total, limit)
	}
}

func TestOnlyTheSanitizerMakesElementsOfText(t *testing.T) {
	for name, f := range loaded(t).files {
		if strings.HasPrefix(name, "vendor/") || !strings.HasSuffix(name, ".js") {
			continue
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "dangerouslySet"} {
			if bytes.Contains(f.plain, []byte(bad)) {
				t.Errorf("%s uses %s", name, bad)
			}
		}
	}
}
