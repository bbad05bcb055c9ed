package service

import (
	"fmt"
	"strings"
)

// OpenRC plans a service of the machine's, under supervise-daemon. Only root can
// make it.
type OpenRC struct{}

const initScript = "/etc/init.d/" + Name

// Path implements Manager.
func (OpenRC) Path() string { return initScript }

// Install implements Manager.
func (OpenRC) Install(p Program) (Plan, error) {
	content, err := openRCScript(p)
	return Plan{
		Root:  true,
		Write: []File{{initScript, content, 0o755}},
		Run:   [][]string{{"rc-update", "add", Name, "default"}},
	}, err
}

// Uninstall implements Manager.
func (OpenRC) Uninstall() Plan {
	return Plan{
		Root:    true,
		Run:     [][]string{{"rc-service", "--ifexists", Name, "stop"}, {"rc-update", "delete", Name, "default"}},
		LetFail: true,
		Remove:  []string{initScript},
	}
}

// Start implements Manager.
func (OpenRC) Start() Plan { return openRC("start", true) }

// Stop implements Manager.
func (OpenRC) Stop() Plan { return openRC("stop", true) }

// Restart implements Manager.
func (OpenRC) Restart() Plan { return openRC("restart", true) }

// Status implements Manager.
func (OpenRC) Status() Plan { return openRC("status", false) }

func openRC(verb string, root bool) Plan {
	return Plan{Root: root, Run: [][]string{{"rc-service", Name, verb}}}
}

// openRCScript is the service script. The program writes its own log; what it
// prints besides goes nowhere.
func openRCScript(p Program) (string, error) {
	for _, w := range append([]string{p.Path, p.DataDir, p.User}, p.Args...) {
		if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("a control character cannot stand in a script: %q", w)
		}
	}
	args := make([]string, len(p.Args))
	for i, a := range p.Args {
		args[i] = shellQuote(a)
	}
	return fmt.Sprintf(`#!/sbin/openrc-run

name="agentzero"
description="agentzero, a gateway for AI agents"
supervisor="supervise-daemon"
command=%s
command_args=%s
command_user=%s
data_dir=%s
output_log="/dev/null"
error_log="/dev/null"
umask="0077"
respawn_delay=2
respawn_max=10
respawn_period=300
retry="TERM/%d/KILL/5"
extra_started_commands="reload"

depend() {
	use net
	after firewall
}

start_pre() {
	checkpath -d -m 0700 -o "$command_user" "$data_dir"
}

reload() {
	ebegin "Reloading $RC_SVCNAME"
	supervise-daemon "$RC_SVCNAME" --signal HUP --pidfile "$pidfile"
	eend $?
}
`, shellQuote(p.Path), shellQuote(strings.Join(args, " ")), shellQuote(p.User), shellQuote(p.DataDir), int(p.StopTimeout.Seconds())), nil
}

// shellQuote makes one word of a POSIX shell of any text. Words of plain letters
// stay as they are.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-=:,+@", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
