package durable

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// keeps starts a gateway whose model echoes, with the sessions named in it.
func keeps(t *testing.T, o gateway.Options, sessions ...string) *gateway.Gateway {
	t.Helper()
	up := upstream.New(t)
	up.Set("m", upstream.Script{Echo: true})
	o.Upstream, o.Model = up.URL(), "m"
	g := gateway.Start(t, o)
	for _, s := range sessions {
		say(t, g, s, "I am "+s)
	}
	return g
}

// say says something in a session and waits for the answer.
func say(t *testing.T, g *gateway.Gateway, session, content string) {
	t.Helper()
	if resp, body := g.Do(t, "POST", "/v1/sessions/"+session+"/messages", `{"stream":true,"content":"`+content+`"}`); resp.StatusCode != http.StatusOK || !strings.Contains(body, "turn.completed") {
		t.Fatalf("%s: %s: %s", session, resp.Status, body)
	}
}

// command runs agentzero on the data of a gateway.
func command(t *testing.T, g *gateway.Gateway, env []string, args ...string) gateway.Result {
	t.Helper()
	return gateway.Command(t, env, append(args, "--data-dir", g.DataDir)...)
}

// lines parses JSON Lines.
func lines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("the line %q: %v", line, err)
		}
		list = append(list, object)
	}
	return list
}

// TestSessionsAreManagedFromTheCommandLineWhileTheGatewayRuns, on both stores.
func TestSessionsAreManagedFromTheCommandLineWhileTheGatewayRuns(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			env := store.env(t)
			g := keeps(t, gateway.Options{Env: env}, "one", "two", "three")
			run := func(args ...string) gateway.Result {
				t.Helper()
				r := command(t, g, env, append([]string{"sessions"}, args...)...)
				if r.Code != 0 {
					t.Fatalf("sessions %v: exit %d: %s", args, r.Code, r.Stderr)
				}
				return r
			}
			names := func() (list []string) {
				t.Helper()
				for _, s := range lines(t, run("list", "--json").Stdout) {
					for _, field := range []string{"owner", "created", "updated", "bytes", "messages"} {
						if s[field] == nil {
							t.Errorf("the session %v has no %s", s, field)
						}
					}
					list = append(list, s["id"].(string))
				}
				return list
			}
			if got := strings.Join(names(), " "); got != "three two one" {
				t.Errorf("listed %s", got)
			}
			if table := run("list").Stdout; strings.Count(table, "\n") != 4 || !strings.HasPrefix(table, "ID ") {
				t.Errorf("the table is %q", table)
			}
			say(t, g, "two", "again")
			if got := lines(t, run("list", "--json", "--limit", "2").Stdout); len(got) != 2 || got[0]["id"] != "two" || got[0]["messages"] != 4.0 || got[1]["id"] != "three" || got[1]["messages"] != 2.0 {
				t.Errorf("those used last are %v", got)
			}
			if r := gateway.Command(t, env, "__complete", "sessions", "delete", "--data-dir", g.DataDir, "t"); r.Code != 0 || !strings.HasPrefix(r.Stdout, "two\nthree\n:") {
				t.Errorf("completed %+v", r)
			}
			if text := run("show", "two").Stdout; strings.Count(text, "I am two") != 2 || strings.Count(text, "again") != 2 {
				t.Errorf("shown %q", text)
			}
			if shown := lines(t, run("show", "two", "--json").Stdout); len(shown) != 4 || shown[1]["session_id"] != "two" || shown[1]["interrupted"] != false {
				t.Errorf("shown %v", shown)
			}
			if all := lines(t, run("export").Stdout); len(all) != 8 {
				t.Errorf("exported %v", all)
			}
			if some := lines(t, run("export", "one").Stdout); len(some) != 2 || some[0]["owner"] != "default" {
				t.Errorf("exported %v", some)
			}
			run("delete", "two")
			if got := strings.Join(names(), " "); got != "three one" {
				t.Errorf("after a deletion there are %s", got)
			}
			if text := run("prune", "--keep", "1", "--dry-run").Stdout; !strings.Contains(text, "1") || len(names()) != 2 {
				t.Errorf("a dry run: %q, then %v", text, names())
			}
			run("prune", "--keep", "1")
			if got := strings.Join(names(), " "); got != "three" {
				t.Errorf("after pruning there are %s", got)
			}
			if r := command(t, g, env, "sessions", "show", "two"); r.Code != 1 || !oneSentence(r.Stderr) {
				t.Errorf("show of what is deleted: exit %d: %q", r.Code, r.Stderr)
			}
			say(t, g, "three", "still here")
			if n := len(messages(t, g, "three")); n != 4 {
				t.Errorf("the gateway has %d messages of three", n)
			}
		})
	}
}

func TestABackupIsMadeWhileTheGatewayRunsAndRestoredWhenItDoesNot(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	g := keeps(t, gateway.Options{DataDir: data}, "kept")
	token := g.Token(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if r := command(t, g, nil, "backup", backup); r.Code != 0 || strings.TrimSpace(r.Stdout) != backup {
		t.Fatalf("backup: %+v", r)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if r := command(t, g, nil, "backup", backup); r.Code != 1 || !oneSentence(r.Stderr) {
		t.Errorf("over another backup: %+v", r)
	}
	say(t, g, "kept", "said later")
	say(t, g, "later", "said later")
	g.Stop(t)
	if r := command(t, g, nil, "restore", backup); r.Code != 0 {
		t.Fatalf("restore: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(data, "agentzero.db.before-restore")); err != nil {
		t.Errorf("what was there is not kept: %v", err)
	}
	g = keeps(t, gateway.Options{DataDir: data})
	g.UseToken(token)
	if n := len(messages(t, g, "kept")); n != 2 {
		t.Errorf("%d messages came back", n)
	}
	if resp, _ := g.Do(t, "GET", "/v1/sessions/later", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("what was said after the backup: %s", resp.Status)
	}
	say(t, g, "kept", "and on")
}

// oneSentence tells whether what a command says on its way out is for a person:
// one line, without the traces of a program that fell.
func oneSentence(stderr string) bool {
	text := strings.TrimSpace(stderr)
	return text != "" && !strings.Contains(text, "\n") && !strings.Contains(text, "goroutine ")
}
