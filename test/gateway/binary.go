package gateway

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// BinaryEnv names a binary that is there already, such as `make build` made; the
// tests then run that one. Main sets it where it builds one.
const BinaryEnv = "AGENTZERO_BIN"

// Main is the TestMain of a package that starts gateways: it sees to it that
// there is a binary, built once from the tree as it is, runs the tests, ends what
// they share by calling the functions after, and fails if the tests leave a
// goroutine behind.
func Main(m *testing.M, after ...func()) {
	os.Exit(runMain(m, after))
}

func runMain(m *testing.M, after []func()) int {
	if os.Getenv(BinaryEnv) == "" {
		dir, err := os.MkdirTemp("", "agentzero-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "make a folder for the gateway's binary:", err)
			return 1
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "agentzero")
		if err := build(path); err != nil {
			fmt.Fprintln(os.Stderr, "build the gateway:", err)
			return 1
		}
		os.Setenv(BinaryEnv, path)
	}
	code := m.Run()
	for _, f := range after {
		f()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func build(path string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/agentzero")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// Binary returns the absolute path of the gateway's binary.
func Binary() (string, error) {
	path := os.Getenv(BinaryEnv)
	if path == "" {
		return "", errors.New(BinaryEnv + " is not set: the package's TestMain must call gateway.Main")
	}
	if !filepath.IsAbs(path) { // as a person would give it: from the top of the tree
		root, err := Root()
		if err != nil {
			return "", err
		}
		path = filepath.Join(root, path)
	}
	_, err := os.Stat(path)
	return path, err
}

// Root is the top folder of the tree, found from the working folder, which is
// the package's in a test.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in the working folder or above it")
		}
		dir = parent
	}
}
