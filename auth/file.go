package auth

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	fileName = "tokens.json"
	// maxFileBytes is more than maxTokens of the longest records take.
	maxFileBytes = 16 << 20
	// lockWait bounds the wait for another process that changes the file; each
	// change takes milliseconds.
	lockWait = 5 * time.Second
)

// File is the token file of a directory, for programs that look at it or
// change it without serving requests. A gateway that runs on the same
// directory takes up the changes at once.
type File struct {
	path string
}

// NewFile names the token file of dir. It touches nothing.
func NewFile(dir string) *File {
	return &File{path: filepath.Join(dir, fileName)}
}

// Path is where the file is or would be.
func (f *File) Path() string { return f.path }

// List reads the tokens, oldest first. No file means no tokens. A file that
// cannot be used is a [*FileError].
func (f *File) List() ([]Token, error) {
	l, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	tokens := make([]Token, len(l.records))
	for i, r := range l.records {
		tokens[i] = r.Token
	}
	return tokens, nil
}

// Create makes a token and gives its secret, which is kept nowhere. Errors
// wrap ErrName, ErrOwner, ErrNameTaken, ErrTooMany or a [*FileError].
func (f *File) Create(spec NewToken) (secret string, t Token, err error) {
	_, err = f.update(func(l *ledger) error {
		secret, t, err = l.create(spec, KindCreated, time.Now())
		return err
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	return secret, t, nil
}

// Revoke removes the token with this id or, where no id fits, this name.
// Errors wrap ErrNotFound, ErrAmbiguous or a [*FileError].
func (f *File) Revoke(idOrName string) (t Token, err error) {
	_, err = f.update(func(l *ledger) error {
		t, err = l.revoke(idOrName)
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("revoke token: %w", err)
	}
	return t, nil
}

// RevokeAll removes all tokens and tells how many there were.
func (f *File) RevokeAll() (n int, err error) {
	_, err = f.update(func(l *ledger) error {
		n = len(l.records)
		if n == 0 {
			return errUnchanged
		}
		l.records = nil
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("revoke all tokens: %w", err)
	}
	return n, nil
}

// errUnchanged is what an alteration returns where nothing need be written.
var errUnchanged = errors.New("unchanged")

// update reads the file, alters what it holds, and replaces it, while no other
// process does the same. It gives what the file then holds. When alter fails,
// nothing is written.
func (f *File) update(alter func(*ledger) error) (*ledger, error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return nil, err
	}
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := f.read()
	if err != nil {
		return nil, err
	}
	switch err := alter(l); {
	case errors.Is(err, errUnchanged):
		return l, nil
	case err != nil:
		return nil, err
	}
	if err := f.write(l); err != nil {
		return nil, err
	}
	return l, nil
}

// lock makes the calling process the only one that changes the file, until it
// calls what is returned. It locks a file beside, as the token file itself is
// replaced at each change.
func (f *File) lock() (unlock func(), err error) {
	path := f.path + ".lock"
	lf, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := inheritOwner(lf, filepath.Dir(path)); err != nil {
		lf.Close()
		return nil, err
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(5 * time.Millisecond) {
		switch held, err := tryLock(lf); {
		case err != nil:
			lf.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		case held:
			// Closing lets go of the lock, on every system.
			return func() { lf.Close() }, nil
		case time.Now().After(deadline):
			lf.Close()
			return nil, &FileError{Path: f.path, Err: errors.New("another process has held its lock for too long"), Remedy: "end that process and try again"}
		}
	}
}

// read reads and checks the file. No file is an empty ledger marked missing.
func (f *File) read() (*ledger, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &ledger{missing: true}, nil
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	// Opening a pipe would wait for its other end.
	if !info.Mode().IsRegular() {
		return nil, &FileError{Path: f.path, Err: errors.New("not a regular file"), Remedy: "move it away"}
	}
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &ledger{missing: true}, nil
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, f.unreadable(err)
	}
	if openToOthers(info) {
		return nil, &FileError{
			Path:   f.path,
			Err:    fmt.Errorf("its mode %#o lets other users read or change it", info.Mode().Perm()),
			Remedy: "run chmod 600 on it, and revoke its tokens if others may have seen it",
		}
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, f.unreadable(err)
	}
	if len(data) > maxFileBytes {
		return nil, f.corrupt(fmt.Errorf("larger than %d bytes", maxFileBytes))
	}
	l, err := parseLedger(data)
	if err != nil {
		return nil, f.corrupt(err)
	}
	return l, nil
}

func (f *File) unreadable(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = fmt.Errorf("cannot %s it: %w", pathErr.Op, pathErr.Err)
	}
	return &FileError{Path: f.path, Err: err, Remedy: "let the user that runs agentzero own and read it"}
}

func (f *File) corrupt(err error) error {
	return &FileError{Path: f.path, Err: err, Remedy: "restore it from a backup, or move it away and pair or create tokens anew"}
}

// write replaces the file in one step that a crash cannot cut in half. The
// caller holds the lock.
func (f *File) write(l *ledger) (err error) {
	data, err := l.encode()
	if err != nil {
		return err
	}
	// One name for the temporary file, so that crashes leave no more than one.
	tmp := f.path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	like := f.path
	if l.missing {
		like = filepath.Dir(f.path)
	}
	_, err = file.Write(data)
	err = errors.Join(err, inheritOwner(file, like), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, f.path); err != nil {
		return err
	}
	l.missing = false
	return syncDir(filepath.Dir(f.path))
}
