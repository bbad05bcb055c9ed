package sqlite

import (
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileError is a file that cannot be used as a journal. It has been left as it
// is.
type FileError struct {
	Path string
	// Err is what is wrong.
	Err error
	// Remedy is what a person can do, a part of a sentence.
	Remedy string
}

func (e *FileError) Error() string {
	return fmt.Sprintf("journal %s: %v; %s", e.Path, e.Err, e.Remedy)
}

// Unwrap gives Err.
func (e *FileError) Unwrap() error { return e.Err }

// fileError tells what to do about a file that could not be opened or written.
func fileError(path string, err error) error {
	remedy := "look at the file and its directory"
	switch primary(err) {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		remedy = "it is damaged, or no journal at all: restore it from a backup, or move it away to begin anew"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		remedy = "let the user that runs agentzero own and write the file and its directory"
	case sqlite3.SQLITE_FULL:
		remedy = "the disk is full: make room"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		remedy = "another program holds it: stop that one"
	case sqlite3.SQLITE_IOERR:
		remedy = "the disk cannot be read or written, or is full: look at the system's log"
	default:
		switch {
		case errors.Is(err, errNewer):
			remedy = "run that version, or give another data directory"
		case errors.Is(err, errForeign):
			remedy = "move it away, or give another data directory"
		case errors.Is(err, fs.ErrPermission):
			remedy = "let the user that runs agentzero own and write the file and its directory"
		case errors.Is(err, fs.ErrNotExist):
			remedy = "the gateway makes it at its first start"
		}
	}
	return &FileError{Path: path, Err: err, Remedy: remedy}
}

// primary is SQLite's result code without its extension, or 0.
func primary(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}
