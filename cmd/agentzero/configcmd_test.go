package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentzero/config"
)

func TestConfigInitWritesWhereTheGatewayLooks(t *testing.T) {
	for name, c := range map[string]struct {
		environ, args []string
		want          string // below the home directory
	}{
		"the default":               {nil, nil, ".agentzero/agentzero.toml"},
		"in AGENTZERO_DATA_DIR":     {[]string{"AGENTZERO_DATA_DIR=~/state"}, nil, "state/agentzero.toml"},
		"in --data-dir":             {nil, []string{"--data-dir", "~/other"}, "other/agentzero.toml"},
		"named by AGENTZERO_CONFIG": {[]string{"AGENTZERO_CONFIG=~/e.toml"}, nil, "e.toml"},
		"named by --config":         {nil, []string{"--config", "~/c.toml"}, "c.toml"},
		"named as argument":         {nil, []string{"~/a.toml"}, "a.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			path := filepath.Join(home, c.want)
			got := runCommand(home, c.environ, append([]string{"config", "init"}, c.args...)...)
			if want := (answer{exitOK, path + "\n", ""}); got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
			written, err := os.ReadFile(path)
			if err != nil || string(written) != config.Template() {
				t.Errorf("the file holds %q, %v", written, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file has mode %v, %v", info.Mode(), err)
			}
			got = runCommand(home, c.environ, append([]string{"config", "check"}, c.args...)...)
			if want := (answer{exitOK, "ok: " + path + "\n", ""}); got != want {
				t.Errorf("check: got %+v, want %+v", got, want)
			}
		})
	}
}

func TestConfigInitReplacesNothingUnlessForced(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "x.toml")
	if err := os.WriteFile(path, []byte("# mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := runCommand(home, nil, "config", "init", path)
	if want := (answer{exitFailure, "", "agentzero: " + path + " exists already: use --force to replace it\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != "# mine\n" {
		t.Errorf("the file holds %q, %v", kept, err)
	}
	got = runCommand(home, nil, "config", "init", "--force", path)
	if want := (answer{exitOK, path + "\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(len(config.Template())) {
		t.Errorf("the new file is %v, %v", info, err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
		t.Errorf("something was left behind: %v, %v", left, err)
	}
}

func TestConfigInitTellsWhatItCannotDo(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no directory":             {[]string{home + "/none/x.toml"}, "cannot write the configuration: open " + home + "/none/x.toml: no such file or directory"},
		"no directory, forced":     {[]string{home + "/none/x.toml", "--force"}, "no such file or directory"},
		"a directory, forced":      {[]string{home, "--force"}, "cannot write the configuration: "},
		"a file as directory":      {[]string{"--data-dir", file}, "the data directory " + file + " is not a directory"},
		"an argument of no length": {[]string{""}, "the path of the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runCommand(home, nil, append([]string{"config", "init"}, c.args...)...)
			if got.code == exitOK || got.stdout != "" || !strings.HasPrefix(got.stderr, "agentzero: ") || !strings.Contains(got.stderr, c.want) {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 1 {
		t.Errorf("something was left behind: %v, %v", left, err)
	}
}

func TestConfigInitWarnsOfADirectoryOthersCanWriteTo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	got := runCommand(dir, nil, "config", "init", "--data-dir", dir)
	if got.code != exitOK || !strings.HasPrefix(got.stderr, "agentzero: warning: other users can write to the data directory "+dir) {
		t.Errorf("got %+v", got)
	}
}

func TestConfigCheck(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "x.toml")
	for name, c := range map[string]struct {
		file string
		args []string
		want answer
	}{
		"no file": {"", nil, answer{exitOK, "ok: no configuration file, the defaults and the environment are used\n", ""}},
		"one error": {"[gateway]\nprot = 1\n", []string{path},
			answer{exitFailure, "", "agentzero: " + path + ":2:1: gateway.prot: unknown key; did you mean gateway.port?\n"}},
		"all errors, one a line": {"[gateway]\nprot = 1\nport = -1\n", []string{"--config", path},
			answer{exitFailure, "", "agentzero: the configuration has 2 errors:\n" +
				path + ":2:1: gateway.prot: unknown key; did you mean gateway.port?\n" +
				path + ":3:8: gateway.port: got -1, want an integer from 0 to 65535\n"}},
		"a missing file": {"", []string{home + "/none.toml"},
			answer{exitFailure, "", "agentzero: --config: the configuration file " + home + "/none.toml does not exist\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := runCommand(home, nil, append([]string{"config", "check"}, c.args...)...); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestConfigShow(t *testing.T) {
	home := t.TempDir()
	environ := []string{"AGENTZERO_GATEWAY__PORT=8080", "AGENTZERO_PROVIDERS__P__KIND=openai", "AGENTZERO_PROVIDERS__P__API_KEY=hush"}

	got := runCommand(home, environ, "config", "show")
	for _, want := range []string{
		"# no file\n",
		"port = 8080                  # env:AGENTZERO_GATEWAY__PORT\n",
		"api_key = \"***\"",
	} {
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, want) {
			t.Errorf("got %+v, want %s", got, want)
		}
	}

	asJSON := runCommand(home, environ, "config", "show", "--json")
	var shown struct {
		File     string
		Settings []config.Setting
	}
	if err := json.Unmarshal([]byte(asJSON.stdout), &shown); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range shown.Settings {
		found = found || s.Key == "gateway.port" && s.Value == float64(8080) && s.Origin == "env:AGENTZERO_GATEWAY__PORT"
	}
	if !found || shown.File != "" {
		t.Errorf("got %+v", shown)
	}

	for _, a := range []answer{got, asJSON} {
		if strings.Contains(a.stdout+a.stderr, "hush") {
			t.Errorf("a secret is shown: %+v", a)
		}
	}
	if got := runCommand(home, []string{"AGENTZERO_LOG__LEVEL=x"}, "config", "show"); got.code != exitFailure || got.stdout != "" {
		t.Errorf("got %+v", got)
	}
}
