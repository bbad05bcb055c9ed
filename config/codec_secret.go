package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSecretBytes bounds a file that holds a secret.
const maxSecretBytes = 64 << 10

// source is what a value's decoding may look at besides the value.
type source struct {
	// environ is the environment.
	environ map[string]string
	// dir is the directory relative paths are meant from.
	dir string
	// shadowed values are overridden by a stronger source: their form is
	// checked, but what they refer to need not exist.
	shadowed bool
}

// secret is a string that is one, or "env:NAME", or "file:PATH".
func secret() codec[Secret] {
	const want = `a string: the secret itself, "env:NAME" or "file:PATH"`
	return codec[Secret]{
		want:   want,
		hidden: true,
		decode: func(n *node, from source) (Secret, []problem) {
			if !n.isText() {
				return Secret{}, []problem{unwanted(n, true, want)}
			}
			value, err := from.resolve(n.text)
			if err == nil && strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
				err = errors.New("the secret must be one line without control characters")
			}
			if err != nil {
				return Secret{}, []problem{{at: n.valueAt, text: err.Error()}}
			}
			return NewSecret(value), nil
		},
		encode: func(s Secret) string { return quote(s.String()) },
		plain:  func(s Secret) any { return s.String() },
	}
}

// isReference tells whether a secret is written as a reference, which may be
// shown.
func isReference(s string) bool {
	return strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:")
}

// resolve follows a reference; anything else is the secret itself.
func (s source) resolve(written string) (string, error) {
	if s.shadowed {
		return "", nil
	}
	if name, ok := strings.CutPrefix(written, "env:"); ok {
		value, set := s.environ[name]
		switch {
		case !isVariable(name): // perhaps a secret itself: do not repeat it
			return "", errors.New(`"env:" needs the name of a variable: letters, digits and _`)
		case !set:
			return "", fmt.Errorf("the environment variable %s is not set", name)
		case value == "":
			return "", fmt.Errorf("the environment variable %s is empty", name)
		}
		return value, nil
	}
	if path, ok := strings.CutPrefix(written, "file:"); ok {
		if path == "" {
			return "", errors.New(`"file:" needs a path`)
		}
		return readSecret(s.path(path))
	}
	return written, nil
}

func isVariable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
	})
}

// path makes a written path absolute: ~ is the home directory, and a relative
// one starts in the source's directory.
func (s source) path(written string) string {
	if rest, ok := strings.CutPrefix(written, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home := s.home(); home != "" {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(written) {
		return filepath.Clean(written)
	}
	return filepath.Join(s.dir, written)
}

// home is the user's home directory, or "" where none is known.
func (s source) home() string {
	if home := s.environ["HOME"]; home != "" {
		return home
	}
	return s.environ["USERPROFILE"] // Windows
}

func readSecret(path string) (string, error) {
	// Stat first: opening a pipe would wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot read the secret's file %s: %w", path, cause(err))
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("cannot read the secret's file %s: not a regular file", path)
	}
	data, err := readFile(path, maxSecretBytes)
	if err != nil {
		return "", fmt.Errorf("cannot read the secret's file %s: %w", path, err)
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(data) == 0 {
		return "", fmt.Errorf("the secret's file %s is empty", path)
	}
	return string(data), nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("larger than %s", formatSize(int64(limit)))
	}
	return data, nil
}

// cause strips the operation and the path from an error of package os, where
// the message around it tells them better.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
