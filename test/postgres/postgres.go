// Package postgres runs a real PostgreSQL server for tests: one a test binary,
// on a Unix socket in a folder of its own, with a fresh database for each test.
package postgres

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agentzero/test/part"
)

// patience is how long the server may take to start. It is a safety net.
const patience = 60 * time.Second

// Server is a running server. Main starts none: the first test that asks for a
// database does.
type Server struct {
	once sync.Once
	err  error
	bin  string
	dir  string
	cmd  *exec.Cmd
	made atomic.Int64
}

var shared Server

// Stop ends the server, if a test has started it. It is for the TestMain of a
// package that has one of its own.
func Stop() { shared.stop() }

// Main is the TestMain of a package that needs databases; it ends the server.
func Main(m *testing.M, after func() error) {
	code := m.Run()
	Stop()
	if code == 0 && after != nil {
		if err := after(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Database makes a fresh database and returns its connection string. The test is
// skipped aloud where there is no PostgreSQL on the machine.
func Database(t testing.TB) string {
	t.Helper()
	bin := find()
	if bin == "" {
		part.Missing(t, "PostgreSQL", "no initdb and postgres in /usr/lib/postgresql or on PATH; run `make deps`")
	}
	shared.once.Do(func() { shared.err = shared.start(bin) })
	if shared.err != nil {
		t.Fatalf("PostgreSQL: %v", shared.err)
	}
	name := fmt.Sprintf("test_%d", shared.made.Add(1))
	if out, err := shared.run("createdb", "-h", shared.dir, name).CombinedOutput(); err != nil {
		t.Fatalf("PostgreSQL: createdb: %v\n%s", err, out)
	}
	return shared.URL(name)
}

// URL is the connection string of a database.
func (s *Server) URL(name string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=%s", name, s.dir, superuser)
}

const superuser = "agentzero"

// find returns the folder of the newest server programs.
func find() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range dirs {
		if isFile(filepath.Join(dir, "initdb")) && isFile(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (s *Server) start(bin string) (err error) {
	s.bin = bin
	// Not below TMPDIR: a socket's path may have 107 bytes at most.
	if s.dir, err = os.MkdirTemp("/tmp", "azpg-"); err != nil {
		return err
	}
	if uid, gid, ok := credential(); ok {
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.run("initdb", "-D", data, "-U", superuser, "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.cmd = s.run("postgres", "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if s.run("psql", "-h", s.dir, "-d", "postgres", "-c", "SELECT 1").Run() == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("it does not answer\n%s", text)
		}
	}
}

// run prepares one of the server's programs. None of them works as root, so root
// gives them the account that Debian's package made.
func (s *Server) run(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PGUSER="+superuser, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if uid, gid, ok := credential(); ok {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return cmd
}

func credential() (uid, gid int, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, false
	}
	uid, _ = strconv.Atoi(account.Uid)
	gid, _ = strconv.Atoi(account.Gid)
	return uid, gid, true
}

func (s *Server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGINT) // a fast shutdown
		s.cmd.Wait()
	}
	if strings.HasPrefix(s.dir, "/tmp/azpg-") {
		os.RemoveAll(s.dir)
	}
}
