package config

import (
	"strings"
	"testing"
)

func TestChannelsAreRead(t *testing.T) {
	c := mustLoad(t, Options{
		File:    writeFile(t, t.TempDir(), FileName, "[channels.my-hooks]\nkind = \"custom\"\nsecret = \"env:S\"\nconcurrency = 3\n"),
		Environ: []string{"HOME=" + t.TempDir(), "S=hush", "AGENTZERO_CHANNELS__MY_HOOKS__MODEL=m", "AGENTZERO_CHANNELS__BOT__KIND=telegram"},
	})
	if h := c.Channels["my-hooks"]; h.Kind != "custom" || h.Secret.Reveal() != "hush" || h.Concurrency != 3 || h.Model != "m" || h.QueueLimit != 10_000 || !h.Stream {
		t.Errorf("got %+v", h)
	}
	if c.Channels["bot"].Kind != "telegram" || len(c.Channels) != 2 {
		t.Errorf("got %+v", c.Channels)
	}
	if e := c.Fault("channels.my-hooks.secret", "is short"); !strings.HasSuffix(e.Error(), ".toml:3:10: channels.my-hooks.secret: is short") {
		t.Errorf("got %v", e)
	}
	if e := c.Fault("channels.my-hooks.token", "is missing"); !strings.HasSuffix(e.Error(), ".toml:1:11: channels.my-hooks.token: is missing") {
		t.Errorf("got %v", e)
	}
}

func TestChannelsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"[channels.x]\n":                                   `:1:11: channels.x.kind: is missing, want one of "generic"`,
		"[channels.x]\nkind = \"githup\"":                  `:2:8: channels.x.kind: got "githup", want one of`,
		"[channels.X]\nkind = \"github\"":                  "channels.X: not a name for a channel",
		"[channels.x]\nkind = \"github\"\nsecrets = \"x\"": "channels.x.secrets: unknown key; did you mean channels.x.secret?",
		"channels = 1":                                     "want a table, written [channels.NAME]",
		"[chanels.x]\n":                                    "unknown table; did you mean channels?",
		"[channels.x]\nkind = \"slack\"\nconcurrency = 0":  "channels.x.concurrency: got 0, want an integer from 1",
	} {
		_, err := Load(Options{File: writeFile(t, t.TempDir(), FileName, text), Environ: []string{"HOME=" + t.TempDir()}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
