package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Prepare makes a new file of a backup: checked, of this program's schema, and of
// a generation of its own. The backup may be of an older schema and is left as it
// is.
func Prepare(ctx context.Context, backup, path string) error {
	source, err := openSource(backup)
	if err != nil {
		return fileError(backup, err)
	}
	defer source.Close()
	if err := prepare(Options{Path: path}); err != nil { // for its owner alone
		return fileError(path, err)
	}
	if err := errors.Join(source.Check(ctx), source.Backup(ctx, path)); err != nil {
		return err
	}
	j, err := Open(Options{Path: path}) // brings the schema on
	if err != nil {
		return err
	}
	// No owner from before can write: an actor's epoch is one past what is kept.
	_, err = j.writer.conn.ExecContext(ctx, "UPDATE journal SET generation = ?", newGeneration())
	if err == nil {
		_, err = j.writer.conn.ExecContext(ctx, "UPDATE sessions SET epoch = epoch + 2")
	}
	if err != nil {
		err = fileError(path, err)
	}
	return errors.Join(err, j.Close())
}

// openSource opens a backup to copy it, of whatever schema that this program
// knows.
func openSource(path string) (*Journal, error) {
	j := &Journal{path: path}
	err := prepare(Options{Path: path, ReadOnly: true})
	if err == nil {
		j.read, err = openDB(path, "mode=ro", maxReaders)
	}
	var version int
	if err == nil {
		version, err = schemaVersion(context.Background(), j.read)
	}
	if err == nil && version == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, errors.Join(err, j.closeFiles())
	}
	return j, nil
}

func newGeneration() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, as its documentation says
	return int64(binary.LittleEndian.Uint64(b[:])>>1) | 1
}

// Replace puts the contents of a file that Prepare made in the place of the
// journal's, in one transaction: nothing or all of it happens, while a gateway may
// be using the journal, which waits for the time that it takes. What was there is
// copied to aside, a new file, before.
func (j *Journal) Replace(ctx context.Context, prepared, aside string) (err error) {
	db, err := openDB(j.path, "mode=rw&_pragma=synchronous(full)&_pragma=secure_delete(on)", 1)
	if err != nil {
		return fileError(j.path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fileError(j.path, err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "ATTACH DATABASE ? AS prepared", prepared); err != nil {
		return fileError(prepared, err)
	}
	// From here on nobody else writes, so that the copy has all there is.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fileError(j.path, err)
	}
	err = j.Backup(ctx, aside)
	if err == nil {
		err = replaceTables(ctx, conn)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // or closing the connection does
		return fileError(j.path, err)
	}
	return nil
}

func replaceTables(ctx context.Context, conn *sql.Conn) error {
	var epoch int64
	if err := conn.QueryRowContext(ctx, "SELECT coalesce(max(epoch), 0) FROM main.sessions").Scan(&epoch); err != nil {
		return err
	}
	tables, err := tablesOf(ctx, conn)
	if err != nil {
		return err
	}
	for _, table := range tables {
		name := `"` + strings.ReplaceAll(table, `"`, `""`) + `"`
		for _, statement := range []string{"DELETE FROM main." + name, "INSERT INTO main." + name + " SELECT * FROM prepared." + name} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
	}
	_, err = conn.ExecContext(ctx, "UPDATE main.sessions SET epoch = max(epoch, ?)", epoch+2)
	return err
}

// tablesOf names the tables of the prepared file, in the order of their making.
// The last is SQLite's own of the numbers that were given.
func tablesOf(ctx context.Context, conn *sql.Conn) (tables []string, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT name FROM prepared.sqlite_schema WHERE type = 'table' AND (name NOT LIKE 'sqlite\_%' ESCAPE '\' OR name = 'sqlite_sequence')
		ORDER BY name = 'sqlite_sequence', rowid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}
