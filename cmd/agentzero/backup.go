package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"agentzero/store/sqlite"
)

var errNoFile = errors.New("only store.kind sqlite is one file; back a PostgreSQL database up with its own tools (pg_dump)")

func newBackupCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy all sessions into a file, while the gateway runs or not",
		Long: `Copy the journal of all sessions, as it stands at one moment, into a new file,
readable by you only. A gateway may be running and go on. The tokens are not in
it: they are in tokens.json of the data directory.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.backup(cmd.Context(), args[0])
		},
	}
}

func (a *app) backup(ctx context.Context, to string) error {
	j, err := a.openFile()
	if err != nil {
		return err
	}
	defer j.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: give another name", to)
	}
	if err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	if err := errors.Join(f.Close(), j.Backup(ctx, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	_, err = fmt.Fprintln(a.stdout, to)
	return err
}

// openFile opens sqlite's file to look at it.
func (a *app) openFile() (*sqlite.Journal, error) {
	c, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	if c.Store.Kind != "sqlite" {
		return nil, errNoFile
	}
	return sqlite.Open(sqlite.Options{Path: c.Store.Path, ReadOnly: true})
}

func newRestoreCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of all sessions, while the gateway runs or not",
		Long: `Put a backup in the place of all sessions, whether the gateway runs or not. What
is there now is kept beside it, with .before-restore behind its name. A backup that
is damaged, or of a newer version, is refused, and nothing is changed. A running
gateway takes what was restored up within two seconds: it interrupts its turns and
ends its event streams, and keeps no message that it took after the backup.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.restore(cmd.Context(), args[0])
		},
	}
}

func (a *app) restore(ctx context.Context, from string) (err error) {
	c, err := a.loadConfig()
	if err != nil {
		return err
	}
	if c.Store.Kind != "sqlite" {
		return errNoFile
	}
	fresh := c.Store.Path + ".restoring"
	if err := removeJournal(fresh); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeJournal(fresh)) }()
	if err := sqlite.Prepare(ctx, from, fresh); err != nil {
		return err
	}
	lock := flock.New(lockPath(c))
	held, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock the journal: %w", err)
	}
	var aside string
	if held {
		defer func() { _ = lock.Unlock() }() // the process ends
		aside, err = moveIn(fresh, c.Store.Path)
	} else {
		aside, err = replaceLive(ctx, fresh, c.Store.Path)
	}
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(a.stdout, "Restored %s from %s.\n", c.Store.Path, from); err == nil && aside != "" {
		_, err = fmt.Fprintf(a.stdout, "What was there before is %s.\n", aside)
	}
	return err
}

// moveIn puts a file in the place of a journal that nobody uses.
func moveIn(fresh, path string) (aside string, err error) {
	if err := os.Chmod(fresh, 0o600); err != nil {
		return "", err
	}
	if aside, err = setAside(path); err != nil {
		return "", err
	}
	return aside, os.Rename(fresh, path)
}

// replaceLive puts a file's contents in the place of those of a journal that a
// gateway uses.
func replaceLive(ctx context.Context, fresh, path string) (aside string, err error) {
	j, err := sqlite.Open(sqlite.Options{Path: path})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	aside = freeName(path + ".before-restore")
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if err := errors.Join(f.Close(), j.Replace(ctx, fresh, aside)); err != nil {
		return "", errors.Join(err, removeJournal(aside))
	}
	return aside, nil
}

// journalFiles are what SQLite keeps beside a file, and the file itself.
var journalFiles = []string{"", "-wal", "-shm"}

// setAside gives a journal that is there another name as well, one that nothing
// has, and returns it; "" where there is none. The journal keeps its own name
// until another file takes it, so that there is one at every moment.
func setAside(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	// Closing it moves what its WAL holds into the file. One that is too damaged
	// for that is kept with the WAL beside it.
	if j, err := sqlite.Open(sqlite.Options{Path: path}); err == nil {
		if err := j.Close(); err != nil {
			return "", err
		}
	}
	aside := freeName(path + ".before-restore")
	for _, suffix := range journalFiles {
		err := os.Link(path+suffix, aside+suffix)
		if err == nil && suffix != "" {
			err = os.Remove(path + suffix)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// freeName is the name, or with a number behind it where it is taken.
func freeName(name string) string {
	free := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
}

func removeJournal(path string) error {
	for _, suffix := range journalFiles {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
