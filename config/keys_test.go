package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// samples has a value for each key that is not its default, as the environment
// writes it, and the TOML it becomes.
var samples = map[string][2]string{
	"data_dir":                              {"/var/lib/x", `"/var/lib/x"`},
	"gateway.host":                          {"[::1]", `"::1"`},
	"gateway.port":                          {"8080", "8080"},
	"gateway.require_pairing":               {"false", "false"},
	"gateway.allow_public_bind":             {"true", "true"},
	"gateway.max_body_bytes":                {"1MB", "1000000"},
	"gateway.cors_allowed_origins":          {"*, HTTPS://A.b:443,tauri://localhost", `["*", "https://a.b", "tauri://localhost"]`},
	"gateway.rate_limit_max":                {"0", "0"},
	"gateway.rate_limit_window_secs":        {"5", "5"},
	"gateway.trusted_proxies":               {"10.1.2.3/8,::1", `["10.0.0.0/8", "::1"]`},
	"gateway.allowed_hosts":                 {"Gw.Example.com,,192.168.0.1", `["gw.example.com", "192.168.0.1"]`},
	"gateway.max_connections":               {"1", "1"},
	"gateway.read_timeout":                  {"90", `"1m30s"`},
	"gateway.write_timeout":                 {"1h", `"1h"`},
	"gateway.status_wait":                   {"0", `"0s"`},
	"gateway.keep_alive":                    {"250ms", `"250ms"`},
	"gateway.drain_timeout":                 {"1s", `"1s"`},
	"gateway.ws_ping_interval":              {"5s", `"5s"`},
	"gateway.ws_pong_timeout":               {"31s", `"31s"`},
	"gateway.ws_idle_timeout":               {"24h", `"24h"`},
	"gateway.node_control.enabled":          {"true", "true"},
	"gateway.node_control.auth_token":       {"t", `"***"`},
	"gateway.node_control.node_id":          {"n1", `"n1"`},
	"gateway.node_control.allowed_node_ids": {"a,b", `["a", "b"]`},
	"agent.provider":                        {"demo", `"demo"`},
	"agent.model":                           {"m, with comma", `"m, with comma"`},
	"agent.system_prompt":                   {"a \"b\"\n\x01", `"a \"b\"\n\u0001"`},
	"agent.demo_delay":                      {"0s", `"0s"`},
	"agent.local_servers":                   {"h:1, http://g:2/v1/", `["http://h:1", "http://g:2"]`},
	"agent.discover_every":                  {"1m", `"1m"`},
	"providers.NAME.kind":                   {"ollama", `"ollama"`},
	"providers.NAME.base_url":               {"http://h:1/v1", `"http://h:1/v1"`},
	"providers.NAME.api_key":                {"k", `"***"`},
	"providers.NAME.default_model":          {"m", `"m"`},
	"providers.NAME.connect_timeout":        {"1s", `"1s"`},
	"providers.NAME.first_byte_timeout":     {"1s", `"1s"`},
	"providers.NAME.idle_timeout":           {"1s", `"1s"`},
	"providers.NAME.max_retries":            {"0", "0"},
	"providers.NAME.include_usage":          {"false", "false"},
	"providers.NAME.headers":                {"X-A=b=c", `{ X-A = "***" }`},
	"channels.NAME.kind":                    {"slack", `"slack"`},
	"channels.NAME.secret":                  {"s", `"***"`},
	"channels.NAME.public_key":              {"ab", `"ab"`},
	"channels.NAME.token":                   {"t", `"***"`},
	"channels.NAME.api_url":                 {"http://x", `"http://x"`},
	"channels.NAME.text":                    {"/a", `"/a"`},
	"channels.NAME.prompt":                  {"{{text}}", `"{{text}}"`},
	"channels.NAME.session_key":             {"/s", `"/s"`},
	"channels.NAME.delivery_id":             {"/i", `"/i"`},
	"channels.NAME.events":                  {"a.b,c", `["a.b", "c"]`},
	"channels.NAME.tolerance":               {"1m", `"1m"`},
	"channels.NAME.signature_header":        {"X-S", `"X-S"`},
	"channels.NAME.signature_prefix":        {"v1=", `"v1="`},
	"channels.NAME.signature_encoding":      {"base64", `"base64"`},
	"channels.NAME.timestamp_header":        {"X-T", `"X-T"`},
	"channels.NAME.reply":                   {"none", `"none"`},
	"channels.NAME.reply_url":               {"https://x", `"https://x"`},
	"channels.NAME.reply_secret":            {"s", `"***"`},
	"channels.NAME.stream":                  {"false", "false"},
	"channels.NAME.allow_private":           {"true", "true"},
	"channels.NAME.model":                   {"m", `"m"`},
	"channels.NAME.concurrency":             {"4", "4"},
	"channels.NAME.queue_limit":             {"5", "5"},
	"channels.NAME.max_tries":               {"1", "1"},
	"channels.NAME.reply_tries":             {"2", "2"},
	"channels.NAME.backoff":                 {"1s", `"1s"`},
	"channels.NAME.keep_for":                {"1h", `"1h"`},
	"channels.NAME.keep":                    {"7", "7"},
	"sessions.busy_policy":                  {"collect", `"collect"`},
	"sessions.queue_limit":                  {"1", "1"},
	"sessions.max_running_turns":            {"1", "1"},
	"sessions.turn_timeout":                 {"0", `"0s"`},
	"sessions.idle_timeout":                 {"1s", `"1s"`},
	"sessions.disconnect_grace":             {"0", `"0s"`},
	"sessions.log_window_bytes":             {"65537", `"65537B"`},
	"sessions.max_live":                     {"1", "1"},
	"sessions.context_messages":             {"7", "7"},
	"sessions.context_tokens":               {"8000", "8000"},
	"store.kind":                            {"memory", `"memory"`},
	"store.path":                            {"/x/j.db", `"/x/j.db"`},
	"store.url":                             {"postgres://u:p@h/d", `"***"`},
	"store.max_age":                         {"720h", `"720h"`},
	"store.max_sessions":                    {"1", "1"},
	"store.max_bytes":                       {"1 gib", `"1GiB"`},
	"log.level":                             {"error", `"error"`},
	"log.format":                            {"json", `"json"`},
}

func TestEveryKeyIsSetByItsVariable(t *testing.T) {
	table := newKeyTable()
	if len(samples) != len(table.keys) {
		t.Errorf("%d samples for %d keys", len(samples), len(table.keys))
	}
	for i := range table.keys {
		k := &table.keys[i]
		t.Run(k.path, func(t *testing.T) {
			sample, ok := samples[k.path]
			if !ok {
				t.Fatal("has no sample")
			}
			variable := "AGENTZERO_" + strings.ToUpper(strings.ReplaceAll(k.path, ".", "__"))
			environ := []string{"HOME=/home/x", variable + "=" + sample[0]}
			if k.table() != "" && k.name() != "kind" {
				environ = append(environ, map[string]string{providersTable: "AGENTZERO_PROVIDERS__NAME__KIND=openai", channelsTable: "AGENTZERO_CHANNELS__NAME__KIND=generic"}[k.table()])
			}
			if k.path == "gateway.node_control.enabled" {
				environ = append(environ, "AGENTZERO_GATEWAY__NODE_CONTROL__AUTH_TOKEN=t")
			}
			c, err := Load(Options{Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			path := strings.Replace(k.path, anyName, "name", 1)
			for _, s := range Settings(c) {
				if s.Key != path {
					continue
				}
				if s.toml != sample[1] {
					t.Errorf("got %s, want %s", s.toml, sample[1])
				}
				if want := "env:" + variable; s.Origin != want {
					t.Errorf("origin is %s, want %s", s.Origin, want)
				}
				return
			}
			t.Errorf("no setting %s", path)
		})
	}
}

func TestTheLiveKeysAreThoseOfTheContract(t *testing.T) {
	live := regexp.MustCompile(`^(log\.level|gateway\.(cors_allowed_origins|rate_limit_max|rate_limit_window_secs|allowed_hosts)|agent\..*|providers\..*|channels\..*|sessions\.(busy_policy|queue_limit|turn_timeout|context_messages|context_tokens)|store\.max_(age|sessions|bytes))$`)
	for _, k := range allKeys() {
		if k.live != live.MatchString(k.path) {
			t.Errorf("%s is live: %t", k.path, k.live)
		}
	}
}

const (
	docsFile  = "../docs/configuration.md"
	docsBegin = "<!-- keys: made by `go test ./config -run Documentation -update` -->\n"
	docsEnd   = "<!-- end of keys -->\n"
)

var update = flag.Bool("update", false, "write the list of keys into the documentation")

func TestTheDocumentationNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), docsBegin)
	listed, after, ended := strings.Cut(rest, docsEnd)
	if !ok || !ended {
		t.Fatalf("%s has no place for the keys", docsFile)
	}
	want := keysMarkdown()
	if *update {
		if err := os.WriteFile(docsFile, []byte(before+docsBegin+want+docsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := make(map[string]bool)
	for line := range strings.Lines(listed) {
		have[line] = true
	}
	for line := range strings.Lines(want) {
		if !have[line] {
			t.Errorf("%s lacks the line\n%s", docsFile, line)
		}
	}
	if listed != want && !t.Failed() {
		t.Errorf("%s has lines that are not of the key table", docsFile)
	}
}

// keysMarkdown is the list of keys for the documentation, a table for each
// section.
func keysMarkdown() string {
	var b strings.Builder
	table := newKeyTable()
	for _, section := range table.sections {
		title := "Top level"
		if section != "" {
			title = "`[" + section + "]`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n| key | environment | default | meaning |\n|---|---|---|---|\n", title)
		for _, k := range table.in(section) {
			meaning := k.doc
			if k.live {
				meaning += " *Live.*"
			}
			cells := []string{"`" + k.name() + "`", "`" + k.env() + "`", "`" + k.def + "`", meaning + " Allowed: " + k.want + "."}
			for i, cell := range cells {
				cells[i] = strings.ReplaceAll(cell, "|", `\|`)
			}
			b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}
