package auth

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func testRecord(id, secret string) record {
	return record{
		Token: Token{
			ID: id, Name: "name of " + id, Owner: DefaultOwner, Scopes: DeviceScopes, Kind: KindCreated,
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		SHA256: sha256.Sum256([]byte(secret)),
	}
}

// encoded is a token file with these records.
func encoded(t testing.TB, records ...record) []byte {
	t.Helper()
	l := &ledger{records: records}
	data, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheFileIsForItsUserOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := NewFile(dir)
	if _, _, err := f.Create(NewToken{Name: "ci"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Revoke("ci"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, f.Path(): 0o600, f.Path() + ".lock": 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s is %#o, want %#o", path, got, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the directory holds %v, %v; want the file and its lock", entries, err)
	}
}

func TestLookingAtTokensTouchesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	tokens, err := NewFile(dir).List()
	if err != nil || len(tokens) != 0 {
		t.Fatalf("List = %v, %v", tokens, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}

func TestABadFileIsRefusedAndLeftAlone(t *testing.T) {
	good := encoded(t, testRecord("a", "secret a"))
	tests := []struct {
		name   string
		make   func(path string) error
		remedy string
	}{
		{"cut off", func(p string) error { return os.WriteFile(p, good[:len(good)/2], 0o600) }, "backup"},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "backup"},
		{"readable by the group", func(p string) error { return os.WriteFile(p, good, 0o640) }, "chmod 600"},
		{"writable by all", func(p string) error {
			return errors.Join(os.WriteFile(p, good, 0o600), os.Chmod(p, 0o602))
		}, "chmod 600"},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }, "move it away"},
		{"too large", func(p string) error {
			return errors.Join(os.WriteFile(p, good, 0o600), os.Truncate(p, maxFileBytes+1))
		}, "backup"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := NewFile(t.TempDir())
			if err := test.make(f.Path()); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(f.Path())
			_, listErr := f.List()
			_, _, createErr := f.Create(NewToken{Name: "x"})
			_, allErr := f.RevokeAll()
			k, openErr := Open(Options{Dir: filepath.Dir(f.Path())})
			if openErr == nil {
				k.Close()
			}
			for what, err := range map[string]error{"List": listErr, "Create": createErr, "RevokeAll": allErr, "Open": openErr} {
				var fileErr *FileError
				if !errors.As(err, &fileErr) || fileErr.Path != f.Path() || !strings.Contains(err.Error(), test.remedy) {
					t.Errorf("%s: %v; want a FileError with %q", what, err, test.remedy)
				}
			}
			if after, _ := os.ReadFile(f.Path()); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestManyChangeTheFileAtOnce(t *testing.T) {
	dir := t.TempDir()
	const files, each = 4, 10
	var wg sync.WaitGroup
	for i := range files {
		wg.Go(func() {
			f := NewFile(dir)
			for n := range each {
				if _, _, err := f.Create(NewToken{Name: fmt.Sprintf("%d/%d", i, n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	tokens, err := NewFile(dir).List()
	if err != nil || len(tokens) != files*each {
		t.Fatalf("%d tokens, %v; want %d", len(tokens), err, files*each)
	}
}

func TestALockIsHeldByOneOnly(t *testing.T) {
	f := NewFile(t.TempDir())
	unlock, err := f.lock()
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(f.Path()+".lock", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if held, err := tryLock(other); held || err != nil {
		t.Fatalf("a second lock: %v, %v", held, err)
	}
	unlock()
	if held, err := tryLock(other); !held || err != nil {
		t.Fatalf("after unlock: %v, %v", held, err)
	}
}

func TestCreateChecksWhatItIsGiven(t *testing.T) {
	f := NewFile(t.TempDir())
	if _, _, err := f.Create(NewToken{Name: "taken"}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		spec NewToken
		want error
	}{
		{"no name", NewToken{}, ErrName},
		{"a name that is taken", NewToken{Name: "taken"}, ErrNameTaken},
		{"a bad owner", NewToken{Name: "x", Owner: "a/b"}, ErrOwner},
	}
	for _, test := range tests {
		if _, _, err := f.Create(test.spec); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, _, err := f.Create(NewToken{Name: "x", Scopes: 1 << 7}); err == nil {
		t.Error("an unknown scope was taken")
	}
	if _, tok, err := f.Create(NewToken{Name: "admin", Scopes: ScopeAdmin}); err != nil || tok.Scopes != AdminScopes {
		t.Errorf("admin: %+v, %v", tok, err)
	}
}

func TestThereIsAnEndToTokens(t *testing.T) {
	l := &ledger{records: make([]record, maxTokens)}
	if _, _, err := l.create(NewToken{Name: "one more"}, KindCreated, time.Now()); !errors.Is(err, ErrTooMany) {
		t.Fatal(err)
	}
}

func TestRevokeByNameNeedsOneToken(t *testing.T) {
	a, b, c := testRecord("a", "1"), testRecord("b", "2"), testRecord("c", "3")
	a.Name, b.Name, c.Name = "twin", "twin", "a"
	l := &ledger{records: []record{c, a, b}}
	if _, err := l.revoke("twin"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("twins: %v", err)
	}
	if got, err := l.revoke("a"); err != nil || got.ID != "a" {
		t.Errorf("an id that is another's name: %+v, %v", got, err)
	}
	if got, err := l.revoke("twin"); err != nil || got.ID != "b" {
		t.Errorf("the twin that is left: %+v, %v", got, err)
	}
}

func TestRevokeAll(t *testing.T) {
	f := NewFile(t.TempDir())
	for _, name := range []string{"a", "b"} {
		if _, _, err := f.Create(NewToken{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 0} {
		if n, err := f.RevokeAll(); n != want || err != nil {
			t.Fatalf("RevokeAll = %d, %v; want %d", n, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(encoded(t, testRecord("a", "secret a")))
	tests := []struct{ name, old, new string }{
		{"an unknown field", `"kind"`, `"kindness"`},
		{"another version", `"version": 1`, `"version": 2`},
		{"a bad id", `"id": "a"`, `"id": "a b"`},
		{"the fixed token's id", `"id": "a"`, `"id": "env"`},
		{"a bad owner", `"owner": "default"`, `"owner": ""`},
		{"a bad name", `"name": "name of a"`, `"name": "\u001b"`},
		{"an unknown scope", `"chat"`, `"chats"`},
		{"an unknown kind", `"created",`, `"found",`},
		{"no time of creation", `"created": "2026-01-02T03:04:05Z",`, ``},
		{"a hash that is too short", `"sha256": "`, `"sha256": "ab", "x": "`},
		{"a second object", "\n}\n", "\n}{}"},
	}
	if _, err := parseLedger([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		bad := strings.Replace(good, test.old, test.new, 1)
		if bad == good {
			t.Fatalf("%s: nothing replaced", test.name)
		}
		if _, err := parseLedger([]byte(bad)); err == nil {
			t.Errorf("took %s", test.name)
		}
	}
	twice := encoded(t, testRecord("a", "1"), testRecord("a", "2"))
	if _, err := parseLedger(twice); err == nil {
		t.Error("took an id twice")
	}
	twice = encoded(t, testRecord("a", "1"), testRecord("b", "1"))
	if _, err := parseLedger(twice); err == nil {
		t.Error("took a hash twice")
	}
}

func FuzzParseLedger(f *testing.F) {
	f.Add(encoded(f))
	f.Add(encoded(f, testRecord("a", "1"), testRecord("b", "2")))
	f.Add([]byte(`{"version":1,"tokens":[{"id":"a","name":"n","owner":"o","scopes":["admin"],"kind":"paired","created":"9999-12-31T23:59:59-23:59","sha256":"00"}]}`))
	f.Add([]byte(`{"version":1} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLedger(data)
		if err != nil {
			return
		}
		again, err := parseLedger(encoded(t, l.records...))
		if err != nil {
			t.Fatalf("what was taken is refused when written: %v", err)
		}
		if len(l.records)+len(again.records) > 0 && !reflect.DeepEqual(l.records, again.records) {
			t.Fatalf("written and read again:\n%+v\nwas\n%+v", again.records, l.records)
		}
	})
}
