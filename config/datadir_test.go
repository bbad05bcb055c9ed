package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnsureDataDir(t *testing.T) {
	t.Run("makes what is missing for the owner only", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		for range 2 { // the second time it is there
			if warnings, err := EnsureDataDir(dir); err != nil || warnings != nil {
				t.Fatalf("got %q, %v", warnings, err)
			}
		}
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s has mode %v, %v", d, info.Mode(), err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("something was left in it: %v, %v", left, err)
		}
	})
	t.Run("warns where others can write", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o770); err != nil {
			t.Fatal(err)
		}
		warnings, err := EnsureDataDir(dir)
		want := "other users can write to the data directory " + dir + " (mode 0770): run chmod 700 " + dir
		if err != nil || len(warnings) != 1 || warnings[0] != want {
			t.Errorf("got %q, %v, want %q", warnings, err, want)
		}
	})
	t.Run("refuses a file", func(t *testing.T) {
		path := writeFile(t, t.TempDir(), "file", "")
		_, err := EnsureDataDir(path)
		if err == nil || err.Error() != "the data directory "+path+" is not a directory" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("tells what it cannot make", func(t *testing.T) {
		path := filepath.Join(writeFile(t, t.TempDir(), "file", ""), "dir")
		if _, err := EnsureDataDir(path); err == nil || !strings.Contains(err.Error(), path+": not a directory") {
			t.Errorf("got %v", err)
		}
	})
	for mode, want := range map[os.FileMode]string{0o300: "cannot read", 0o500: "cannot write to"} {
		t.Run(want+" it", func(t *testing.T) {
			if os.Geteuid() == 0 {
				t.Skip("root can read and write everywhere")
			}
			dir := t.TempDir()
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			_, err := EnsureDataDir(dir)
			if want := want + " the data directory " + dir + ": permission denied"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
