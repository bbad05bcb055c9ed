package main

import (
	"encoding/json"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	for _, line := range []string{"version", "--version"} {
		got := runCommand(t.TempDir(), nil, line)
		if got.code != exitOK || got.stderr != "" || !strings.HasPrefix(got.stdout, "agentzero ") ||
			!strings.HasSuffix(got.stdout, ", "+runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH+")\n") {
			t.Errorf("%s: got %+v", line, got)
		}
	}
	got := runCommand(t.TempDir(), nil, "version", "--json")
	var info buildInfo
	if err := json.Unmarshal([]byte(got.stdout), &info); err != nil || info != readVersion() || info.Version == "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTheLinkersVersionIsStrongerThanTheToolchains(t *testing.T) {
	build := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.0.0"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	for _, c := range []struct {
		linked, want buildInfo
		line         string
	}{
		{buildInfo{}, buildInfo{Version: "v1.0.0", Commit: "abc", Modified: true}, "agentzero v1.0.0 (commit abc, modified, "},
		{buildInfo{Version: "v2", Commit: "def"}, buildInfo{Version: "v2", Commit: "def", Modified: true}, "agentzero v2 (commit def, modified, "},
	} {
		got := c.linked
		got.fill(build)
		if !reflect.DeepEqual(got, c.want) || !strings.HasPrefix(got.String(), c.line) {
			t.Errorf("got %+v, %s", got, got)
		}
	}
}
