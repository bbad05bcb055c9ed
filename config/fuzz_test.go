package config

import (
	"slices"
	"strings"
	"testing"
)

// FuzzLoad reads anything as the file. What is accepted must be valid, and be
// the same when it is written out and read again; what is not must be told with
// its line.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(Template()))
	f.Add([]byte("[gateway]\nport = 1\nhost = '::'\nallow_public_bind = true\ncors_allowed_origins = ['https://a.b:8443', '*']\n"))
	f.Add([]byte("providers.p = { kind = 'openai', api_key = 'env:KEY', headers = { X = '1' } }\n[agent]\nprovider = 'p'\n"))
	f.Add([]byte("[[a]]\n[a.b]\n[[a]]\nx = [1, [2, {y = 1979-05-27T07:32:00Z}]]\n"))
	f.Add([]byte("data_dir = \"\"\"\\\n  /a\"\"\"\nsessions.turn_timeout = 0\nstore.max_bytes = '1 gib'\n"))
	f.Add([]byte("\xef\xbb\xbf[log]\r\nlevel = \"warn\" # x\r\n"))
	environ := []string{"HOME=/home/x", "KEY=k"}
	load := func(data []byte) (*Config, error) {
		l := newLoader(Options{Environ: environ})
		l.config.File = "/none/" + FileName
		l.readDocument(data)
		l.readEnviron()
		return l.finish()
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			t.Skip()
		}
		c, err := load(data)
		if err != nil {
			for _, e := range err.(Errors) {
				if e.Message == "" || strings.Contains(e.Error(), "\n") {
					t.Errorf("an error is not one line: %q", e)
				}
			}
			return
		}
		if faults := validate(c); faults != nil {
			t.Fatalf("was accepted with %v", faults)
		}
		again, err := load([]byte(reveal(c)))
		if err != nil {
			t.Fatalf("is not accepted again: %v\n%s", err, Show(c))
		}
		if changes := Diff(c, again); !changes.Empty() {
			t.Fatalf("changed in %+v\n%s", changes, Show(c))
		}
		if !slices.Equal(c.providerNames(), again.providerNames()) {
			t.Fatal("lost providers")
		}
	})
}

// reveal is Show with the secrets in it.
func reveal(c *Config) string {
	var b strings.Builder
	for _, s := range Settings(c) {
		value := s.toml
		switch {
		case s.name == "auth_token":
			value = quote(c.Gateway.NodeControl.AuthToken.Reveal())
		case s.name == "api_key":
			value = quote(c.Providers[strings.TrimPrefix(s.section, "providers.")].APIKey.Reveal())
		case s.name == "headers":
			var items []string
			for name, header := range c.Providers[strings.TrimPrefix(s.section, "providers.")].Headers {
				items = append(items, quoteKey(name)+" = "+quote(header.Reveal()))
			}
			value = "{" + strings.Join(items, ", ") + "}"
		}
		b.WriteString(s.Key + " = " + value + "\n")
	}
	return b.String()
}
