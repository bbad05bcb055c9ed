package durable

import (
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // to write what a newer version could have written

	"agentzero/test/gateway"
	"agentzero/test/part"
	"agentzero/test/postgres"
	"agentzero/test/upstream"
)

// smallDisk is a folder on a disk of its own of so many KiB.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		part.Missing(t, "tmpfs", "a small disk cannot be mounted: "+err.Error()+"; run the tests as root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all the room of a disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
}

// refuses fails t unless durable work is refused as the store's fault, while
// what needs no store goes on.
func refuses(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	for _, path := range []string{"/v1/sessions/s/messages", "/v1/sessions/fresh/messages"} {
		resp, body := g.Do(t, "POST", path, `{"content":"`+strings.Repeat("to be kept ", 1000)+`"}`)
		if resp.StatusCode != http.StatusServiceUnavailable || codeOf(t, body) != "store_unavailable" {
			t.Errorf("POST %s: %s: %.300s", path, resp.Status, body)
		}
	}
	if resp, body := g.Do(t, "POST", "/v1/chat/completions", chat("m", "stateless", false)); resp.StatusCode != http.StatusOK || !strings.Contains(body, "stateless") {
		t.Errorf("a stateless request: %s: %s", resp.Status, body)
	}
	if resp, body := g.Do(t, "GET", "/health", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("/health: %s: %s", resp.Status, body)
	}
}

// recovers waits until a session takes messages again, and holds what it has
// against the messages that were accepted.
func recovers(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	eventually(t, "durable work goes on", func() bool {
		resp, _ := g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"afterwards","stream":true}`)
		return resp.StatusCode == http.StatusOK
	})
	eventually(t, "ready", func() bool {
		resp, _ := g.Do(t, "GET", "/health/ready", "")
		return resp.StatusCode == http.StatusOK
	})
	said := ""
	for _, m := range messages(t, g, "s") {
		said += m.Role + " " + m.Content + "\n"
	}
	if want := "user before\nassistant before\nuser afterwards\nassistant afterwards\n"; said != want {
		t.Errorf("the session has %.300q", said)
	}
	atRest(t, g)
}

func TestAFullDiskRefusesDurableWorkUntilThereIsRoom(t *testing.T) {
	disk := smallDisk(t, "2m")
	g := keeps(t, gateway.Options{DataDir: filepath.Join(disk, "data")})
	say(t, g, "s", "before")
	token := g.Token(t)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	// A page or two may still have room.
	eventually(t, "the disk is full", func() bool {
		resp, _ := g.Do(t, "POST", "/v1/sessions/other/messages", `{"content":"`+strings.Repeat("x", 20000)+`"}`)
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	refuses(t, g)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	recovers(t, g)
	g.Kill(t)
	g = keeps(t, gateway.Options{DataDir: g.DataDir})
	g.UseToken(token)
	if list := messages(t, g, "s"); len(list) != 4 {
		t.Errorf("after a crash the session has %d messages", len(list))
	}
	g.Stop(t) // before its disk goes
}

func TestAGatewayDoesNotStartOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "1m")
	fill(t, filepath.Join(disk, "filler"))
	r := startFails(t, filepath.Join(disk, "data"))
	if !strings.Contains(r.Stderr, "space") && !strings.Contains(r.Stderr, "full") {
		t.Errorf("it says %q", r.Stderr)
	}
}

// startFails starts a gateway that must end by itself with one clear sentence.
func startFails(t *testing.T, data string, env ...string) gateway.Result {
	t.Helper()
	r := gateway.Command(t, append(env, "AGENTZERO_GATEWAY__PORT=0"), "gateway", "--demo", "--data-dir", data)
	if r.Code != 1 || !oneSentence(r.Stderr) {
		t.Errorf("exit %d: %q", r.Code, r.Stderr)
	}
	return r
}

// TestWhatCannotBeAJournalIsLeftAsItIs: the gateway does not start on it.
func TestWhatCannotBeAJournalIsLeftAsItIs(t *testing.T) {
	execute := func(t *testing.T, path, statement string) {
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, OmitHost: true}).String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		says  string
	}{
		"garbage": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		"a first page that is damaged": {func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(strings.Repeat("\xff", 3000)), 100); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		"a newer schema":             {func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 1000") }, "newer"},
		"another program's database": {func(t *testing.T, path string) { execute(t, path, "PRAGMA application_id = 1") }, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			keeps(t, gateway.Options{DataDir: data}, "s").Stop(t)
			path := filepath.Join(data, "agentzero.db")
			c.spoil(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if r := startFails(t, data); !strings.Contains(r.Stderr, c.says) || !strings.Contains(r.Stderr, path) {
				t.Errorf("it says %q", r.Stderr)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAReadOnlyDataFolderIsToldInOneSentence(t *testing.T) {
	disk := smallDisk(t, "4m")
	data := filepath.Join(disk, "data")
	keeps(t, gateway.Options{DataDir: data}, "s").Stop(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=4m"); err != nil {
		t.Fatal(err)
	}
	r := startFails(t, data)
	if !strings.Contains(r.Stderr, "read-only") && !strings.Contains(r.Stderr, "write") {
		t.Errorf("it says %q", r.Stderr)
	}
}

func TestPostgresThatIsNotThereIsToldInOneSentence(t *testing.T) {
	for name, url := range map[string]string{
		"no server":        "postgres:///x?host=" + t.TempDir(),
		"nobody listens":   "postgres://u:hidden@127.0.0.1:1/x",
		"not an address":   "postgres://u:hidden@:port:/x",
		"no such database": strings.Replace(postgres.Database(t), "/test_", "/no_test_", 1),
		"a newer's":        newerDatabase(t),
	} {
		t.Run(name, func(t *testing.T) {
			r := startFails(t, filepath.Join(t.TempDir(), "data"), "AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL="+url)
			if !strings.Contains(r.Stderr, "PostgreSQL") && !strings.Contains(r.Stderr, "newer") || strings.Contains(r.Stderr, "hidden") {
				t.Errorf("it says %q", r.Stderr)
			}
		})
	}
}

// wire is the socket of a PostgreSQL server, which can be taken away.
type wire struct {
	dir, server string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	all      sync.WaitGroup
}

const socketName = ".s.PGSQL.5432"

// newWire puts a wire before the server of a database, and returns the
// connection string that leads over it.
func newWire(t *testing.T, database string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	dir, err := os.MkdirTemp("/tmp", "azwire-") // a socket's path may have 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{dir: dir, server: filepath.Join(query.Get("host"), socketName), open: map[net.Conn]bool{}}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	t.Cleanup(func() {
		w.cut()
		os.RemoveAll(dir)
	})
	w.mend(t)
	return w, u.String()
}

// mend lets connections through.
func (w *wire) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(w.dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.listener = listener
	w.mu.Unlock()
	w.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.all.Go(func() { w.carry(conn) })
		}
	})
}

// cut breaks all connections and refuses others.
func (w *wire) cut() {
	w.mu.Lock()
	w.listener.Close()
	for c := range w.open {
		c.Close()
	}
	w.mu.Unlock()
	w.all.Wait()
}

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	w.open[client] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, client)
	}()
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	io.Copy(client, server)
	client.Close()
	up.Wait()
}

func TestDurableWorkIsRefusedWhilePostgresIsAwayAndGoesOnWhenItIsBack(t *testing.T) {
	w, database := newWire(t, postgres.Database(t))
	up := upstream.New(t)
	up.Set("m", upstream.Script{Echo: true})
	g := gateway.Start(t, gateway.Options{Upstream: up.URL(), Model: "m", Env: []string{"AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL=" + database}})
	say(t, g, "s", "before")
	for range 3 {
		w.cut()
		refuses(t, g)
		if resp, body := g.Do(t, "GET", "/health/ready", ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/health/ready: %s: %s", resp.Status, body)
		}
		w.mend(t)
	}
	recovers(t, g)
	g.Stop(t)
}

// newerDatabase is one that a newer version has brought on.
func newerDatabase(t *testing.T) string {
	t.Helper()
	database := postgres.Database(t)
	env := []string{"AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL=" + database}
	keeps(t, gateway.Options{Env: env}, "s").Stop(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "UPDATE agentzero_schema SET version = 1000"); err != nil {
		t.Fatal(err)
	}
	return database
}

// TestWhatEndsWhilePostgresIsAwayIsKeptWhenItIsBack: the answer that came
// meanwhile is written before what follows it.
func TestWhatEndsWhilePostgresIsAwayIsKeptWhenItIsBack(t *testing.T) {
	w, database := newWire(t, postgres.Database(t))
	up := upstream.New(t)
	gate := make(chan struct{})
	up.Set("held", upstream.Script{Echo: true, Gate: gate})
	up.Set("m", upstream.Script{Echo: true})
	o := gateway.Options{
		Upstream: up.URL(), Model: "m", DataDir: filepath.Join(t.TempDir(), "data"),
		Env: []string{"AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL=" + database},
	}
	g := gateway.Start(t, o)
	token := g.Token(t)
	if resp, body := g.Do(t, "POST", "/v1/sessions/s/messages", text("held", "first")); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	up.Wait(t, "held", "the call", func(l []upstream.Request) bool { return len(l) == 1 })
	w.cut()
	close(gate)
	atRest(t, g)
	w.mend(t)
	eventually(t, "durable work goes on", func() bool {
		resp, _ := g.Do(t, "POST", "/v1/sessions/s/messages", `{"content":"second","stream":true}`)
		return resp.StatusCode == http.StatusOK
	})
	check := func(when string) {
		t.Helper()
		said := ""
		for _, m := range messages(t, g, "s") {
			said += m.Role + " " + m.Content + "\n"
		}
		if want := "user first\nassistant first\nuser second\nassistant second\n"; said != want {
			t.Errorf("%s the session has %q", when, said)
		}
	}
	check("then")
	g.Kill(t)
	g = gateway.Start(t, o)
	g.UseToken(token)
	check("after a crash")
	atRest(t, g)
	if n := len(up.Requests("")); n != 2 {
		t.Errorf("the model was asked %d times", n)
	}
}
