package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrations bring the schema from each version to the next. What was released
// is never changed; a change is one more entry.
var migrations = []string{
	`
CREATE TABLE agentzero_sessions (
	id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of creation
	owner   TEXT COLLATE "C" NOT NULL,
	name    TEXT COLLATE "C" NOT NULL,
	created BIGINT NOT NULL,                                 -- Unix nanoseconds, as all times
	updated BIGINT NOT NULL,
	epoch   BIGINT NOT NULL,
	last    BIGINT NOT NULL,                                 -- seq of the newest event
	bytes   BIGINT NOT NULL,
	open    BOOLEAN NOT NULL,                                -- work is in flight
	node    TEXT NOT NULL,                                   -- the gateway that wrote last
	head    BYTEA,
	UNIQUE (owner, name)
);
CREATE INDEX agentzero_sessions_open ON agentzero_sessions (node, id) WHERE open;
CREATE INDEX agentzero_sessions_by_owner ON agentzero_sessions (owner, id);
CREATE INDEX agentzero_sessions_by_age ON agentzero_sessions (updated);
CREATE TABLE agentzero_events (
	session BIGINT NOT NULL REFERENCES agentzero_sessions (id) ON DELETE CASCADE,
	seq     BIGINT NOT NULL,
	kind    TEXT NOT NULL,
	turn    TEXT NOT NULL,
	at      BIGINT NOT NULL,
	data    BYTEA,
	PRIMARY KEY (session, seq)
);
CREATE TABLE agentzero_claims (
	key         BYTEA PRIMARY KEY,                           -- it may hold NUL, which TEXT must not
	fingerprint BYTEA NOT NULL,
	owner       TEXT COLLATE "C" NOT NULL,
	name        TEXT COLLATE "C" NOT NULL,
	turn        TEXT NOT NULL,
	place       BIGINT NOT NULL,
	at          BIGINT NOT NULL
);
CREATE INDEX agentzero_claims_by_age ON agentzero_claims (at);
CREATE INDEX agentzero_claims_by_session ON agentzero_claims (owner, name);
`,
	`
CREATE TABLE agentzero_snapshots (
	session BIGINT PRIMARY KEY REFERENCES agentzero_sessions (id) ON DELETE CASCADE,
	data    BYTEA NOT NULL
);
ALTER TABLE agentzero_snapshots ALTER COLUMN data SET STORAGE EXTERNAL; -- compressing takes longer than reading
CREATE TABLE agentzero_probes (
	node TEXT PRIMARY KEY,
	data BYTEA NOT NULL                                      -- written to see whether anything can be
);
`,
	`
CREATE TABLE agentzero_deliveries (
	place        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of acceptance
	channel      TEXT COLLATE "C" NOT NULL,
	id           TEXT COLLATE "C" NOT NULL,
	conversation TEXT NOT NULL,
	state        TEXT NOT NULL,
	open         BOOLEAN NOT NULL,                                -- work is left
	node         TEXT NOT NULL,                                   -- the gateway that accepted it
	accepted     BIGINT NOT NULL,                                 -- Unix nanoseconds, as all times
	updated      BIGINT NOT NULL,
	data         BYTEA,
	UNIQUE (channel, id)
);
CREATE INDEX agentzero_deliveries_by_place ON agentzero_deliveries (channel, place);
CREATE INDEX agentzero_deliveries_open ON agentzero_deliveries (channel, node, place) WHERE open;
CREATE INDEX agentzero_deliveries_over ON agentzero_deliveries (channel, updated) WHERE NOT open;
`,
}

// schemaLock keeps two gateways that start at once from migrating at once: an
// arbitrary number, "agentzero" on a telephone's keys.
const schemaLock = 243689376

var errNewer = errors.New("the database was brought on by a newer version of agentzero: run that version")

// migrate brings the database to the newest schema, in one transaction.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS agentzero_schema (version INT NOT NULL)"); err != nil {
			return err
		}
		var version int
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM agentzero_schema").Scan(&version); err != nil {
			return err
		}
		if version > len(migrations) {
			return fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, len(migrations))
		}
		for i, step := range migrations[version:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return fmt.Errorf("bring the schema from version %d on: %w", version+i, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO agentzero_schema VALUES ($1)", version+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}
