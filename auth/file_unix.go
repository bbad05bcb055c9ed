//go:build unix

package auth

import (
	"io/fs"
	"os"
	"syscall"
)

// openToOthers tells whether users other than the owner may use the file.
func openToOthers(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o077 != 0
}

// inheritOwner gives a file that root has made to whom like belongs to, so
// that a gateway which runs as another user can go on reading it.
func inheritOwner(file *os.File, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(st.Uid), int(st.Gid))
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
