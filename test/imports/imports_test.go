// Package imports holds the rule that data and dependencies flow one way: which
// folder may import which is a table, and an import outside it fails here.
package imports

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "agentzero"

// everything stands for any folder of the tree.
const everything = "*"

// mayImport is the table of ARCHITECTURE.md and CONTRIBUTING.md. A folder's own
// subfolders are always allowed to it. Tests are free to import what they test.
var mayImport = map[string][]string{
	"cmd/agentzero":       {everything},
	"cmd/agentzero-bench": {"bench"},
	"transport":           {"actors", "agent", "channels"},
	"actors":              {"agent", "channels", "store"},
	"agent":               {},
	"channels":            {},
	"store":               {},
	"auth":                {},
	"daemon":              {},
	"client":              {},
	"config":              {},
	"bench":               {},
	"test":                {},
}

func TestImportsFlowOneWay(t *testing.T) {
	for _, fault := range faults(t, os.DirFS("../..")) {
		t.Error(fault)
	}
}

func TestAnUpwardImportIsFound(t *testing.T) {
	tree := fstest.MapFS{
		"agent/a.go":               {Data: []byte(`package agent; import _ "agentzero/actors"`)},
		"agent/a_test.go":          {Data: []byte(`package agent; import _ "agentzero/transport"`)},
		"actors/a.go":              {Data: []byte(`package actors; import (_ "agentzero/agent"; _ "agentzero/actors/internal/x"; _ "fmt")`)},
		"actors/internal/x/x.go":   {Data: []byte(`package x; import _ "agentzero/config"`)},
		"transport/win.go":         {Data: []byte("//go:build windows\n\npackage transport; import _ \"agentzero/auth\"")},
		"cmd/agentzero/main.go":    {Data: []byte(`package main; import (_ "agentzero/config"; _ "agentzero/transport")`)},
		"util/u.go":                {Data: []byte(`package util`)},
		"test/x/node_modules/a.go": {Data: []byte(`no Go at all`)},
	}
	got := faults(t, tree)
	want := []string{
		"actors/internal/x/x.go: actors may not import agentzero/config",
		"agent/a.go: agent may not import agentzero/actors",
		"transport/win.go: transport may not import agentzero/auth",
		"util/u.go: the folder util is not in the table of imports",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// faults reads every Go file of the tree, whatever its build tags, and returns
// what breaks the table, sorted.
func faults(t *testing.T, tree fs.FS) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		bad, err := check(tree, name)
		found = append(found, bad...)
		return err
	})
	if err != nil {
		t.Fatalf("walk the tree: %v", err)
	}
	slices.Sort(found)
	return found
}

func check(tree fs.FS, name string) ([]string, error) {
	own, known := folder(path.Dir(name))
	if !known {
		return []string{fmt.Sprintf("%s: the folder %s is not in the table of imports", name, path.Dir(name))}, nil
	}
	src, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var bad []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		rest, ours := strings.CutPrefix(imported, module+"/")
		if !ours {
			continue
		}
		target, _ := folder(rest)
		allowed := mayImport[own]
		if target != own && !slices.Contains(allowed, target) && !slices.Contains(allowed, everything) {
			bad = append(bad, fmt.Sprintf("%s: %s may not import %s", name, own, imported))
		}
	}
	return bad, nil
}

// folder returns the entry of the table that a path within the module falls under.
func folder(p string) (string, bool) {
	for name := range mayImport {
		if p == name || strings.HasPrefix(p, name+"/") {
			return name, true
		}
	}
	return p, false
}
