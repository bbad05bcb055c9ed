package service

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWordsAreQuotedForTheirReaders(t *testing.T) {
	for text, want := range map[string]string{
		"/usr/bin/agentzero": `/usr/bin/agentzero`,
		"a b":                `"a b"`,
		"100%":               `100%%`,
		"$HOME":              `$$HOME`,
		`say "x" \`:          `"say \"x\" \\"`,
		"":                   `""`,
	} {
		if got, err := systemdCommand([]string{text}); err != nil || got != want {
			t.Errorf("systemd: %q is %s, want %s (%v)", text, got, want, err)
		}
	}
	if _, err := systemdCommand([]string{"a\nExecStartPre=/bin/rm"}); err == nil {
		t.Error("a line end can stand in a unit")
	}
	if _, err := openRCScript(Program{Path: "/x", DataDir: "/a\nreboot"}); err == nil {
		t.Error("a line end can stand in a script")
	}
}

func FuzzShellQuote(f *testing.F) {
	for _, s := range []string{"", "a b", "it's", "$(reboot)", "`x`", `\`, "\"", "*", "-n", "~"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("skipped, no sh on this system")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || len(s) > 4096 {
			return
		}
		out, err := exec.Command(sh, "-c", "printf %s_ "+shellQuote(s)).Output()
		if err != nil || string(out) != s+"_" {
			t.Errorf("%q is quoted as %s, and read as %q (%v)", s, shellQuote(s), out, err)
		}
	})
}

func TestAPlanIsCarriedOutInItsOrder(t *testing.T) {
	dir := t.TempDir()
	path, seen := filepath.Join(dir, "sub", "unit"), filepath.Join(dir, "seen")
	plan := Plan{
		Write:  []File{{path, "text\n", 0o644}},
		Run:    [][]string{{"cp", path, seen}},
		Remove: []string{path, path},
		After:  [][]string{{"test", "!", "-e", path}},
	}
	for range 2 { // twice is safe
		if err := Apply(t.Context(), plan, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(seen); err != nil || string(got) != "text\n" {
		t.Errorf("%q, %v", got, err)
	}
	shown := plan.String()
	for _, part := range []string{"# write " + path, "cp " + path, "rm -f " + path} {
		if !strings.Contains(shown, part) {
			t.Errorf("it does not show %q:\n%s", part, shown)
		}
	}
	var exit *ExitError
	failing := Plan{Run: [][]string{{"sh", "-c", "echo why >&2; exit 3"}}}
	if err := Apply(t.Context(), failing, io.Discard); !errors.As(err, &exit) || exit.Code != 3 || exit.Said != "why" {
		t.Errorf("%v", err)
	}
	failing.LetFail = true
	if err := Apply(t.Context(), failing, io.Discard); err != nil {
		t.Errorf("%v", err)
	}
}
