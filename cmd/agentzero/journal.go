package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"

	"agentzero/config"
	"agentzero/store"
	"agentzero/store/postgres"
	"agentzero/store/sqlite"
)

const (
	storeMemory   = "memory"
	storePostgres = "postgres"
)

// openTimeout bounds the wait for a database that does not answer.
const openTimeout = 20 * time.Second

// openJournal opens what keeps the conversations. A file is this gateway's alone.
func (g *gateway) openJournal() error {
	c := g.config
	switch c.Store.Kind {
	case storeMemory:
		g.journal = store.NewMemory(store.MemoryOptions{MaxSessions: c.Store.MaxSessions, MaxBytes: c.Store.MaxBytes})
		return nil
	case storePostgres:
		j, err := openPostgres(c)
		g.journal = j
		return err
	}
	g.lock = flock.New(lockPath(c))
	held, err := g.lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock the journal: %w; let the user that runs agentzero write to its directory", err)
	}
	if !held {
		return errInUse(c)
	}
	j, err := sqlite.Open(sqlite.Options{Path: c.Store.Path})
	g.journal = j
	return err
}

func openPostgres(c *config.Config) (*postgres.Journal, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	j, err := postgres.Open(ctx, postgres.Options{URL: c.Store.URL.Reveal(), Node: nodeID(c.Gateway.NodeControl)})
	if err != nil {
		return nil, fmt.Errorf("%w; see to the database, or to store.url", err)
	}
	return j, nil
}

func lockPath(c *config.Config) string { return c.Store.Path + ".lock" }

func errInUse(c *config.Config) error {
	return fmt.Errorf("another gateway uses the journal %s: stop it, or give this one a directory of its own with --data-dir", c.Store.Path)
}

func (g *gateway) unlock() {
	if g.lock != nil {
		_ = g.lock.Unlock() // the process ends
	}
}

var errNotKept = errors.New("store.kind is memory: the sessions are in the running gateway alone; ask it by its API")

// openKept opens the journal for a command that looks at it or, with write,
// changes it, while a gateway may be running.
func (a *app) openKept(write bool) (store.Journal, *config.Config, error) {
	c, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	var j store.Journal
	switch c.Store.Kind {
	case storeMemory:
		return nil, nil, errNotKept
	case storePostgres:
		j, err = openPostgres(c)
	default:
		j, err = sqlite.Open(sqlite.Options{Path: c.Store.Path, ReadOnly: !write})
	}
	if err != nil {
		return nil, nil, err
	}
	return j, c, nil
}
