package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"agentzero/store"
	"agentzero/store/storetest"
	"agentzero/test/postgres"
)

// A journal of the first version keeps what it holds and takes what is new.
func TestAJournalOfVersionOneIsBroughtOn(t *testing.T) {
	url := postgres.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), migrations[0]+`
		CREATE TABLE agentzero_schema (version INT NOT NULL);
		INSERT INTO agentzero_schema VALUES (1);
		INSERT INTO agentzero_sessions (owner, name, created, updated, epoch, last, bytes, open, node, head) VALUES ('o', 's', 1, 2, 3, 1, 9, true, '', '{"a":1}');
		INSERT INTO agentzero_events VALUES (1, 1, 'k', 't', 2, '{"n":1}')`)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := open(t, url)
	s, err := j.Load(t.Context(), id)
	if err != nil || s.Last != 1 || s.Epoch != 3 || !s.Open || string(s.Head) != `{"a":1}` {
		t.Errorf("got %+v, %v", s, err)
	}
	b := one(1)
	b.Snapshot = []byte("new")
	if err := storetest.Append(j, id, 3, b); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Snapshot(t.Context(), id); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v", got, err)
	}
}

// NUL in a text is what PostgreSQL refuses; the others of the group are kept.
func TestABadValueFailsItsOwnCallerOnly(t *testing.T) {
	j := open(t, postgres.Database(t))
	hold := make(chan struct{})
	entered := make(chan struct{})
	j.Append(store.ID{Owner: "o", Name: "first"}, 1, one(0), func(error) { close(entered); <-hold }) // the others gather behind it
	<-entered
	bad := one(0)
	bad.Events[0].Turn = "a\x00b"
	errs := make(chan error, 1)
	kept := make(chan error, 2)
	j.Append(store.ID{Owner: "o", Name: "a"}, 1, one(0), func(err error) { kept <- err })
	j.Append(store.ID{Owner: "o", Name: "b"}, 1, bad, func(err error) { errs <- err })
	j.Append(store.ID{Owner: "o", Name: "c"}, 1, one(0), func(err error) { kept <- err })
	close(hold)
	if err := <-errs; err == nil {
		t.Error("the bad one was kept")
	}
	for range 2 {
		if err := <-kept; err != nil {
			t.Error(err)
		}
	}
}
