package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestShowTellsEachValueAndItsOrigin(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, FileName, "[gateway]\nport = 8080\n\n[agent]\nsystem_prompt = \"A prompt that is longer than the column of comments\"\n[providers.b]\nkind = \"openai\"\napi_key = \"env:KEY\"\nheaders.\"X.Y\" = \"v\"\n[providers.a]\nkind = \"ollama\"\n")
	c := mustLoad(t, Options{
		File:      file,
		Environ:   []string{"HOME=" + dir, "KEY=k", "AGENTZERO_LOG__LEVEL=debug", "AGENTZERO_GATEWAY_BEARER_TOKEN=t"},
		Overrides: []Override{{Key: "gateway.host", Value: "::1", Flag: "--host"}},
	})
	shown := Show(c)
	for _, want := range []string{
		"# file: FILE\n# fixed token: ***  # env:AGENTZERO_GATEWAY_BEARER_TOKEN\n\ndata_dir = \"DIR/.agentzero\"  # default\n",
		"\n[gateway]\nhost = \"::1\"                 # flag:--host\nport = 8080                  # file:FILE:2\nrequire_pairing = true       # default\n",
		"model = \"\"              # default\nsystem_prompt = \"A prompt that is longer than the column of comments\"  # file:FILE:5\n",
		"\n[providers.a]\nkind = \"ollama\"                      # file:FILE:11\nbase_url = \"http://127.0.0.1:11434\"  # default\n",
		"\napi_key = \"***\"                         # file:FILE:8 via env:KEY\n",
		"\nheaders = { \"X.Y\" = \"***\" }             # file:FILE:9\n",
		"\n[log]\nlevel = \"debug\"  # env:AGENTZERO_LOG__LEVEL\n",
	} {
		if want = strings.ReplaceAll(strings.ReplaceAll(want, "FILE", file), "DIR", dir); !strings.Contains(shown, want) {
			t.Errorf("lacks\n%s\n\nin\n%s", want, shown)
		}
	}
	if strings.Index(shown, "[providers.a]") > strings.Index(shown, "[providers.b]") {
		t.Error("the providers are not sorted")
	}
}

func TestShowIsTheSameConfigurationAgain(t *testing.T) {
	c, err := loadTOML(t, "[gateway]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[agent]\nsystem_prompt = \"a\\n\\u0000\\\"\\\\é\"\nprovider = \"p\"\n[providers.p]\nkind = \"openai\"\n[sessions]\nturn_timeout = \"1h0.5s\"\n")
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadTOML(t, Show(c))
	if err != nil {
		t.Fatal(err)
	}
	if changes := Diff(c, again); !changes.Empty() {
		t.Errorf("differs in %+v", changes)
	}
}

func TestSettingsAreInJSONsTypes(t *testing.T) {
	c, err := loadTOML(t, "[gateway]\ntrusted_proxies = [\"::1\"]\n[providers.p]\nkind = \"openai\"\nheaders = { X = \"v\" }\n")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range Settings(c) {
		data, err := json.Marshal(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		got[s.Key] = string(data)
	}
	for key, want := range map[string]string{
		"gateway.port":                   "42617",
		"gateway.require_pairing":        "true",
		"gateway.read_timeout":           `"30s"`,
		"gateway.rate_limit_window_secs": "60",
		"gateway.trusted_proxies":        `["::1"]`,
		"gateway.allowed_hosts":          "[]",
		"store.max_bytes":                "0",
		"log.level":                      `"info"`,
		"providers.p.api_key":            `""`,
		"providers.p.headers":            `{"X":"***"}`,
	} {
		if got[key] != want {
			t.Errorf("%s is %s, want %s", key, got[key], want)
		}
	}
}

func TestAPathCannotLeaveItsComment(t *testing.T) {
	c := mustLoad(t, Options{Environ: []string{"HOME=/home/x"}})
	c.File = "/a\nport = 1"
	if shown := Show(c); strings.Contains(shown, "\nport = 1\n") {
		t.Errorf("got %s", shown[:40])
	}
}
