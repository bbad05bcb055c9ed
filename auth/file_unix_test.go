//go:build unix

package auth

import (
	"os"
	"syscall"
	"testing"
)

func TestTheOwnerOfTheFileStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	const uid = 4321
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Skip("files cannot be given away here:", err)
	}
	f := NewFile(dir)
	for _, name := range []string{"first", "second"} {
		if _, _, err := f.Create(NewToken{Name: name}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{f.Path(), f.Path() + ".lock"} {
			if got := ownerOf(t, path); got != uid {
				t.Errorf("after the %s change %s belongs to %d", name, path, got)
			}
		}
	}
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
