package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// EnsureDataDir makes sure that dir is a directory the gateway can keep its
// state in: it is made, with mode 0700, where it is missing (its parents too),
// and must be readable and writable. The warnings are for people: others can
// write to it.
func EnsureDataDir(dir string) (warnings []string, err error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the data directory %s: %w", dir, err)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at the data directory %s: %w", dir, cause(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the data directory %s is not a directory", dir)
	}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("cannot read the data directory %s: %w", dir, cause(err))
	}
	if err := probeWrite(dir); err != nil {
		return nil, fmt.Errorf("cannot write to the data directory %s: %w", dir, cause(err))
	}
	// Windows keeps its permissions elsewhere.
	if mode := info.Mode().Perm(); mode&0o022 != 0 && runtime.GOOS != "windows" {
		warnings = append(warnings, fmt.Sprintf("other users can write to the data directory %s (mode %04o): run chmod 700 %s", dir, mode, dir))
	}
	return warnings, nil
}

// probeWrite tries instead of asking: mount options and quotas count too.
func probeWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	err = f.Close()
	return errors.Join(err, os.Remove(f.Name()))
}
