package channels

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"agentzero/test/gateway"
)

// command runs the command line on a gateway's data and configuration.
func command(t *testing.T, g *gateway.Gateway, config string, args ...string) gateway.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return gateway.Command(t, nil, append(args, "--config", file, "--data-dir", g.DataDir)...)
}

func TestTheCommandLineTriesAChannelOut(t *testing.T) {
	f := newFake(t)
	config := configuration(f.URL)
	g := gateway.Start(t, gateway.Options{Config: config + "\n[agent]\ndemo_delay = 0\n"})
	run := func(args ...string) string {
		t.Helper()
		r := command(t, g, config, append([]string{"channels"}, args...)...)
		if r.Code != 0 {
			t.Fatalf("%v: exit %d: %s%s", args, r.Code, r.Stdout, r.Stderr)
		}
		return r.Stdout
	}
	for _, channel := range []string{"std", "gh", "slack", "tg", "own"} {
		if channel == "std" {
			body := filepath.Join(t.TempDir(), "body.json")
			if err := os.WriteFile(body, []byte(`{"message":"Repeat after me: hello","data":{"reply_to":"`+f.URL+`/answers"}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := run("send", "std", "--data", body, "--id", "t1", "--wait", "30s"); !strings.Contains(out, `"answer":"hello"`) || !strings.Contains(out, `"delivery_id":"t1"`) {
				t.Errorf("%s: %s", channel, out)
			}
			continue
		}
		if out := run("send", channel, "Repeat after me: hello", "--wait", "30s"); !strings.Contains(out, `"answer":"hello"`) {
			t.Errorf("%s: %s", channel, out)
		}
	}
	if r := command(t, g, config, "channels", "send", "guarded", "x"); r.Code == 0 || !strings.Contains(r.Stderr, "401") {
		t.Errorf("without a token: exit %d %s", r.Code, r.Stderr)
	}
}

func TestTheCommandLineListsAndReplays(t *testing.T) {
	f := newFake(t)
	config := configuration(f.URL)
	g := gateway.Start(t, gateway.Options{Config: config + "\n[agent]\ndemo_delay = 0\n"})
	f.fail("/github/repos/example/example/issues/1/comments", answer{status: 404})
	if r := command(t, g, config, "channels", "send", "gh", "Repeat after me: hello", "--id", "d1"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	becomes(t, g, "gh", "d1", "dead")

	r := command(t, g, config, "channels", "deliveries", "gh", "--state", "failed,dead")
	if r.Code != 0 || !regexp.MustCompile(`(?m)^d1 +dead .*gh:example=2Fexample=231.*status 404`).MatchString(r.Stdout) {
		t.Errorf("exit %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	r = command(t, g, config, "channels", "deliveries", "gh", "--json")
	var d struct{ ID, Text, Answer string }
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil || d.ID != "d1" || d.Answer != "hello" {
		t.Errorf("got %s, %v", r.Stdout, err)
	}
	r = command(t, g, config, "channels", "replay", "gh", "--state", "failed,dead", "--token", g.Token(t))
	if r.Code != 0 || !strings.Contains(r.Stdout, "Begun anew: 1.") {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	becomes(t, g, "gh", "d1", "replied")
	r = command(t, g, config, "channels", "list")
	if r.Code != 0 || !regexp.MustCompile(`(?m)^gh +github +/v1/webhook/gh +1 replied$`).MatchString(r.Stdout) || !strings.Contains(r.Stdout, "/v1/webhook/tg") {
		t.Errorf("exit %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown channel":   {[]string{"channels", "deliveries", "nope"}, "there is no channel nope, but there are: discord, gh, guarded"},
		"an unknown state":     {[]string{"channels", "deliveries", "gh", "--state", "lost"}, `there is no state "lost"`},
		"nothing to replay":    {[]string{"channels", "replay", "gh"}, "name deliveries, or give --state"},
		"a delivery of nobody": {[]string{"channels", "replay", "gh", "none", "--token", g.Token(t)}, "none: the channel has no delivery of this id"},
		"nothing to send":      {[]string{"channels", "send", "gh"}, "give a TEXT, or a file with --data"},
	} {
		if r := command(t, g, config, c.args...); r.Code == 0 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%s: exit %d: %s", name, r.Code, r.Stderr)
		}
	}
}

func TestMistakesInChannelsAreToldWithTheirPlace(t *testing.T) {
	for config, want := range map[string]string{
		"[channels.a]\nkind = \"github\"\n":                                       ":1:11: channels.a.secret: is missing",
		"[channels.a]\nkind = \"slack\"\nsecret = \"x\"\nreply = \"platform\"\n":  ":1:11: channels.a.token: is missing",
		"[channels.a]\nkind = \"telegram\"\nsecret = \"a b\"\n":                   ":3:10: channels.a.secret: Telegram's secret_token is",
		"[channels.a]\nkind = \"generic\"\ntext = \"{{/x\"\n":                     ":3:8: channels.a.text: a placeholder {{ is not closed",
		"[channels.a]\nkind = \"discord\"\npublic_key = \"xyz\"\n":                ":3:14: channels.a.public_key: want the application's public key",
		"[channels.a]\nkind = \"generic\"\nreply_url = \"https://example.com\"\n": ":1:11: channels.a.reply_secret: is missing",
		"[channels.a]\nkind = \"standard-webhooks\"\nsecret = \"???\"\n":          ":3:10: channels.a.secret: want a secret of Standard Webhooks",
		"[channels.a]\nkind = \"smoke\"\n":                                        `:2:8: channels.a.kind: got "smoke", want one of`,
	} {
		file := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := gateway.Command(t, nil, "config", "check", file); r.Code != 1 || !strings.Contains(r.Stderr, file+want) {
			t.Errorf("%q: exit %d: %s", config, r.Code, r.Stderr)
		}
	}
}

// The channels of the README and of docs/channels.md are what the gateway takes.
func TestTheDocumentsChannelsAreTaken(t *testing.T) {
	block := regexp.MustCompile("(?s)```toml\n(\\[channels\\..*?)```")
	seen := 0
	for _, doc := range []string{"README.md", "docs/channels.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			seen++
			config := strings.Replace(m[1], `public_key = "..."`, `public_key = "`+strings.Repeat("ab", 32)+`"`, 1)
			file := filepath.Join(t.TempDir(), "c.toml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			var env []string
			for _, v := range regexp.MustCompile(`env:(\w+)`).FindAllStringSubmatch(config, -1) {
				env = append(env, v[1]+"=abc")
			}
			if r := gateway.Command(t, env, "config", "check", file); r.Code != 0 {
				t.Errorf("%s:\n%s%s", doc, config, r.Stderr)
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d channels in the documents", seen)
	}
}
