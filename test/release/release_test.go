// Package release builds a release as `make release` does, for one system, and
// looks at what came of it.
package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/program"
)

// longEnv, set to 1, lets the test run: the tools that pack a release are built
// first, which takes minutes.
const longEnv = "AGENTZERO_TEST_RELEASE"

func TestAReleaseHoldsWhatItShould(t *testing.T) {
	if os.Getenv(longEnv) != "1" {
		t.Skip("it takes minutes; " + longEnv + "=1 lets it run")
	}
	if runtime.GOOS != "linux" {
		part.Cannot(t, "packages of this system", "deb and rpm are Linux's")
	}
	root, err := gateway.Root()
	if err != nil {
		t.Fatal(err)
	}
	target := "linux/" + runtime.GOARCH
	program.Program{Path: filepath.Join(root, "release", "build.sh"), Dir: root, Limit: 20 * time.Minute,
		Env: []string{"VERSION=v1.2.3", "TARGETS=" + target}}.Run(t)
	dist := filepath.Join(root, "dist")

	archive := filepath.Join(dist, "agentzero_v1.2.3_linux_"+runtime.GOARCH+".tar.gz")
	out := t.TempDir()
	program.Program{Path: part.Command(t, "tar"), Args: []string{"-C", out, "-xzf", archive}}.Run(t)
	folder := filepath.Join(out, "agentzero_v1.2.3_linux_"+runtime.GOARCH)
	binary := filepath.Join(folder, "agentzero")
	if said := (program.Program{Path: binary, Args: []string{"version"}}).Run(t); !strings.HasPrefix(said, "agentzero v1.2.3 (commit ") {
		t.Errorf("it says %s", said)
	}
	for _, name := range []string{"LICENSE", "README.md", "man/agentzero.1.gz", "completions/agentzero.bash"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	if deb := find(t, dist, "*.deb"); deb != "" {
		if _, err := exec.LookPath("dpkg-deb"); err == nil {
			said := program.Program{Path: "dpkg-deb", Args: []string{"--contents", deb}}.Run(t)
			for _, name := range []string{"/usr/bin/agentzero", "/usr/share/man/man1/agentzero.1.gz"} {
				if !strings.Contains(said, name) {
					t.Errorf("the package lacks %s:\n%s", name, said)
				}
			}
		}
	}
	find(t, dist, "*.rpm")
	var bom struct {
		Format     string `json:"bomFormat"`
		Components []struct{ Name string }
	}
	data, err := os.ReadFile(find(t, dist, "*sbom.cdx.json"))
	if err != nil || json.Unmarshal(data, &bom) != nil || bom.Format != "CycloneDX" || len(bom.Components) < 10 {
		t.Errorf("the bill of materials: %v, %+v", err, bom)
	}
	program.Program{Path: part.Command(t, "sha256sum"), Args: []string{"--strict", "-c", "SHA256SUMS"}, Dir: dist}.Run(t)
}

// find is the one file of a pattern.
func find(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Errorf("%s: %v, %v", pattern, found, err)
		return ""
	}
	return found[0]
}
