package program

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

func shell(script string) Program { return Program{Path: "/bin/sh", Args: []string{"-c", script}} }

func TestRunReturnsWhatWasPrinted(t *testing.T) {
	p := shell(`cat; echo "$WHAT" >&2`)
	p.Stdin, p.Env = []byte("in and "), []string{"WHAT=out"}
	if got := p.Run(t); got != "in and out\n" {
		t.Errorf("printed %q", got)
	}
}

func TestTryReturnsTheExitCode(t *testing.T) {
	if text, code := shell("echo no; exit 3").Try(t); text != "no\n" || code != 3 {
		t.Errorf("%q, exit code %d", text, code)
	}
}

func TestALimitEndsTheProgramAndItsChildren(t *testing.T) {
	p := shell("sleep 600 & echo $!; wait")
	p.Limit = 200 * time.Millisecond
	text, err := p.run(t)
	if err == nil || !strings.Contains(err.Error(), "still running") {
		t.Fatalf("ended with %v", err)
	}
	mustBeGone(t, text)
}

func TestAChildThatIsLeftBehindIsEnded(t *testing.T) {
	mustBeGone(t, shell("sleep 600 >/dev/null 2>&1 & echo $!").Run(t))
}

func TestAProcessEndsWithItsTest(t *testing.T) {
	var child string
	t.Run("the test", func(t *testing.T) {
		p := shell("sleep 600 & echo $!; wait").Start(t)
		for printed := p.Printed(); p.Output() == ""; printed = p.Printed() {
			<-printed
		}
		child = p.Output()
		select {
		case <-p.Ended():
			t.Errorf("it has ended: %v", p.Err())
		default:
		}
	})
	mustBeGone(t, child)
}

// mustBeGone waits until there is no process of the number that was printed.
// What is left of it after its end is its parent's to take away: that is not
// this one, and may need a moment.
func mustBeGone(t *testing.T, printed string) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(printed))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !gone(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func gone(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(state), "Z")
}
