package part_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"agentzero/test/part"
)

// recorder is a testing.TB that ends like a real one but tells how it ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestOfAPart" }
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = format
	runtime.Goexit()
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = format
	runtime.Goexit()
}

func run(f func(testing.TB)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() { defer close(done); f(r) }()
	<-done
	return r
}

func TestMissingSkipsAndRecordsTheReason(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skips")
	t.Setenv(part.FileEnv, file)
	t.Setenv(part.RequireEnv, "")
	r := run(func(tb testing.TB) { part.Missing(tb, "promtool", "not on PATH") })
	if r.skipped == "" || r.failed != "" {
		t.Fatalf("skipped %q, failed %q; want a skip", r.skipped, r.failed)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "promtool\tTestOfAPart\tnot on PATH\n"; string(got) != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestMissingFailsWhereAllIsRequired(t *testing.T) {
	t.Setenv(part.FileEnv, "")
	t.Setenv(part.RequireEnv, "1")
	r := run(func(tb testing.TB) { part.Missing(tb, "promtool", "not on PATH") })
	if r.failed == "" || r.skipped != "" {
		t.Fatalf("skipped %q, failed %q; want a failure", r.skipped, r.failed)
	}
}

func TestCannotSkipsEvenWhereAllIsRequired(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skips")
	t.Setenv(part.FileEnv, file)
	t.Setenv(part.RequireEnv, "1")
	r := run(func(tb testing.TB) { part.Cannot(tb, "namespaces", "unshare is refused") })
	if r.skipped == "" || r.failed != "" {
		t.Fatalf("skipped %q, failed %q; want a skip", r.skipped, r.failed)
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != "namespaces\tTestOfAPart\tunshare is refused (not to be had on this machine)\n" {
		t.Errorf("recorded %q, %v", got, err)
	}
}

func TestCommandFindsWhatIsThere(t *testing.T) {
	if got := part.Command(t, "go"); !strings.HasSuffix(got, "go") {
		t.Errorf("Command(go) = %q", got)
	}
	t.Setenv(part.FileEnv, "")
	t.Setenv(part.RequireEnv, "")
	r := run(func(tb testing.TB) { part.Command(tb, "no-such-program-anywhere") })
	if r.skipped == "" {
		t.Error("Command did not skip on a program that is not there")
	}
}
