package daemon

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentzero/test/gateway"
)

// child is a process that stays in the foreground, as a service manager starts it.
func child(t *testing.T, m *machine, args ...string) *exec.Cmd {
	t.Helper()
	path, err := gateway.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "--data-dir", m.dir)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), m.env...)
	return cmd
}

// follow runs `daemon logs -f`.
func follow(t *testing.T, m *machine) (lines *bufio.Scanner, stop func()) {
	t.Helper()
	cmd := child(t, m, "daemon", "logs", "-f")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	return bufio.NewScanner(out), func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("logs -f ended with %v", err)
		}
		if !late.Stop() {
			t.Error("logs -f had to be killed")
		}
	}
}

func TestASupervisorIsToldOfTheGatewaysLife(t *testing.T) {
	m := newMachine(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	hear := func(want string) string {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			socket.SetReadDeadline(time.Now().Add(patience))
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("no %s: %v", want, err)
			}
			if text := string(buf[:n]); strings.Contains(text, want) {
				return text
			}
		}
	}
	cmd := child(t, m, "daemon", "start", "--foreground", "--demo")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=400000")
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	ready := hear("READY=1")
	s, _ := m.status() // it was ready when it said so
	if !s.Running || s.Health != "ok" || s.PID != cmd.Process.Pid || !strings.Contains(ready, s.Address) {
		t.Errorf("%q, then %+v", ready, s)
	}
	for range 3 {
		hear("WATCHDOG=1")
	}
	// A process that hangs says nothing, and would be restarted.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	socket.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	for buf := make([]byte, 4096); err == nil; {
		_, err = socket.Read(buf) // what it had said before
	}
	socket.SetReadDeadline(time.Now().Add(600 * time.Millisecond))
	if n, err := socket.Read(make([]byte, 4096)); err == nil {
		t.Errorf("a stopped process has said %d bytes", n)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	hear("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	if err := cmd.Wait(); err != nil || !late.Stop() {
		t.Errorf("exit: %v", err)
	}
	if codePattern.MatchString(out.String()+log.String()) || !strings.Contains(out.String(), "token create") {
		t.Errorf("what a journal would keep:\n%s%s", out.String(), log.String())
	}
	if !strings.Contains(m.log(), "gateway stopped") || !strings.Contains(log.String(), "gateway stopped") {
		t.Errorf("the log is not in both places:\n%s", log.String())
	}
}
