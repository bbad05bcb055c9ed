package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// pagesPerStep is how much a backup copies before it lets a writer in.
const pagesPerStep = 256

// Backup copies the journal, as it stands at one moment, into a file, while it
// is written to.
func (j *Journal) Backup(ctx context.Context, path string) error {
	conn, err := j.read.Conn(ctx)
	if err != nil {
		return j.readError(err)
	}
	defer conn.Close()
	// One reading transaction over all steps: otherwise each step after a write
	// begins anew, and a busy gateway's backup never ends.
	if err := snapshot(ctx, conn); err != nil {
		return j.readError(err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return conn.Raw(func(driver any) error {
		source, ok := driver.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("store: the driver %T makes no backups", driver)
		}
		backup, err := source.NewBackup(path)
		if err != nil {
			return fileError(path, err)
		}
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				_ = backup.Finish()
				return err
			}
			if more, err = backup.Step(pagesPerStep); err != nil {
				_ = backup.Finish()
				return fileError(path, err)
			}
		}
		return backup.Finish()
	})
}

// Check reads the whole file and fails if it is damaged.
func (j *Journal) Check(ctx context.Context) error {
	var found string
	if err := j.read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return j.readError(err)
	}
	if found != "ok" {
		return &FileError{Path: j.path, Err: errors.New("it is damaged: " + found), Remedy: "use another backup"}
	}
	return nil
}

// snapshot begins a transaction that sees the journal as it is now.
func snapshot(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	return nil
}
