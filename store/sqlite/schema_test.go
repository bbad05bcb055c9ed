package sqlite

import (
	"path/filepath"
	"testing"

	"agentzero/store/storetest"
)

// A journal of the first version keeps what it holds and takes what is new.
func TestAJournalOfVersionOneIsBroughtOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	exec(t, path, migrations[0]+`
		INSERT INTO sessions (owner, name, created, updated, epoch, last, bytes, open, head) VALUES ('o', 's', 1, 2, 3, 1, 9, 1, CAST('{"a":1}' AS BLOB));
		INSERT INTO events VALUES (1, 1, 'k', 't', 2, CAST('{"n":1}' AS BLOB));
		UPDATE totals SET bytes = 9;
		PRAGMA application_id = 1096444416; PRAGMA user_version = 1`)
	if _, err := Open(Options{Path: path, ReadOnly: true}); err == nil {
		t.Error("it was read as it is")
	}
	j := open(t, path)
	s, err := j.Load(t.Context(), id)
	if err != nil || s.Last != 1 || s.Epoch != 3 || !s.Open || string(s.Head) != `{"a":1}` || s.Generation != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	b := one(1)
	b.Snapshot = []byte("new")
	must(t, storetest.Append(j, id, 3, b))
	if got, err := j.Snapshot(t.Context(), id); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v", got, err)
	}
	if events, err := j.Read(t.Context(), id, 0, 10); err != nil || len(events) != 2 || string(events[0].Data) != `{"n":1}` {
		t.Errorf("got %+v, %v", events, err)
	}
	must(t, j.Close())
	must(t, open(t, path).Ping(t.Context()))
}
