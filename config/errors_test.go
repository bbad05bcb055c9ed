package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const (
	wantHost     = "an IP address or a host name, without scheme and port"
	wantOrigin   = `an origin such as "https://app.example.com" (scheme://host[:port], no path, not even a slash), or "*"`
	wantProxy    = `an IP address, or a network such as "10.0.0.0/8"`
	wantURL      = "an http or https URL without user, query, fragment and spaces"
	wantDuration = `a duration such as "30s" or "1m30s", or whole seconds, from `
	wantSecret   = `a string: the secret itself, "env:NAME" or "file:PATH"`
	wantKind     = `one of "openai", "anthropic", "ollama"`
	wantName     = "not a name for a provider, want 1 to 64 lower-case letters, digits, _ and -, and a letter or digit first"
)

// TestEveryFaultIsToldWithItsPlace has the whole text of each kind of error.
// FILE and DIR stand for the file's and its directory's path.
func TestEveryFaultIsToldWithItsPlace(t *testing.T) {
	const provider = "[providers.p]\nkind = \"openai\"\n"
	for _, c := range []struct {
		name    string
		file    string
		environ []string
		flags   []Override
		want    string // lines
	}{
		// The file as TOML.
		{name: "a broken line", file: "[gateway]\nport 1\n",
			want: "FILE:2:6: not valid TOML: expected '=' after key"},
		{name: "an open string", file: "[log]\nlevel = \"info\n",
			want: "FILE:2:14: not valid TOML: basic strings cannot have new lines"},
		{name: "a key given twice", file: "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
			want: "FILE:3:1: not valid TOML: key level is already defined"},
		{name: "a table given twice", file: "[log]\n[log]\n",
			want: "FILE:2:2: not valid TOML: table log already exists"},

		// Names.
		{name: "an unknown key", file: "[gateway]\n  prot = 1\n",
			want: "FILE:2:3: gateway.prot: unknown key; did you mean gateway.port?"},
		{name: "an unknown key like no other", file: "[gateway]\nflavour = 1\n",
			want: "FILE:2:1: gateway.flavour: unknown key"},
		{name: "a key in the wrong table", file: "level = \"info\"\n",
			want: "FILE:1:1: level: unknown key; did you mean log.level?"},
		{name: "a key with dashes", file: "[gateway]\nmax-body-bytes = 1\n",
			want: "FILE:2:1: gateway.max-body-bytes: unknown key; did you mean gateway.max_body_bytes?"},
		{name: "an unknown key in an inline table", file: "log = { level = \"info\", fromat = \"text\" }\n",
			want: "FILE:1:25: log.fromat: unknown key; did you mean log.format?"},
		{name: "an unknown dotted key", file: "gateway.node_control.enable = true\n",
			want: "FILE:1:22: gateway.node_control.enable: unknown key; did you mean gateway.node_control.enabled?"},
		{name: "an unknown table, once for all in it", file: "[gatway]\nport = 1\nhost = \"x\"\n",
			want: "FILE:1:2: gatway: unknown table; did you mean gateway?"},
		{name: "an unknown table in a table", file: "[gateway.nodecontrol]\n",
			want: "FILE:1:10: gateway.nodecontrol: unknown table; did you mean gateway.node_control?"},
		{name: "an unknown key of a provider", file: provider + "api-kye = \"x\"\n",
			want: "FILE:3:1: providers.p.api-kye: unknown key; did you mean providers.p.api_key?"},
		{name: "a long key is shortened", file: strings.Repeat("k", 300) + " = 1\n",
			want: "FILE:1:1: " + strings.Repeat("k", 200) + "...: unknown key"},
		{name: "a broken line with a line break in a key", file: "\"a\\nb\" = 1\n\"a\\nb\" = 1\n",
			want: "FILE:2:1: not valid TOML: key a?b is already defined"},
		{name: "a quoted key", file: "\"a b\" = 1\n",
			want: `FILE:1:1: "a b": unknown key`},
		{name: "a list of tables", file: "[[log]]\nlevel = \"info\"\n",
			want: "FILE:1:3: log: got an array of tables, want a table, written [log]"},
		{name: "a value for a table", file: "gateway = 5\n",
			want: "FILE:1:11: gateway: got 5, want a table, written [gateway]"},
		{name: "a list of providers", file: "[[providers]]\nkind = \"openai\"\n",
			want: "FILE:1:3: providers: got an array of tables, want a table, written [providers.NAME]"},
		{name: "a value for a provider", file: "providers.p = \"openai\"\n",
			want: "FILE:1:15: providers.p: got \"openai\", want a table, written [providers.p]"},
		{name: "a table for a value", file: "[gateway.port]\nx = 1\n",
			want: "FILE:1:10: gateway.port: got a table, want an integer from 0 to 65535"},

		// Types and ranges.
		{name: "a string for an integer", file: "[gateway]\nport = \"8080\"\n",
			want: "FILE:2:8: gateway.port: got \"8080\", want an integer from 0 to 65535"},
		{name: "a float for an integer", file: "[gateway]\nport = 1.5\n",
			want: "FILE:2:8: gateway.port: got 1.5, want an integer from 0 to 65535"},
		{name: "a date for an integer", file: "[gateway]\nport = 2020-01-02\n",
			want: "FILE:2:8: gateway.port: got 2020-01-02, want an integer from 0 to 65535"},
		{name: "an integer out of range", file: "[gateway]\nport = 65_536\n",
			want: "FILE:2:8: gateway.port: got 65_536, want an integer from 0 to 65535"},
		{name: "a negative integer", file: "[gateway]\nrate_limit_max = -1\n",
			want: "FILE:2:18: gateway.rate_limit_max: got -1, want an integer from 0 to 1000000"},
		{name: "a string for a boolean", file: "[gateway]\nrequire_pairing = \"yes\"\n",
			want: "FILE:2:19: gateway.require_pairing: got \"yes\", want true or false"},
		{name: "an integer for a string", file: "[agent]\nmodel = 4\n",
			want: "FILE:2:9: agent.model: got 4, want a model's name"},
		{name: "a duration without unit", file: "[gateway]\nread_timeout = \"30\"\n",
			want: "FILE:2:16: gateway.read_timeout: got \"30\", want " + wantDuration + "1ms to 1h"},
		{name: "a duration out of range", file: "[gateway]\nread_timeout = 0\n",
			want: "FILE:2:16: gateway.read_timeout: got 0, want " + wantDuration + "1ms to 1h"},
		{name: "a boolean for a duration", file: "[agent]\ndemo_delay = true\n",
			want: "FILE:2:14: agent.demo_delay: got true, want " + wantDuration + "0s to 1m"},
		{name: "a string for plain seconds", file: "[gateway]\nrate_limit_window_secs = \"60s\"\n",
			want: "FILE:2:26: gateway.rate_limit_window_secs: got \"60s\", want an integer from 1 to 86400"},
		{name: "an unknown unit", file: "[store]\nmax_bytes = \"10 Mo\"\n",
			want: "FILE:2:13: store.max_bytes: got \"10 Mo\", want a number of bytes, or a size such as \"10MiB\", from 0B to 1TiB"},
		{name: "a size out of range", file: "[gateway]\nmax_body_bytes = \"2GiB\"\n",
			want: "FILE:2:18: gateway.max_body_bytes: got \"2GiB\", want a number of bytes, or a size such as \"10MiB\", from 1KiB to 1GiB"},
		{name: "a word for another", file: "[sessions]\nbusy_policy = \"quue\"\n",
			want: `FILE:2:15: sessions.busy_policy: got "quue", want one of "queue", "reject", "interrupt", "rollback", "collect"; did you mean "queue"?`},
		{name: "a level that is none", file: "[log]\nlevel = \"loud\"\n",
			want: `FILE:2:9: log.level: got "loud", want one of "debug", "info", "warn", "error"`},
		{name: "a list for a word", file: "[log]\nformat = [\"text\"]\n",
			want: `FILE:2:10: log.format: got a list, want one of "text", "json"`},
		{name: "a long value is shortened", file: "[log]\nformat = \"" + strings.Repeat("x", 200) + "\"\n",
			want: `FILE:2:10: log.format: got "` + strings.Repeat("x", 80) + `...", want one of "text", "json"`},
		{name: "a string for a list", file: "[gateway]\nallowed_hosts = \"a\"\n",
			want: "FILE:2:17: gateway.allowed_hosts: got \"a\", want a list, each item " + wantHost},
		{name: "each wrong item of a list", file: "[gateway]\nallowed_hosts = [\"a\", 1,\n  \"https://b\", \"c:80\", []]\n",
			want: "FILE:2:17: gateway.allowed_hosts: got a list, want " + wantHost + "\n" +
				"FILE:2:23: gateway.allowed_hosts: got 1, want " + wantHost + "\n" +
				"FILE:3:3: gateway.allowed_hosts: got \"https://b\", want " + wantHost + "\n" +
				"FILE:3:16: gateway.allowed_hosts: got \"c:80\", want " + wantHost},
		{name: "an empty id", file: "[gateway.node_control]\nallowed_node_ids = [\"\"]\n",
			want: `FILE:2:21: gateway.node_control.allowed_node_ids: got "", want a node's id`},
		{name: "a mistyped address", file: "[gateway]\nhost = \"127.0.0.256\"\n",
			want: "FILE:2:8: gateway.host: got \"127.0.0.256\", want " + wantHost},
		{name: "an origin with a path", file: "[gateway]\ncors_allowed_origins = [\"https://a.b/\"]\n",
			want: "FILE:2:25: gateway.cors_allowed_origins: got \"https://a.b/\", want " + wantOrigin},
		{name: "a network that is none", file: "[gateway]\ntrusted_proxies = [\"10.0.0.0/33\"]\n",
			want: "FILE:2:20: gateway.trusted_proxies: got \"10.0.0.0/33\", want " + wantProxy},

		// Together.
		{name: "a public host", file: "[gateway]\nhost = \"0.0.0.0\"\n",
			want: `FILE:2:8: gateway.host: "0.0.0.0" can be reached from other machines, and gateway.allow_public_bind is false: set that to true if this is meant, or use 127.0.0.1`},
		{name: "a public name", file: "[gateway]\nhost = \"gw.example.com\"\n",
			want: `FILE:2:8: gateway.host: "gw.example.com" can be reached from other machines, and gateway.allow_public_bind is false: set that to true if this is meant, or use 127.0.0.1`},
		{name: "a public host without pairing", file: "[gateway]\nhost = \"::\"\nallow_public_bind = true\nrequire_pairing = false\n",
			want: `FILE:4:19: gateway.require_pairing: false is for a loopback host only, because whoever reaches "::" could use the gateway: set it to true, or gateway.host to 127.0.0.1`},
		{name: "pongs before pings", file: "[gateway]\nws_ping_interval = \"1m\"\n",
			want: "FILE:2:20: gateway.ws_pong_timeout: got 1m, want longer than gateway.ws_ping_interval, which is 1m"},
		{name: "node control", file: "[gateway.node_control]\nenabled = true\n",
			want: "FILE:2:11: gateway.node_control.enabled: true needs a token of its own: set gateway.node_control.auth_token, for example to \"env:NODE_TOKEN\""},
		{name: "a database without an address", file: "[store]\nkind = \"postgres\"\n",
			want: `FILE:2:8: store.kind: "postgres" needs a database: set store.url, for example to "env:DATABASE_URL"`},
		{name: "a model server without a port", file: "[agent]\nlocal_servers = [\"gpu\"]\n",
			want: `FILE:2:18: agent.local_servers: got "gpu", want a model server's address, such as "127.0.0.1:8080" or "http://gpu:8000"`},
		{name: "a provider where none is configured", file: "[agent]\nprovider = \"openai\"\n",
			want: `FILE:2:12: agent.provider: no provider "openai" is configured: add a table [providers.openai], or use "demo"`},
		{name: "a provider that is not configured", file: "[agent]\nprovider = \"bb\"\n[providers.aa]\nkind = \"openai\"\n[providers.b]\nkind = \"ollama\"\n",
			want: `FILE:2:12: agent.provider: no provider "bb" is configured, want "aa", "b" or "demo"; did you mean "b"?`},

		// Providers.
		{name: "a provider without kind", file: "[providers.p]\n",
			want: "FILE:1:12: providers.p.kind: is missing, want " + wantKind},
		{name: "a provider of the environment without kind", environ: []string{"AGENTZERO_PROVIDERS__P__API_KEY=k"},
			want: "AGENTZERO_PROVIDERS__P__API_KEY: providers.p.kind: is missing, want " + wantKind},
		{name: "a wrong kind is not missing too", file: "[providers.p]\nkind = \"opnai\"\n",
			want: "FILE:2:8: providers.p.kind: got \"opnai\", want " + wantKind + `; did you mean "openai"?`},
		{name: "a name that no provider can have", file: "[providers.\"My Server\"]\nkind = \"openai\"\n",
			want: `FILE:1:12: providers."My Server": ` + wantName},
		{name: "a reserved name", file: "[providers.demo]\nkind = \"openai\"\n",
			want: "FILE:1:12: providers.demo: the name is reserved, choose another"},
		{name: "a URL of another scheme", file: provider + "base_url = \"ftp://host/v1\"\n",
			want: "FILE:3:12: providers.p.base_url: got \"ftp://host/v1\", want " + wantURL},
		{name: "a URL with a space", file: provider + "base_url = \"http://host/v1 \"\n",
			want: "FILE:3:12: providers.p.base_url: got \"http://host/v1 \", want " + wantURL},
		{name: "a URL with a password", file: provider + "base_url = \"https://me:pa55@host\"\n",
			want: "FILE:3:12: providers.p.base_url: got a string, want " + wantURL + " (credentials belong in api_key or headers)"},

		// Secrets.
		{name: "a secret's variable that is missing", file: provider + "api_key = \"env:NOT_SET\"\n",
			want: "FILE:3:11: providers.p.api_key: the environment variable NOT_SET is not set"},
		{name: "a secret's variable that is empty", file: provider + "api_key = \"env:EMPTY\"\n", environ: []string{"EMPTY="},
			want: "FILE:3:11: providers.p.api_key: the environment variable EMPTY is empty"},
		{name: "a secret's variable without name", file: provider + "api_key = \"env:\"\n",
			want: `FILE:3:11: providers.p.api_key: "env:" needs the name of a variable: letters, digits and _`},
		{name: "a secret where a variable's name should be", file: provider + "api_key = \"env:sk-s3cret\"\n",
			want: `FILE:3:11: providers.p.api_key: "env:" needs the name of a variable: letters, digits and _`},
		{name: "a secret's file that is missing", file: provider + "api_key = \"file:none\"\n",
			want: "FILE:3:11: providers.p.api_key: cannot read the secret's file DIR/none: no such file or directory"},
		{name: "a secret's file that is a directory", file: provider + "api_key = \"file:.\"\n",
			want: "FILE:3:11: providers.p.api_key: cannot read the secret's file DIR: not a regular file"},
		{name: "a secret's file without name", file: provider + "api_key = \"file:\"\n",
			want: `FILE:3:11: providers.p.api_key: "file:" needs a path`},
		{name: "a secret that is no string", file: provider + "api_key = 12345\n",
			want: "FILE:3:11: providers.p.api_key: got an integer, want " + wantSecret},
		{name: "a secret of two lines", file: provider + "api_key = \"a\\nb\"\n",
			want: "FILE:3:11: providers.p.api_key: the secret must be one line without control characters"},
		{name: "wrong headers", file: provider + "headers = { \"a b\" = \"s3cret\", Connection = \"s3cret\", X = \"1\", x = \"2\", Y = 3 }\n",
			want: "FILE:3:13: providers.p.headers: header \"a b\" is not a name of a header\n" +
				"FILE:3:31: providers.p.headers: header \"Connection\" belongs to the connection and cannot be set\n" +
				"FILE:3:63: providers.p.headers: header \"x\" is given twice\n" +
				"FILE:3:76: providers.p.headers: header \"Y\": got an integer, want " + wantSecret},
		{name: "headers that are no table", file: provider + "headers = \"X: s3cret\"\n",
			want: "FILE:3:11: providers.p.headers: got a string, want a table of header names and strings"},

		// The environment and flags.
		{name: "a variable of the wrong type", environ: []string{"AGENTZERO_GATEWAY__PORT=http"},
			want: "AGENTZERO_GATEWAY__PORT: gateway.port: got \"http\", want an integer from 0 to 65535"},
		{name: "a variable that is empty", environ: []string{"AGENTZERO_GATEWAY__PORT="},
			want: "AGENTZERO_GATEWAY__PORT: gateway.port: got \"\", want an integer from 0 to 65535"},
		{name: "a hexadecimal variable", environ: []string{"AGENTZERO_GATEWAY__PORT=0x50"},
			want: "AGENTZERO_GATEWAY__PORT: gateway.port: got \"0x50\", want an integer from 0 to 65535"},
		{name: "a variable of headers", environ: []string{"AGENTZERO_PROVIDERS__P__HEADERS=X:s3cret", "AGENTZERO_PROVIDERS__P__KIND=openai"},
			want: "AGENTZERO_PROVIDERS__P__HEADERS: providers.p.headers: got a value, want a table of header names and strings"},
		{name: "an unknown variable", environ: []string{"AGENTZERO_GATEWAY__PROT=1"},
			want: "AGENTZERO_GATEWAY__PROT: names no key; did you mean AGENTZERO_GATEWAY__PORT?"},
		{name: "an unknown variable like no other", environ: []string{"AGENTZERO_WHAT__EVER=1"},
			want: "AGENTZERO_WHAT__EVER: names no key"},
		{name: "a variable in lower case", environ: []string{"AGENTZERO_gateway__port=1"},
			want: "AGENTZERO_gateway__port: names no key; did you mean AGENTZERO_GATEWAY__PORT?"},
		{name: "an unknown variable of a provider", environ: []string{"AGENTZERO_PROVIDERS__P__APIKEY=1"},
			want: "AGENTZERO_PROVIDERS__P__APIKEY: names no key; did you mean AGENTZERO_PROVIDERS__P__API_KEY?"},
		{name: "a variable of a provider without key", environ: []string{"AGENTZERO_PROVIDERS__P=1"},
			want: "AGENTZERO_PROVIDERS__P: names no key"},
		{name: "a variable of a reserved name", environ: []string{"AGENTZERO_PROVIDERS__DEMO__KIND=openai"},
			want: "AGENTZERO_PROVIDERS__DEMO__KIND: providers.demo: the name is reserved, choose another"},
		{name: "an unfit fixed token", environ: []string{"AGENTZERO_GATEWAY_BEARER_TOKEN=a b"},
			want: "AGENTZERO_GATEWAY_BEARER_TOKEN: the token must be visible ASCII without spaces, because it travels in a header"},
		{name: "a flag of the wrong type", flags: []Override{{Key: "gateway.port", Value: "x", Flag: "--port"}},
			want: "--port: gateway.port: got \"x\", want an integer from 0 to 65535"},
		{name: "a flag for a key that is none", flags: []Override{{Key: "gateway.prot", Value: "1", Flag: "--port"}},
			want: "--port: gateway.prot: unknown key; did you mean gateway.port?"},
		{name: "a flag for a name that is none", flags: []Override{{Key: "providers.Demo.kind", Value: "openai", Flag: "--kind"}},
			want: "--kind: providers.Demo.kind: " + wantName},
		{name: "an empty data directory", file: "data_dir = \"\"\n",
			want: `FILE:1:12: data_dir: got "", want the path of a directory`},

		// All at once.
		{name: "faults of all sources, in their order",
			file:    "[log]\nlevel = 1\n[gateway]\nhost = \"0.0.0.0\"\nport = -1\n",
			environ: []string{"AGENTZERO_STORE__MAX_SESSIONS=-1", "AGENTZERO_LOG__FORMAT=xml"},
			flags:   []Override{{Key: "gateway.keep_alive", Value: "0", Flag: "--keep-alive"}},
			want: `FILE:2:9: log.level: got 1, want one of "debug", "info", "warn", "error"` + "\n" +
				`FILE:4:8: gateway.host: "0.0.0.0" can be reached from other machines, and gateway.allow_public_bind is false: set that to true if this is meant, or use 127.0.0.1` + "\n" +
				"FILE:5:8: gateway.port: got -1, want an integer from 0 to 65535\n" +
				`AGENTZERO_LOG__FORMAT: log.format: got "xml", want one of "text", "json"` + "\n" +
				"AGENTZERO_STORE__MAX_SESSIONS: store.max_sessions: got \"-1\", want an integer from 0 to 100000000\n" +
				"--keep-alive: gateway.keep_alive: got \"0\", want " + wantDuration + "1ms to 1h"},
		{name: "a variable that names no key hides no other fault",
			file: "[gateway.node_control]\nenabled = true\n", environ: []string{"AGENTZERO_WHAT__EVER=1"},
			want: "FILE:2:11: gateway.node_control.enabled: true needs a token of its own: set gateway.node_control.auth_token, for example to \"env:NODE_TOKEN\"\n" +
				"AGENTZERO_WHAT__EVER: names no key"},
		{name: "a broken file hides no fault of the environment, and makes none",
			file: "[\n", environ: []string{"AGENTZERO_GATEWAY__PORT=x", "AGENTZERO_AGENT__PROVIDER=p"},
			want: "FILE:1:2: not valid TOML: invalid character at start of key: U+000A\n" +
				"AGENTZERO_GATEWAY__PORT: gateway.port: got \"x\", want an integer from 0 to 65535"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := writeFile(t, dir, FileName, c.file)
			_, err := Load(Options{File: file, Environ: append([]string{"HOME=" + dir}, c.environ...), Overrides: c.flags})
			if err == nil {
				t.Fatal("no error")
			}
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "FILE", file), "DIR", dir)
			if err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Error("the error tells a secret")
			}
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	for name, line := range map[string]string{
		"unknown keys":           "unknown%d = 1\n",
		"providers without kind": "[providers.p%d]\n",
	} {
		t.Run(name, func(t *testing.T) {
			const count = 2000
			var file strings.Builder
			for i := range count {
				fmt.Fprintf(&file, line, i)
			}
			_, err := loadTOML(t, file.String())
			lines := strings.Split(err.Error(), "\n")
			if want := fmt.Sprintf("and %d more errors", count-maxErrors); len(lines) != maxErrors+1 || lines[maxErrors] != want {
				t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
			}
		})
	}
}

func TestAFileThatIsTooLarge(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, FileName, "# "+strings.Repeat("x", maxFileBytes))
	_, err := Load(Options{File: file, Environ: []string{"HOME=" + dir}})
	if want := file + ": cannot read the configuration: larger than 1MiB"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestASecretsFileThatIsEmptyOrTooLarge(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ content, want string }{
		"empty":     {"\n", "the secret's file " + filepath.Join(dir, "secret") + " is empty"},
		"too large": {strings.Repeat("x", maxSecretBytes+1), "cannot read the secret's file " + filepath.Join(dir, "secret") + ": larger than 64KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, dir, "secret", c.content)
			_, err := loadTOML(t, "", "AGENTZERO_GATEWAY_BEARER_TOKEN=file:"+path)
			if want := bearerTokenVariable + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
