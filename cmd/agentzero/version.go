package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Releases set these with -ldflags "-X main.version=v1.2.3 -X main.commit=...";
// other builds know what the Go toolchain wrote into them.
var version, commit string

// buildInfo tells which program this is.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // "" where the build does not know it
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readVersion() buildInfo {
	info := buildInfo{
		Version: version,
		Commit:  commit,
		Go:      runtime.Version(),
		OS:      runtime.GOOS,
		Arch:    runtime.GOARCH,
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		info.fill(build)
	}
	if info.Version == "" {
		info.Version = "(devel)"
	}
	return info
}

// fill takes what the linker was not told from what the toolchain knows.
func (b *buildInfo) fill(build *debug.BuildInfo) {
	if b.Version == "" {
		b.Version = build.Main.Version
	}
	for _, setting := range build.Settings {
		switch {
		case setting.Key == "vcs.revision" && b.Commit == "":
			b.Commit = setting.Value
		case setting.Key == "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
}

// String is one line for people.
func (b buildInfo) String() string {
	commit := b.Commit
	if commit == "" {
		commit = "unknown"
	}
	if b.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("agentzero %s (commit %s, %s, %s/%s)", b.Version, commit, b.Go, b.OS, b.Arch)
}

func newVersionCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := readVersion()
			if asJSON {
				return writeJSON(a.stdout, info)
			}
			_, err := fmt.Fprintln(a.stdout, info)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// writeJSON prints v for programs and for people.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
