package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentzero/auth"
)

// tokenCLI runs "agentzero token ..." on a data directory of its own.
type tokenCLI struct {
	t   *testing.T
	dir string
}

func newTokenCLI(t *testing.T) tokenCLI {
	t.Helper()
	// The directory is not there yet, as before a first start.
	return tokenCLI{t: t, dir: filepath.Join(t.TempDir(), "data")}
}

func (c tokenCLI) run(args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, environ: []string{}}
	code = a.run(c.t.Context(), append([]string{"--data-dir", c.dir, "token"}, args...))
	return code, out.String(), errs.String()
}

func (c tokenCLI) mustRun(args ...string) (stdout, stderr string) {
	c.t.Helper()
	code, stdout, stderr := c.run(args...)
	if code != exitOK {
		c.t.Fatalf("token %v: exit %d: %s", args, code, stderr)
	}
	return stdout, stderr
}

func (c tokenCLI) keyring() *auth.Keyring {
	c.t.Helper()
	k, err := auth.Open(auth.Options{Dir: c.dir})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { k.Close() })
	return k
}

func TestTokenCreatePrintsTheTokenAlone(t *testing.T) {
	c := newTokenCLI(t)
	stdout, stderr := c.mustRun("create", "--name", "ci", "--owner", "alice@example.org", "--scope", "chat")
	secret, ok := strings.CutSuffix(stdout, "\n")
	if !ok || !strings.HasPrefix(secret, auth.TokenPrefix) || strings.ContainsAny(secret, " \n") {
		t.Fatalf("printed %q", stdout)
	}
	if strings.Contains(stderr, secret) || !strings.Contains(stderr, "alice@example.org") {
		t.Errorf("said %q", stderr)
	}
	id, ok := c.keyring().Verify([]byte(secret))
	if !ok || id.Owner != "alice@example.org" || id.Scopes != auth.ScopeChat {
		t.Errorf("Verify = %+v, %v", id, ok)
	}
}

func TestTokenCreateMakesADevicesTokenByDefault(t *testing.T) {
	c := newTokenCLI(t)
	stdout, _ := c.mustRun("create", "--name", "ci")
	id, ok := c.keyring().Verify([]byte(strings.TrimSpace(stdout)))
	if !ok || id.Owner != auth.DefaultOwner || id.Scopes != auth.DeviceScopes {
		t.Errorf("Verify = %+v, %v", id, ok)
	}
}

func TestTokenListShowsAllButTheToken(t *testing.T) {
	c := newTokenCLI(t)
	printed, _ := c.mustRun("create", "--name", "my ci", "--scope", "admin")
	secret := strings.TrimSpace(printed)

	table, _ := c.mustRun("list")
	for _, part := range []string{"ID", "NAME", "OWNER", "SCOPES", "CREATED", "LAST USED", "my ci", "default", "chat,webhook,admin", "created", "never"} {
		if !strings.Contains(table, part) {
			t.Errorf("no %q in\n%s", part, table)
		}
	}

	text, _ := c.mustRun("list", "--json")
	var tokens []struct {
		ID, Name, Owner, Kind string
		Scopes                []string
		Created               time.Time
	}
	if err := json.Unmarshal([]byte(text), &tokens); err != nil {
		t.Fatal(err)
	}
	if len(tokens) != 1 || tokens[0].ID == "" || tokens[0].Name != "my ci" || tokens[0].Owner != "default" ||
		tokens[0].Kind != "created" || len(tokens[0].Scopes) != 3 || tokens[0].Created.IsZero() {
		t.Errorf("tokens %+v", tokens)
	}
	for _, hidden := range []string{secret, "sha256"} {
		if strings.Contains(table+text, hidden) {
			t.Errorf("the list tells %q", hidden)
		}
	}
}

func TestTokenListOfNothing(t *testing.T) {
	c := newTokenCLI(t)
	stdout, stderr := c.mustRun("list")
	if stdout != "" || !strings.Contains(stderr, "token create") {
		t.Errorf("printed %q, said %q", stdout, stderr)
	}
	if stdout, _ := c.mustRun("list", "--json"); stdout != "[]\n" {
		t.Errorf("JSON %q", stdout)
	}
}

func TestTokenRevokeWhileAGatewayRuns(t *testing.T) {
	c := newTokenCLI(t)
	gateway := c.keyring()
	for _, by := range []string{"id", "name", "all"} {
		secret, tok, err := gateway.Create(auth.NewToken{Name: "laptop"})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		gateway.OnRevoke(tok.ID, func() { close(ended) })
		stdout, _ := c.mustRun("revoke", map[string]string{"id": tok.ID, "name": "laptop", "all": "--all"}[by])
		if want := map[string]string{"id": tok.ID, "name": tok.ID, "all": "1"}[by]; !strings.Contains(stdout, want) {
			t.Errorf("by %s: printed %q", by, stdout)
		}
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("by %s: the stream did not end", by)
		}
		if _, ok := gateway.Verify([]byte(secret)); ok {
			t.Errorf("by %s: the token is still good", by)
		}
	}
}

func TestTokenErrorsTellARemedy(t *testing.T) {
	c := newTokenCLI(t)
	c.mustRun("create", "--name", "taken")
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"create without a name", []string{"create"}, exitUsage, `"name" not set`},
		{"create with a name that is taken", []string{"create", "--name", "taken"}, exitFailure, "choose another"},
		{"create with an empty name", []string{"create", "--name", ""}, exitUsage, "1 to 64"},
		{"create with a bad owner", []string{"create", "--name", "x", "--owner", "a/b"}, exitUsage, "A-Z a-z"},
		{"create with an unknown scope", []string{"create", "--name", "x", "--scope", "root"}, exitUsage, "the scopes are chat, webhook, admin"},
		{"revoke nothing", []string{"revoke"}, exitUsage, "--all"},
		{"revoke one and all", []string{"revoke", "taken", "--all"}, exitUsage, "takes no ID"},
		{"revoke what is not there", []string{"revoke", "other"}, exitFailure, "token list"},
		{"list with an argument", []string{"list", "x"}, exitUsage, "x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := c.run(test.args...)
			if code != test.code || stdout != "" || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, printed %q, said %q; want exit %d and %q", code, stdout, stderr, test.code, test.says)
			}
		})
	}
}

func TestTokenRevokeDoesNotRepeatATokenGivenByMistake(t *testing.T) {
	c := newTokenCLI(t)
	secret, _ := c.mustRun("create", "--name", "ci")
	secret = strings.TrimSpace(secret)
	code, stdout, stderr := c.run("revoke", secret)
	if code != exitFailure || strings.Contains(stdout+stderr, secret) {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestTokenCommandsLeaveABadFileAlone(t *testing.T) {
	c := newTokenCLI(t)
	c.mustRun("create", "--name", "ci")
	path := auth.NewFile(c.dir).Path()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"create", "--name", "x"}, {"revoke", "ci"}, {"revoke", "--all"}} {
		code, stdout, stderr := c.run(args...)
		if code != exitFailure || stdout != "" || !strings.Contains(stderr, "chmod 600") || !strings.Contains(stderr, path) {
			t.Errorf("%v: exit %d, printed %q, said %q", args, code, stdout, stderr)
		}
	}
}
