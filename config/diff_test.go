package config

import (
	"reflect"
	"testing"
)

func TestDiffTellsWhatAReloadCanChange(t *testing.T) {
	const old = "[gateway]\nport = 1\n[providers.gone]\nkind = \"openai\"\n[providers.kept]\nkind = \"openai\"\napi_key = \"env:KEY\"\nheaders.X = \"1\"\n"
	before, err := loadTOML(t, old, "KEY=a", "AGENTZERO_DATA_DIR=/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		environ    []string
		want       Changes
	}{
		{"nothing", old, []string{"KEY=a"}, Changes{}},
		{"only where a value stands", "\n" + old, []string{"KEY=b", "AGENTZERO_PROVIDERS__KEPT__API_KEY=a"}, Changes{}},
		{"what a reference leads to", old, []string{"KEY=b"}, Changes{Live: []string{"providers.kept.api_key"}}},
		{"all kinds", "[gateway]\nport = 2\nallowed_hosts = [\"a\"]\n[providers.new]\nkind = \"openai\"\n[providers.kept]\nkind = \"openai\"\napi_key = \"a\"\n[log]\nlevel = \"warn\"\nformat = \"json\"\n",
			[]string{"AGENTZERO_GATEWAY_BEARER_TOKEN=t"},
			Changes{
				Live:    []string{"gateway.allowed_hosts", "providers.gone", "providers.kept.headers", "providers.new", "log.level"},
				Restart: []string{"gateway.port", "log.format", "gateway.bearer_token"},
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, err := loadTOML(t, c.file, append(c.environ, "AGENTZERO_DATA_DIR=/d")...)
			if err != nil {
				t.Fatal(err)
			}
			got := Diff(before, after)
			if !reflect.DeepEqual(got, c.want) || got.Empty() != (len(c.want.Live)+len(c.want.Restart) == 0) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
