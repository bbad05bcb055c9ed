package main

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// openFiles: there is no such limit here.
func openFiles() (uint64, error) { return 0, errors.ErrUnsupported }

// freeSpace is what a user may still write where path is or would be, in bytes.
func freeSpace(path string) (int64, error) {
	for {
		name, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return 0, err
		}
		var free uint64
		if err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err == nil {
			return int64(free), nil
		}
		parent := filepath.Dir(path)
		if parent == path {
			return 0, err
		}
		path = parent
	}
}
