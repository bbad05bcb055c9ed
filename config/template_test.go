package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestTheTemplateMeansTheDefaults(t *testing.T) {
	home := "HOME=" + t.TempDir()
	defaults := mustLoad(t, Options{Environ: []string{home}})
	c := mustLoad(t, Options{
		File:    writeFile(t, t.TempDir(), FileName, Template()),
		Environ: []string{home},
	})
	c.File = ""
	if !reflect.DeepEqual(c, defaults) {
		t.Errorf("got  %+v\nwant %+v", c, defaults)
	}
}

func TestTheTemplateUncommentedIsTheDefaultsToo(t *testing.T) {
	home := "HOME=" + t.TempDir()
	uncommented := regexp.MustCompile(`(?m)^#([a-z_]+ = |\[)`).ReplaceAllString(Template(), "$1")
	want := mustLoad(t, Options{Environ: []string{home, "AGENTZERO_PROVIDERS__OPENAI__KIND=openai", "AGENTZERO_PROVIDERS__OPENAI__API_KEY=k",
		"AGENTZERO_CHANNELS__SUPPORT__KIND=github", "AGENTZERO_CHANNELS__SUPPORT__SECRET=s", "AGENTZERO_CHANNELS__SUPPORT__TOKEN=t", "AGENTZERO_CHANNELS__SUPPORT__TEXT=/message",
		"AGENTZERO_CHANNELS__SUPPORT__PROMPT={{/sender/login}} writes: {{text}}", "AGENTZERO_CHANNELS__SUPPORT__EVENTS=issues.opened,issue_comment.created"}})
	got := mustLoad(t, Options{
		File:    writeFile(t, t.TempDir(), FileName, uncommented),
		Environ: []string{home, "OPENAI_API_KEY=k", "WEBHOOK_SECRET=s", "PLATFORM_TOKEN=t"},
	})
	if changes := Diff(want, got); !changes.Empty() {
		t.Errorf("differs in %+v", changes)
	}
	for _, s := range Settings(got) {
		if !strings.HasPrefix(s.Origin, "file:") {
			t.Errorf("%s stands not in the template", s.Key)
		}
	}
}

func TestTheTemplateFitsATerminal(t *testing.T) {
	for line := range strings.Lines(Template()) {
		if len(line) > 80 {
			t.Errorf("a long line: %s", line)
		}
	}
}
