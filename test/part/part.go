// Package part is how a test tells that a real part it needs (a client, a
// server, a tool) is not on this machine.
//
// Such a test must not pass in silence. It calls [Missing], which skips it and
// appends the reason to the file named by [FileEnv]; `make test` prints that
// file as one list at its end. With [RequireEnv] set the test fails instead, so
// that CI cannot go green without having run the part. [Cannot] is for what no
// installation would bring.
package part

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const (
	// FileEnv names the file that collects what was skipped, one line each:
	// part, test and reason, separated by tabs. Unset, nothing is collected.
	FileEnv = "AGENTZERO_TEST_SKIPS"
	// RequireEnv, set to 1, turns every skip into a failure.
	RequireEnv = "REQUIRE_ALL"
)

// Missing ends the test t because part is not on this machine. The reason says
// what was looked for and how to get it.
func Missing(t testing.TB, part, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s is missing and %s=1: %s", part, RequireEnv, reason)
	}
	if err := record(part, t.Name(), reason); err != nil {
		t.Errorf("record the skipped part: %v", err)
	}
	t.Skipf("skipped, %s is missing: %s", part, reason)
}

// Cannot ends the test t because this machine cannot have what it needs, however
// much is installed: a kernel feature, or a right that a container does not give.
// It skips aloud as [Missing] does, but does not fail where all is required, as
// no installation would help.
func Cannot(t testing.TB, what, reason string) {
	t.Helper()
	if err := record(what, t.Name(), reason+" (not to be had on this machine)"); err != nil {
		t.Errorf("record what the machine cannot: %v", err)
	}
	t.Skipf("skipped, this machine cannot have %s: %s", what, reason)
}

// Command returns the path of the named program, or ends the test with
// [Missing] where PATH holds none.
func Command(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, "no program of that name on PATH")
	}
	return path
}

// File returns path if a file or folder is there, else it ends the test with
// [Missing].
func File(t testing.TB, part, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, part, path+" is not there; run `make deps`")
	}
	return path
}

// record appends one line. Test binaries of several packages write the file at
// the same time: one short O_APPEND write a line keeps the lines whole.
func record(part, test, reason string) error {
	name := os.Getenv(FileEnv)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%s\t%s\t%s\n", part, test, reason); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
