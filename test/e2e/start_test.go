package e2e

import (
	"bufio"
	"debug/buildinfo"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentzero/test/gateway"
)

func TestAStartThatCannotBeSaysWhyInOneSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wrong := file("wrong.toml", "[gateway]\nport = 1\nprot = 2\n")
	mistyped := file("mistyped.toml", "[sessions]\nqueue_limit = \"many\"\n")
	broken := file("broken.toml", "[gateway\n")
	corrupt := filepath.Dir(file("corrupt/tokens.json", "{"))
	public := []string{"AGENTZERO_GATEWAY__REQUIRE_PAIRING=false", "AGENTZERO_GATEWAY__ALLOW_PUBLIC_BIND=true"}

	for name, c := range map[string]struct {
		env, args []string
		says      []string
	}{
		"the port is taken":                       {args: []string{"--port", port}, says: []string{"127.0.0.1:" + port, "--port"}},
		"a public address without leave":          {args: []string{"--host", "0.0.0.0"}, says: []string{"0.0.0.0", "allow_public_bind"}},
		"a public address without pairing":        {env: public, args: []string{"--host", "0.0.0.0"}, says: []string{"require_pairing", "loopback"}},
		"an unknown key":                          {args: []string{"--config", wrong}, says: []string{wrong + ":3:1: gateway.prot", "gateway.port"}},
		"a value of the wrong type":               {args: []string{"--config", mistyped}, says: []string{mistyped + ":2:15: sessions.queue_limit", "many"}},
		"a file that is no TOML":                  {args: []string{"--config", broken}, says: []string{broken + ":1:"}},
		"a configuration that is not there":       {args: []string{"--config", dir + "/none.toml"}, says: []string{dir + "/none.toml"}},
		"a variable that names no key":            {env: []string{"AGENTZERO_GATEWAY__PROT=1"}, says: []string{"AGENTZERO_GATEWAY__PROT", "AGENTZERO_GATEWAY__PORT"}},
		"a file in the data folder's place":       {args: []string{"--data-dir", wrong}, says: []string{wrong, "not a directory", "--data-dir"}},
		"a data folder below a file":              {args: []string{"--data-dir", wrong + "/data"}, says: []string{wrong + "/data", "--data-dir"}},
		"tokens that cannot be read":              {args: []string{"--data-dir", corrupt}, says: []string{corrupt + "/tokens.json", "restore it", "move it away"}},
		"a provider that is not there":            {env: []string{"AGENTZERO_AGENT__PROVIDER=ghost"}, says: []string{"agent.provider", "ghost"}},
		"a secret that is in no variable":         {env: []string{"AGENTZERO_PROVIDERS__P__KIND=openai", "AGENTZERO_PROVIDERS__P__API_KEY=env:NOT_SET_ANYWHERE"}, says: []string{"providers.p.api_key", "NOT_SET_ANYWHERE"}},
		"node control's token is in no variable":  {env: []string{"AGENTZERO_GATEWAY__NODE_CONTROL__ENABLED=true", "AGENTZERO_GATEWAY__NODE_CONTROL__AUTH_TOKEN=env:NOT_SET_ANYWHERE"}, says: []string{"auth_token", "NOT_SET_ANYWHERE"}},
		"node control without a token of its own": {env: []string{"AGENTZERO_GATEWAY__NODE_CONTROL__ENABLED=true"}, says: []string{"auth_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := gateway.Command(t, append([]string{"AGENTZERO_GATEWAY__PORT=0"}, c.env...), append([]string{"gateway"}, c.args...)...)
			t.Logf("%s", r.Stderr)
			if r.Code != 1 || r.Stdout != "" {
				t.Errorf("exit %d, on standard output: %q", r.Code, r.Stdout)
			}
			if !strings.HasPrefix(r.Stderr, "agentzero: ") || strings.Count(r.Stderr, "\n") != 1 {
				t.Errorf("on standard error is not one sentence: %q", r.Stderr)
			}
			for _, part := range c.says {
				if !strings.Contains(r.Stderr, part) {
					t.Errorf("it does not say %q: %s", part, r.Stderr)
				}
			}
		})
	}
}

func TestAWrongCommandLineIsAUsageError(t *testing.T) {
	for _, line := range []string{
		"gateway --prot 1", "gateway here", "gatway", "token create", "token revoke", "token create --name x --scope everything", "config chck",
	} {
		r := gateway.Command(t, nil, strings.Fields(line)...)
		if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "agentzero: ") || !strings.Contains(r.Stderr, "--help") {
			t.Errorf("%s: exit %d, %q, %q", line, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestTheTimeFromStartToFirstAnswerIsLogged(t *testing.T) {
	for range 3 {
		cmd := exec.Command(binary(t), "gateway", "--demo", "--port", "0", "--data-dir", t.TempDir())
		cmd.Env = append(os.Environ(), "AGENTZERO_GATEWAY__REQUIRE_PAIRING=false", "AGENTZERO_AGENT__DEMO_DELAY=0s")
		cmd.Dir = t.TempDir()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var address string
		for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "address"); ok {
				address = strings.TrimSpace(rest)
			}
		}
		printed := time.Since(began)
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Post(address+"/api/chat", "application/json", strings.NewReader(`{"message":"hello"}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("the first answer: %s, %v", resp.Status, err)
		}
		resp.Body.Close()
		t.Logf("start to the banner %v, to the first answer %v", printed, time.Since(began))
		cmd.Process.Signal(syscall.SIGTERM)
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("exit: %v", err)
		}
	}
}

func TestTheBinaryIsSmall(t *testing.T) {
	path := binary(t)
	if raced(t) {
		t.Skip("the binary is built with the race detector")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if limit := int64(30_000_000); info.Size() >= limit {
		t.Errorf("the binary has %d bytes, want less than %d", info.Size(), limit)
	}
}

// binary is the path of the gateway's binary.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(gateway.BinaryEnv)
	if filepath.IsAbs(path) {
		return path
	}
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, path)
}

// raced tells whether the binary is built with the race detector, which makes
// it large and hungry.
func raced(t testing.TB) bool {
	t.Helper()
	info, err := buildinfo.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
