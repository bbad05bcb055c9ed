package config

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadTOML loads a file of this content with these variables; HOME is where the
// file is.
func loadTOML(t *testing.T, content string, environ ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	return Load(Options{
		File:    writeFile(t, dir, FileName, content),
		Environ: append([]string{"HOME=" + dir}, environ...),
	})
}

func mustLoad(t *testing.T, o Options) *Config {
	t.Helper()
	c, err := Load(o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAStrongerSourceWins(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, FileName, "[gateway]\nhost = \"::1\"\nport = 2\n\n[log]\nlevel = \"warn\"\n")
	flag := Override{Key: "gateway.port", Value: "4", Flag: "--port"}
	for _, step := range []struct {
		name    string
		options Options
		port    int
		origin  string
	}{
		{"the default alone", Options{}, 42617, "default"},
		{"the file over the default", Options{File: file}, 2, "file:" + file + ":3"},
		{"the environment over the file", Options{File: file, Environ: []string{"AGENTZERO_GATEWAY__PORT=3"}}, 3, "env:AGENTZERO_GATEWAY__PORT"},
		{"a flag over the environment", Options{File: file, Environ: []string{"AGENTZERO_GATEWAY__PORT=3"}, Overrides: []Override{flag}}, 4, "flag:--port"},
		{"the last of two flags", Options{Overrides: []Override{flag, {Key: "gateway.port", Value: "5", Flag: "--listen"}}}, 5, "flag:--listen"},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.options.Environ = append([]string{"HOME=" + dir + "/none"}, step.options.Environ...)
			c := mustLoad(t, step.options)
			if c.Gateway.Port != step.port {
				t.Errorf("port is %d, want %d", c.Gateway.Port, step.port)
			}
			if got := c.Origin("gateway.port").String(); got != step.origin {
				t.Errorf("origin is %s, want %s", got, step.origin)
			}
			if step.options.File != "" && c.Gateway.Host != "::1" {
				t.Errorf("host is %s: an override took other keys along", c.Gateway.Host)
			}
		})
	}
}

func TestTheFileIsFoundInOrder(t *testing.T) {
	home, work, dataDir := t.TempDir(), t.TempDir(), t.TempDir()
	t.Chdir(work)
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, ".agentzero"), 0o700); err != nil {
		t.Fatal(err)
	}
	// From the last resort to the first; each later file hides the ones before.
	o := Options{Environ: []string{"HOME=" + home}}
	expect := func(step, want string) {
		t.Helper()
		if got := mustLoad(t, o).File; got != want {
			t.Errorf("%s: read %q, want %q", step, got, want)
		}
	}
	expect("nothing there", "")
	expect("in the default data directory", writeFile(t, filepath.Join(home, ".agentzero"), FileName, ""))
	inDataDir := writeFile(t, dataDir, FileName, "")
	o.Environ = append(o.Environ, "AGENTZERO_DATA_DIR="+dataDir)
	expect("in AGENTZERO_DATA_DIR", inDataDir)
	o.DataDir = filepath.Join(home, ".agentzero")
	expect("in --data-dir", filepath.Join(home, ".agentzero", FileName))
	expect("in the working directory", writeFile(t, work, FileName, ""))
	inEnviron := writeFile(t, home, "environ.toml", "")
	o.Environ = append(o.Environ, "AGENTZERO_CONFIG=~/environ.toml")
	expect("named by AGENTZERO_CONFIG", inEnviron)
	named := writeFile(t, work, "named.toml", "")
	o.File = "named.toml"
	expect("named by --config", named)
}

func TestAFileThatIsNamedMustBeThere(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.toml")
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"by --config", Options{File: missing}, "--config: the configuration file " + missing + " does not exist"},
		{"by AGENTZERO_CONFIG", Options{Environ: []string{"AGENTZERO_CONFIG=" + missing}}, "AGENTZERO_CONFIG: the configuration file " + missing + " does not exist"},
		{"and be no directory", Options{File: dir}, "--config: the configuration file " + dir + " is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Environ = append([]string{"HOME=" + dir}, c.o.Environ...)
			if _, err := Load(c.o); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheDataDirectory(t *testing.T) {
	home, etc := t.TempDir(), t.TempDir()
	file := writeFile(t, etc, FileName, "data_dir = \"state\"\n")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want, origin string
		o                  Options
	}{
		{"is in the home directory", home + "/.agentzero", "default", Options{}},
		{"of the file starts where the file is", etc + "/state", "file:" + file + ":1", Options{File: file}},
		{"of the environment is stronger", home + "/x", "env:AGENTZERO_DATA_DIR", Options{File: file, Environ: []string{"AGENTZERO_DATA_DIR=~/x"}}},
		{"of an empty variable does not count", etc + "/state", "file:" + file + ":1", Options{File: file, Environ: []string{"AGENTZERO_DATA_DIR="}}},
		{"of the flag is stronger still", here + "/y", "flag:--data-dir", Options{File: file, DataDir: "y", Environ: []string{"AGENTZERO_DATA_DIR=~/x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Environ = append([]string{"HOME=" + home}, c.o.Environ...)
			got := mustLoad(t, c.o)
			if got.DataDir != c.want || got.Origin("data_dir").String() != c.origin {
				t.Errorf("got %s from %s, want %s from %s", got.DataDir, got.Origin("data_dir"), c.want, c.origin)
			}
		})
	}
	t.Run("needs a home or a name", func(t *testing.T) {
		_, err := Load(Options{Environ: []string{}})
		want := "data_dir: no home directory is known: set --data-dir, AGENTZERO_DATA_DIR or data_dir to an absolute path"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestAWholeFile(t *testing.T) {
	c, err := loadTOML(t, `
data_dir = "/var/lib/agentzero"
gateway.node_control = { allowed_node_ids = ["a", "b"] }
gateway.port = 0x1F90

[agent]
provider = "my-server"

[providers.my-server]
kind = "openai"
base_url = "http://127.0.0.1:8080/v1/"
connect_timeout = 3
headers.X-Team = "env:TEAM"
[providers.claude]
kind = "anthropic"
[providers.claude.headers]
"anthropic-beta" = "a, b"
[providers.local]
kind = "ollama"

[sessions]
turn_timeout = 0
log_window_bytes = "64 kib"
[log]
level = "debug"
`, "TEAM=blue", "AGENTZERO_PROVIDERS__MY_SERVER__MAX_RETRIES=0", "AGENTZERO_PROVIDERS__CLAUDE__API_KEY=k")
	if err != nil {
		t.Fatal(err)
	}
	my, claude := c.Providers["my-server"], c.Providers["claude"]
	for what, ok := range map[string]bool{
		"data_dir":                 c.DataDir == "/var/lib/agentzero",
		"an inline table":          slices.Equal(c.Gateway.NodeControl.AllowedNodeIDs, []string{"a", "b"}),
		"a hexadecimal integer":    c.Gateway.Port == 8080,
		"an untouched default":     c.Gateway.ReadTimeout == 30*time.Second,
		"a URL's trailing slash":   my.BaseURL == "http://127.0.0.1:8080/v1",
		"whole seconds":            my.ConnectTimeout == 3*time.Second,
		"a provider's default":     my.FirstByteTimeout == 2*time.Minute && my.IncludeUsage,
		"a dotted header":          my.Headers["X-Team"].Reveal() == "blue",
		"a variable for a dash":    my.MaxRetries == 0,
		"a table of headers":       claude.Headers["anthropic-beta"].Reveal() == "a, b",
		"a key of the environment": claude.APIKey.Reveal() == "k",
		"anthropic's base_url":     claude.BaseURL == "https://api.anthropic.com",
		"ollama's base_url":        c.Providers["local"].BaseURL == "http://127.0.0.1:11434",
		"no turn_timeout":          c.Sessions.TurnTimeout == 0,
		"a size with a unit":       c.Sessions.LogWindowBytes == 64<<10,
		"three providers":          len(c.Providers) == 3,
	} {
		if !ok {
			t.Errorf("%s was not read as it should", what)
		}
	}
}

func TestProvidersOfTheEnvironmentAlone(t *testing.T) {
	c, err := loadTOML(t, "",
		"AGENTZERO_AGENT__PROVIDER=mock",
		"AGENTZERO_PROVIDERS__MOCK__KIND=openai",
		"AGENTZERO_PROVIDERS__MOCK__HEADERS=X-One=1, X-Two=env:TWO",
		"AGENTZERO_PROVIDERS__A__B__KIND=ollama",
		"TWO=2")
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(c.Providers)); !slices.Equal(names, []string{"a__b", "mock"}) {
		t.Errorf("providers are %q", names)
	}
	h := c.Providers["mock"].Headers
	if len(h) != 2 || h["X-One"].Reveal() != "1" || h["X-Two"].Reveal() != "2" {
		t.Errorf("headers were not read")
	}
}

func TestOtherVariablesAreLeftAlone(t *testing.T) {
	// The first are what container platforms make of services' names.
	_, err := loadTOML(t, "", "AGENTZERO_PORT=tcp://10.0.0.1:80", "AGENTZERO_GATEWAY_SERVICE_HOST=x",
		"AGENTZERO=1", "AGENTZEROX__Y=1", "agentzero_gateway__port=x", "no equals sign")
	if err != nil {
		t.Error(err)
	}
}

func TestAnOverriddenValueNeedNotResolve(t *testing.T) {
	const file = "[providers.p]\nkind = \"openai\"\napi_key = \"env:NOT_SET\"\n"
	c, err := loadTOML(t, file, "AGENTZERO_PROVIDERS__P__API_KEY=k")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Providers["p"].APIKey.Reveal(); got != "k" {
		t.Errorf("the key is %q", got)
	}
	// But its form counts: the file is wrong with or without the variable.
	if _, err := loadTOML(t, "[gateway]\nport = true\n", "AGENTZERO_GATEWAY__PORT=1"); err == nil {
		t.Error("a wrong value that is overridden was accepted")
	}
}

func TestAFileWithAByteOrderMarkAndWindowsLines(t *testing.T) {
	c, err := loadTOML(t, "\xef\xbb\xbf[gateway]\r\nport = 1\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Origin("gateway.port"); got.Line != 2 {
		t.Errorf("the line is %d", got.Line)
	}
}

func TestTheFixedToken(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, dir, "token", "t0ken\n")
	c := mustLoad(t, Options{Environ: []string{"HOME=" + dir, "AGENTZERO_GATEWAY_BEARER_TOKEN=file:" + path}})
	if c.Gateway.BearerToken.Reveal() != "t0ken" {
		t.Error("the token was not read from its file")
	}
	if got, want := c.Origin(BearerTokenKey).String(), "env:AGENTZERO_GATEWAY_BEARER_TOKEN via file:"+path; got != want {
		t.Errorf("origin is %s, want %s", got, want)
	}
	c = mustLoad(t, Options{Environ: []string{"HOME=" + dir, "AGENTZERO_GATEWAY_BEARER_TOKEN="}})
	if c.Gateway.BearerToken.IsSet() {
		t.Error("an empty variable set the token")
	}
}

func TestInitPath(t *testing.T) {
	home := t.TempDir()
	environ := []string{"HOME=" + home}
	for _, c := range []struct {
		name          string
		o             Options
		path, dataDir string
	}{
		{"the data directory", Options{Environ: environ}, home + "/.agentzero/agentzero.toml", home + "/.agentzero"},
		{"--data-dir", Options{DataDir: home, Environ: environ}, home + "/agentzero.toml", home},
		{"--config", Options{File: home + "/x.toml", Environ: environ}, home + "/x.toml", ""},
		{"AGENTZERO_CONFIG", Options{Environ: append(environ, "AGENTZERO_CONFIG=~/y.toml")}, home + "/y.toml", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, dataDir, err := InitPath(c.o)
			if err != nil || path != c.path || dataDir != c.dataDir {
				t.Errorf("got %q, %q, %v, want %q, %q", path, dataDir, err, c.path, c.dataDir)
			}
		})
	}
	if _, _, err := InitPath(Options{Environ: []string{}}); err == nil {
		t.Error("no home is no error")
	}
}

func TestTheProcessEnvironmentIsTheDefault(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AGENTZERO_GATEWAY__PORT", "7")
	if c := mustLoad(t, Options{}); c.Gateway.Port != 7 {
		t.Errorf("port is %d", c.Gateway.Port)
	}
}

func TestAddressAndLoopback(t *testing.T) {
	for host, want := range map[string]struct {
		address  string
		loopback bool
	}{
		"127.0.0.1":        {"127.0.0.1:80", true},
		"127.9.9.9":        {"127.9.9.9:80", true},
		"::1":              {"[::1]:80", true},
		"::ffff:127.0.0.1": {"[::ffff:127.0.0.1]:80", true},
		"localhost":        {"localhost:80", true},
		"0.0.0.0":          {"0.0.0.0:80", false},
		"::":               {"[::]:80", false},
		"192.168.1.2":      {"192.168.1.2:80", false},
		"localhost.me":     {"localhost.me:80", false},
	} {
		g := Gateway{Host: host, Port: 80}
		if g.Address() != want.address || g.Loopback() != want.loopback {
			t.Errorf("%s: got %s, loopback %t", host, g.Address(), g.Loopback())
		}
	}
}

func TestErrorsUnwrapToEachFault(t *testing.T) {
	_, err := loadTOML(t, "[gateway]\nport = 1.5\nhots = 1\n")
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("got %v", err)
	}
	var first *Error
	if !errors.As(err, &first) || first.Key != "gateway.port" || first.Origin.Line != 2 || first.Column != 8 {
		t.Errorf("the first fault is %+v", first)
	}
	if strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not one line for each: %q", err)
	}
}
