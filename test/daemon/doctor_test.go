package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// findings are the doctor's, by check: verdict, what was found, remedy.
func (m *machine) doctor() (findings map[string]string, code int) {
	m.t.Helper()
	r := m.run("doctor", "--json")
	var list []struct{ Check, Verdict, Found, Remedy string }
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		m.t.Fatalf("%v: %+v", err, r)
	}
	findings = make(map[string]string)
	for _, f := range list {
		if f.Verdict != "ok" && f.Remedy == "" {
			m.t.Errorf("%+v tells no remedy", f)
		}
		findings[f.Check] = fmt.Sprintf("%s: %s -> %s", f.Verdict, f.Found, f.Remedy)
	}
	return findings, r.Code
}

func TestTheDoctorFindsWhatIsWrong(t *testing.T) {
	port := takenPort(t)
	for name, c := range map[string]struct {
		env     []string
		prepare func(dir string) error
		check   string
		says    []string
	}{
		"a wrong configuration": {env: []string{"AGENTZERO_LOG__LEVEL=loud"}, check: "configuration", says: []string{"fail", "log.level"}},
		"a port that is taken":  {env: []string{"AGENTZERO_GATEWAY__PORT=" + port}, check: "port", says: []string{"fail", port}},
		"a provider that is away": {env: []string{"AGENTZERO_AGENT__PROVIDER=p", "AGENTZERO_PROVIDERS__P__KIND=openai", "AGENTZERO_PROVIDERS__P__BASE_URL=http://127.0.0.1:1/v1"},
			check: "provider", says: []string{"fail", "base_url"}},
		"tokens that others can read": {prepare: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tokens.json"), []byte("{}"), 0o644)
		}, check: "tokens", says: []string{"fail", "chmod 600"}},
		"a store that is damaged": {prepare: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "agentzero.db"), []byte(strings.Repeat("no database ", 1000)), 0o600)
		}, check: "store", says: []string{"fail", "restore"}},
		"a clock that was set back": {prepare: func(dir string) error {
			path := filepath.Join(dir, "agentzero.db")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, time.Now().Add(48*time.Hour))
		}, check: "clock", says: []string{"fail", "store was last written"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, append([]string{"AGENTZERO_AGENT__PROVIDER=demo"}, c.env...)...)
			if c.prepare != nil {
				if err := os.Mkdir(m.dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := c.prepare(m.dir); err != nil {
					t.Fatal(err)
				}
			}
			findings, code := m.doctor()
			if code != 1 {
				t.Errorf("exit %d for %v", code, findings)
			}
			for _, part := range c.says {
				if !strings.Contains(findings[c.check], part) {
					t.Errorf("%s does not say %q: %v", c.check, part, findings)
				}
			}
			m.env = m.env[:1]
		})
	}
}

func TestTheDoctorFindsAHealthyGateway(t *testing.T) {
	m := newMachine(t, "AGENTZERO_AGENT__PROVIDER=demo")
	m.must("daemon", "start")
	s, _ := m.status()
	findings, code := m.doctor()
	if code != 0 || !strings.Contains(findings["port"], s.Address) || !strings.Contains(findings["store"], "whole") || len(findings) != 9 {
		t.Errorf("exit %d: %v", code, findings)
	}
	r := m.must("doctor")
	if !strings.Contains(r.Stdout, "ok    port") || strings.Contains(r.Stdout, "\x1b") {
		t.Errorf("for people:\n%s", r.Stdout)
	}
}

func TestTheManualHasAllCommands(t *testing.T) {
	m := newMachine(t)
	dir := filepath.Join(t.TempDir(), "man")
	m.must("man", dir)
	for _, page := range []string{"agentzero.1", "agentzero-daemon-start.1", "agentzero-chat.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), ".SH NAME") {
			t.Errorf("%s: %v: %.100s", page, err, text)
		}
	}
}
