package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks the file as ours: "AZj" and the format's number 0.
const applicationID = 0x415a6a00

// migrations bring the schema from each version to the next. What was released
// is never changed; a change is one more entry.
var migrations = []string{
	`
CREATE TABLE sessions (
	id      INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of creation
	owner   TEXT NOT NULL,
	name    TEXT NOT NULL,
	created INTEGER NOT NULL,                  -- Unix nanoseconds, as all times
	updated INTEGER NOT NULL,
	epoch   INTEGER NOT NULL,
	last    INTEGER NOT NULL,                  -- seq of the newest event
	bytes   INTEGER NOT NULL,
	open    INTEGER NOT NULL,                  -- 1: work is in flight
	head    BLOB,
	UNIQUE (owner, name)
) STRICT;
CREATE INDEX sessions_open ON sessions (id) WHERE open;
CREATE INDEX sessions_by_owner ON sessions (owner, id);
CREATE INDEX sessions_by_age ON sessions (updated);
CREATE TABLE events (
	session INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	kind    TEXT NOT NULL,
	turn    TEXT NOT NULL,
	at      INTEGER NOT NULL,
	data    BLOB,
	PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
	key         TEXT PRIMARY KEY,
	fingerprint BLOB NOT NULL,
	owner       TEXT NOT NULL,
	name        TEXT NOT NULL,
	turn        TEXT NOT NULL,
	place       INTEGER NOT NULL,
	at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_age ON claims (at);
CREATE INDEX claims_by_session ON claims (owner, name);
CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (1, 0);
`,
	`
CREATE TABLE snapshots (session INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE journal (
	one        INTEGER PRIMARY KEY CHECK (one = 1),
	generation INTEGER NOT NULL, -- another one after a restore
	probe      BLOB NOT NULL     -- written to see whether anything can be
) STRICT;
INSERT INTO journal VALUES (1, 0, x'');
`,
	`
CREATE TABLE deliveries (
	place        INTEGER PRIMARY KEY, -- in the order of acceptance
	channel      TEXT NOT NULL,
	id           TEXT NOT NULL,
	conversation TEXT NOT NULL,
	state        TEXT NOT NULL,
	open         INTEGER NOT NULL,                  -- 1: work is left
	accepted     INTEGER NOT NULL,                  -- Unix nanoseconds, as all times
	updated      INTEGER NOT NULL,
	data         BLOB,
	UNIQUE (channel, id)
) STRICT;
CREATE INDEX deliveries_open ON deliveries (channel, place) WHERE open;
CREATE INDEX deliveries_over ON deliveries (channel, updated) WHERE NOT open;
`,
}

var (
	errNewer   = errors.New("it was written by a newer version of agentzero")
	errForeign = errors.New("it is a database of another program")
)

// migrate brings a database to the newest schema, in one transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version == len(migrations) {
		return nil
	}
	for _, step := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("bring the schema from version %d on: %w", version, err)
		}
		version++
	}
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", version),
	} {
		if _, err := tx.ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// checkSchema is migrate for a file that must not be changed.
func checkSchema(ctx context.Context, db *sql.DB) error {
	version, err := schemaVersion(ctx, db)
	if err == nil && version < len(migrations) {
		err = errors.New("it has an older schema: start the gateway once to bring it up to date")
	}
	return err
}

type queryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// schemaVersion reads the version, 0 of an empty file, and refuses what is not
// ours to change.
func schemaVersion(ctx context.Context, q queryer) (int, error) {
	var application, version, tables int
	if err := q.QueryRowContext(ctx, "SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id a, pragma_user_version v").
		Scan(&application, &version, &tables); err != nil {
		return 0, err
	}
	switch {
	case application == 0 && version == 0 && tables == 0:
		return 0, nil
	case application != applicationID:
		return 0, errForeign
	case version > len(migrations):
		return 0, fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, len(migrations))
	}
	return version, nil
}
