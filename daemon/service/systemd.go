package service

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Systemd plans a unit of the user's own manager (systemd --user), which needs no
// root. The manager ends with the user's last login unless they linger: see
// [Systemd.Lingers].
type Systemd struct {
	// ConfigDir is the user's, "" where none is known.
	ConfigDir string
}

// NewSystemd finds the user's unit directory.
func NewSystemd() Systemd {
	dir, err := os.UserConfigDir() // $XDG_CONFIG_HOME or ~/.config
	if err != nil {
		dir = ""
	}
	return Systemd{ConfigDir: dir}
}

const unit = Name + ".service"

// Path implements Manager.
func (s Systemd) Path() string { return filepath.Join(s.ConfigDir, "systemd", "user", unit) }

// Install implements Manager.
func (s Systemd) Install(p Program) (Plan, error) {
	if s.ConfigDir == "" {
		return Plan{}, errors.New("no home directory is known, where the unit would go: set HOME")
	}
	content, err := systemdUnit(p)
	return Plan{
		Write: []File{{s.Path(), content, 0o644}},
		Run:   [][]string{systemctl("daemon-reload"), systemctl("enable", unit)},
	}, err
}

// Uninstall implements Manager.
func (s Systemd) Uninstall() Plan {
	return Plan{
		Run:     [][]string{systemctl("disable", "--now", unit)},
		LetFail: true,
		Remove:  []string{s.Path()},
		After:   [][]string{systemctl("daemon-reload")},
	}
}

// Start implements Manager.
func (Systemd) Start() Plan { return Plan{Run: [][]string{systemctl("start", unit)}} }

// Stop implements Manager.
func (Systemd) Stop() Plan { return Plan{Run: [][]string{systemctl("stop", unit)}} }

// Restart implements Manager.
func (Systemd) Restart() Plan { return Plan{Run: [][]string{systemctl("restart", unit)}} }

// Status implements Manager.
func (Systemd) Status() Plan {
	return Plan{Run: [][]string{systemctl("status", "--no-pager", "--lines=0", unit)}}
}

func systemctl(args ...string) []string { return append([]string{"systemctl", "--user"}, args...) }

// Lingers tells whether the user's manager runs without a login.
func (Systemd) Lingers() (userName string, lingers bool) {
	u, err := user.Current()
	if err != nil {
		return "$USER", false
	}
	_, err = os.Stat(filepath.Join("/var/lib/systemd/linger", u.Username))
	return u.Username, err == nil
}

// systemdUnit is the unit's text. The hardening is what holds in a user's manager,
// which may mount nothing: system call filters and what follows from them. The
// Go runtime makes no memory writable and executable at once. A Go program that
// panics, or is aborted by the watchdog, exits with 2: that must be restarted too.
func systemdUnit(p Program) (string, error) {
	command, err := systemdCommand(append([]string{p.Path}, p.Args...))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`[Unit]
Description=agentzero, a gateway for AI agents
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart=%s
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30
Restart=on-failure
RestartSec=2
TimeoutStartSec=60
TimeoutStopSec=%d
TimeoutAbortSec=10
KillMode=mixed
UMask=0077
LimitNOFILE=65536
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=default.target
`, command, int(p.StopTimeout.Seconds())), nil
}

// systemdCommand writes a command line as systemd.service(5) reads it.
func systemdCommand(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("a control character cannot stand in a unit: %q", w)
		}
		escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(w)
		if w == "" || strings.ContainsAny(w, " '\"\\;") {
			escaped = `"` + escaped + `"`
		}
		quoted[i] = escaped
	}
	return strings.Join(quoted, " "), nil
}
