package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// TestNoSecretIsEverShown puts secrets in every place a configuration has for
// one, and looks for them in all that formats, encodes or logs.
func TestNoSecretIsEverShown(t *testing.T) {
	c, err := loadTOML(t, `
[gateway.node_control]
auth_token = "hush-node"
[providers.p]
kind = "openai"
api_key = "env:KEY"
headers = { X-Key = "hush-header" }
`, "KEY=hush-key", "AGENTZERO_GATEWAY_BEARER_TOKEN=hush-token")
	if err != nil {
		t.Fatal(err)
	}
	if k := c.Providers["p"].APIKey; k.Reveal() != "hush-key" {
		t.Fatal("the secrets were not read, so this test would see nothing")
	}
	wrapped := struct{ hidden Secret }{c.Gateway.BearerToken} // fmt cannot call its methods

	var logs bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
		log := slog.New(handler)
		log.Info("x", "secret", c.Gateway.BearerToken, "config", c, "config", *c, "provider", c.Providers["p"], "settings", Settings(c))
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	settingsJSON, err := json.Marshal(Settings(c))
	if err != nil {
		t.Fatal(err)
	}
	asTOML, err := toml.Marshal(c.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"slog":          logs.String(),
		"JSON":          string(asJSON),
		"Settings":      string(settingsJSON),
		"TOML":          string(asTOML),
		"Show":          Show(c),
		"a map's JSON":  fmt.Sprint(Settings(c)),
		"Diff":          fmt.Sprint(Diff(c, &Config{})),
		"String":        c.Gateway.BearerToken.String(),
		"an error":      fmt.Errorf("x: %w", fmt.Errorf("%v", c.Gateway.BearerToken)).Error(),
		"Print":         fmt.Sprint(c, *c, c.Providers),
		"a secret's %d": fmt.Sprintf("%d", any(c.Gateway.BearerToken)),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
		shown["Config "+verb] = fmt.Sprintf(verb, any(*c))
		shown["Secret "+verb] = fmt.Sprintf(verb, any(c.Gateway.BearerToken))
		shown["hidden "+verb] = fmt.Sprintf(verb, any(wrapped))
		shown["*Secret "+verb] = fmt.Sprintf(verb, any(&c.Gateway.BearerToken))
	}
	for how, text := range shown {
		for _, leak := range []string{"hush", fmt.Sprintf("%x", "hush"), fmt.Sprintf("%X", "hush")} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows a secret: %s", how, text)
			}
		}
	}
	for _, how := range []string{"slog", "JSON", "Settings", "TOML", "Show", "Config %v", "Secret %s", "Secret %#v"} {
		if !strings.Contains(shown[how], redacted) {
			t.Errorf("%s does not tell that a secret is set: %s", how, shown[how])
		}
	}
}

func TestASecretThatIsNotSetLooksEmpty(t *testing.T) {
	for _, s := range []Secret{{}, NewSecret("")} {
		if s.IsSet() || s.String() != "" || s.Reveal() != "" || fmt.Sprintf("%v", s) != "" {
			t.Errorf("got %#v", s)
		}
	}
}

func TestSecretsAreEqualByValue(t *testing.T) {
	a, b := NewSecret("x"), NewSecret("x")
	if !a.Equal(b) || a.Equal(NewSecret("y")) || a.Equal(Secret{}) || !(Secret{}).Equal(NewSecret("")) {
		t.Error("Equal does not compare values")
	}
}
