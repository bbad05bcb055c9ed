//go:build unix

package main

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openFiles is how many files this process may have open. The Go runtime has
// raised the soft limit to the hard one already.
func openFiles() (uint64, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return uint64(limit.Cur), err
}

// freeSpace is what a user may still write where path is or would be, in bytes.
func freeSpace(path string) (int64, error) {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(path, &s)
		if err == nil {
			return int64(uint64(s.Bavail) * uint64(s.Bsize)), nil
		}
		parent := filepath.Dir(path)
		if err != unix.ENOENT || parent == path {
			return 0, err
		}
		path = parent
	}
}
