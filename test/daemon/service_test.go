package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
)

// unit is the unit as a dry run prints it.
func unit(t *testing.T, args ...string) (text, printed string) {
	t.Helper()
	r := gateway.Command(t, nil, append([]string{"service", "install", "--service-init", "systemd", "--dry-run"}, args...)...)
	if r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	_, rest, found := strings.Cut(r.Stdout, "[Unit]")
	text, _, ended := strings.Cut(rest, "\nsystemctl")
	if !found || !ended {
		t.Fatalf("it prints\n%s", r.Stdout)
	}
	return "[Unit]" + text, r.Stdout
}

func TestTheSystemdUnitIsVerified(t *testing.T) {
	analyze := part.Command(t, "systemd-analyze")
	text, _ := unit(t, "--data-dir", "/tmp/a folder with 100% $HOME \"and\" \\")
	path := filepath.Join(t.TempDir(), "agentzero.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, code := program.Program{Path: analyze, Args: []string{"--user", "verify", path},
		Env: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "SYSTEMD_LOG_LEVEL=warning"}}.Try(t)
	if code != 0 || strings.Contains(printed, "agentzero.service") {
		t.Errorf("exit code %d:\n%s\n%s", code, printed, text)
	}
}

func TestADryRunDoesNothing(t *testing.T) {
	for name, args := range map[string][]string{
		"systemd, the flag before": {"service", "--service-init", "systemd", "install", "--dry-run"},
		"systemd, the flag behind": {"service", "install", "--dry-run", "--service-init=systemd"},
		"openrc":                   {"service", "--service-init", "openrc", "--dry-run", "install"},
	} {
		r := gateway.Command(t, nil, args...)
		if r.Code != 0 || !strings.Contains(r.Stdout, "daemon start --foreground") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	_, printed := unit(t)
	path := strings.TrimPrefix(strings.Fields(printed)[2], "# ")
	if _, err := os.Stat(path); err == nil || !strings.HasSuffix(path, ".config/systemd/user/agentzero.service") {
		t.Errorf("%s: %v", path, err)
	}
	if r := gateway.Command(t, nil, "service", "--service-init", "runit", "install"); r.Code != 2 || !strings.Contains(r.Stderr, "openrc") {
		t.Errorf("an unknown manager: %+v", r)
	}
	if r := gateway.Command(t, nil, "service", "--service-init", "systemd", "start"); r.Code != 1 || !strings.Contains(r.Stderr, "service install") {
		t.Errorf("a start without an installation: %+v", r)
	}
}

// inNamespace runs a script of testdata as root of namespaces of its own, and
// returns what its steps say.
func inNamespace(t *testing.T, script string, flags []string, args ...string) map[string]string {
	t.Helper()
	unshare := part.Command(t, "unshare")
	if os.Geteuid() != 0 {
		part.Cannot(t, "namespaces with mounts", "only root can make them")
	}
	flags = append(flags, "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
	if out, err := exec.Command(unshare, append(flags, "true")...).CombinedOutput(); err != nil {
		part.Cannot(t, "namespaces with mounts", strings.TrimSpace(string(out)))
	}
	binary, err := gateway.Binary()
	if err != nil {
		t.Fatal(err)
	}
	script, err = filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	printed, code := program.Program{
		Path: unshare, Args: append(append(flags, "bash", script, binary), args...), Dir: "/", Limit: 4 * patience,
	}.Try(t)
	if code == 77 {
		lines := strings.Split(strings.TrimSpace(printed), "\n")
		part.Cannot(t, filepath.Base(script), lines[len(lines)-1])
	}
	t.Logf("%s", printed)
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	steps := make(map[string]string)
	for _, step := range strings.Split(printed, "== ")[1:] {
		name, said, _ := strings.Cut(step, "\n")
		steps[name] = said
	}
	return steps
}

// expect fails unless each step says all that it should.
func expect(t *testing.T, steps map[string]string, want map[string][]string) {
	t.Helper()
	for name, parts := range want {
		said, ok := steps[name]
		if !ok {
			t.Errorf("there is no step %s", name)
		}
		for _, p := range parts {
			if !strings.Contains(said, p) {
				t.Errorf("%s does not say %q:\n%s", name, p, said)
			}
		}
		if codePattern.MatchString(said) {
			t.Errorf("%s tells a pairing code:\n%s", name, said)
		}
	}
}

func TestARealSystemdRunsTheService(t *testing.T) {
	part.Command(t, "systemctl")
	steps := inNamespace(t, "systemd.sh", []string{"--cgroup"}, t.TempDir())
	expect(t, steps, map[string][]string{
		"install":   {"Installed", "loginctl enable-linger", "exit 0"},
		"again":     {"Installed", "exit 0"},
		"enabled":   {"enabled"},
		"start":     {"exit 0"},
		"status":    {"active (running)", "serving http://", "exit 0"},
		"gateway":   {"agentzero runs: ok", "systemd", "exit 0"},
		"seccomp":   {"NoNewPrivs:\t1", "Seccomp:\t2"},
		"health":    {"ok"},
		"revived":   {"ok", "exit 0"},
		"restart":   {"exit 0"},
		"reload":    {"exit 0"},
		"stop":      {"exit 0"},
		"result":    {"Result=success", "ActiveState=inactive"},
		"stopped":   {"inactive", "exit 3"},
		"uninstall": {"The data stays in", "the data", "exit 0"},
		"twice":     {"No service is installed", "exit 0"},
		"left":      {"agentzero.db", "tokens.json"},
		"log":       {"gateway stopped"},
	})
}

func TestARealOpenRCRunsTheService(t *testing.T) {
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	openrc := filepath.Join(root, ".cache", "openrc")
	part.File(t, "OpenRC", filepath.Join(openrc, "sbin", "openrc-run"))
	steps := inNamespace(t, "openrc.sh", nil, openrc, t.TempDir())
	expect(t, steps, map[string][]string{
		"install":   {"Installed /etc/init.d/agentzero", "exit 0"},
		"again":     {"Installed", "exit 0"},
		"start":     {"exit 0"},
		"status":    {"started", "exit 0"},
		"gateway":   {"agentzero runs: ok", "openrc", "exit 0"},
		"user":      {"nobody"},
		"revived":   {"ok", "exit 0"},
		"reload":    {"exit 0"},
		"stop":      {"exit 0"},
		"stopped":   {"exit 3"},
		"uninstall": {"The data stays in", "exit 0"},
		"left":      {"agentzero.db"},
		"log":       {"gateway stopped"},
	})
}
