package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// answer is what a command line comes to.
type answer struct {
	code           int
	stdout, stderr string
}

// runCommand runs a command line in an environment that holds these variables
// only, HOME among them.
func runCommand(home string, environ []string, args ...string) answer {
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin:   strings.NewReader(""),
		stdout:  &stdout,
		stderr:  &stderr,
		environ: append([]string{"HOME=" + home}, environ...),
	}
	code := a.run(context.Background(), args)
	return answer{code, stdout.String(), stderr.String()}
}

func TestAWrongCommandLineIsOneSentenceAndTwo(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want string
	}{
		"an unknown command":          {"gatway", `unknown command "gatway" for "agentzero"; did you mean gateway? (see "agentzero --help")`},
		"one like no other":           {"zzz", `unknown command "zzz" for "agentzero" (see "agentzero --help")`},
		"one of a group":              {"config chek", `unknown command "chek" for "agentzero config"; did you mean check? (see "agentzero config --help")`},
		"one of the completion group": {"completion poweshell", `unknown command "poweshell" for "agentzero completion"; did you mean powershell? (see "agentzero completion --help")`},
		"one to get help about":       {"help nothing", `unknown command "nothing" for "agentzero" (see "agentzero help --help")`},
		"an unknown flag":             {"version --jason", `unknown flag: --jason (see "agentzero version --help")`},
		"a flag without value":        {"version --config", `flag needs an argument: --config (see "agentzero version --help")`},
		"a wrong value of a flag":     {"version --json=maybe", `invalid argument "maybe" for "--json" flag: strconv.ParseBool: parsing "maybe": invalid syntax (see "agentzero version --help")`},
		"an argument too many":        {"config check a b", `accepts at most 1 arg(s), received 2 (see "agentzero config check --help")`},
		"an argument where none is":   {"version x", `unknown command "x" for "agentzero version" (see "agentzero version --help")`},
		"two names of one file":       {"config check x.toml --config y.toml", `give the file as an argument or as --config, not both (see "agentzero config check --help")`},
	} {
		t.Run(name, func(t *testing.T) {
			got := runCommand(t.TempDir(), nil, strings.Fields(c.line)...)
			if want := (answer{exitUsage, "", "agentzero: " + c.want + "\n"}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestHelpSucceedsOnStdout(t *testing.T) {
	for _, line := range []string{"", "--help", "help", "config", "config --help", "help config", "help config init", "completion"} {
		got := runCommand(t.TempDir(), nil, strings.Fields(line)...)
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "Usage:\n  agentzero") {
			t.Errorf("%q: got %+v", line, got)
		}
	}
}

func TestCompletionsHaveDescriptions(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"of commands":           {[]string{"ver"}, "version\tPrint the version of this program\n:4\n"},
		"of a group":            {[]string{"config", "ch"}, "check\tCheck the configuration and report every error\n:4\n"},
		"of flags":              {[]string{"config", "init", "--f"}, "--force\treplace a file that exists\n:4\n"},
		"of --config":           {[]string{"--config", ""}, "toml\n:8\n"},
		"of --data-dir":         {[]string{"--data-dir", ""}, ":16\n"},
		"of a file":             {[]string{"config", "check", ""}, "toml\n:8\n"},
		"of help":               {[]string{"help", "config", "sh"}, "show\tPrint every value and where it came from\n"},
		"of what is no command": {[]string{"bogus", ""}, ":4\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runCommand(t.TempDir(), nil, append([]string{"__complete"}, c.args...)...)
			if got.code != exitOK || !strings.Contains(got.stdout, c.want) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := runCommand(t.TempDir(), nil, "completion", shell); got.code != exitOK || !strings.Contains(got.stdout, "agentzero") {
			t.Errorf("%s: got %+v", shell, got)
		}
	}
}
