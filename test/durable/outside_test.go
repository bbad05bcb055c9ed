package durable

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"agentzero/store"
	"agentzero/store/sqlite"
	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// outside is a gateway on which another process works: the session busy answers
// without an end, rest is idle, and both are watched.
type outside struct {
	*gateway.Gateway
	watchers map[string]<-chan string // what each heard, when its stream ends
}

func newOutside(t *testing.T, o gateway.Options) *outside {
	t.Helper()
	up := upstream.New(t)
	up.Set("m", upstream.Script{Echo: true})
	up.Set("endless", upstream.Script{Deltas: []string{"partial ", "more"}, Fault: upstream.FaultSilence, After: 1})
	o.Upstream, o.Model = up.URL(), "m"
	g := &outside{Gateway: gateway.Start(t, o), watchers: map[string]<-chan string{}}
	say(t, g.Gateway, "rest", "hello")
	say(t, g.Gateway, "busy", "hello")
	return g
}

// work makes busy answer, and watches both sessions.
func (g *outside) work(t *testing.T) {
	t.Helper()
	for _, session := range []string{"rest", "busy"} {
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(stop)
		r, err := http.NewRequestWithContext(ctx, "GET", g.URL+"/v1/sessions/"+session+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+g.Token(t))
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("watch %s: %v, %v", session, resp, err)
		}
		heard := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(resp.Body) // a stream that breaks shows in what was heard
			resp.Body.Close()
			heard <- string(all)
		}()
		g.watchers[session] = heard
	}
	if resp, body := g.Do(t, "POST", "/v1/sessions/busy/messages", text("endless", "go on")); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	eventually(t, "busy runs", func() bool { return metricsOf(t, g.Gateway)["agentzero_running_turns"] == 1 })
}

// hears waits for the end of a watcher's stream, which must tell all of this.
func (g *outside) hears(t *testing.T, session string, want ...string) {
	t.Helper()
	var heard string
	eventually(t, session+"'s watcher is told of the end", func() bool {
		select {
		case heard = <-g.watchers[session]:
			return true
		default:
			return false
		}
	})
	for _, w := range want {
		if !strings.Contains(heard, w) {
			t.Errorf("the watcher of %s heard no %s: %s", session, w, heard)
		}
	}
}

func TestADeletionByAnotherProcessEndsWhatLives(t *testing.T) {
	for _, kept := range stores {
		t.Run(kept.name, func(t *testing.T) {
			env := kept.env(t)
			g := newOutside(t, gateway.Options{Env: env})
			say(t, g.Gateway, "other", "hello")
			g.work(t)
			if r := command(t, g.Gateway, env, "sessions", "delete", "rest", "busy"); r.Code != 0 {
				t.Fatalf("delete: %+v", r)
			}
			g.hears(t, "busy", "turn.interrupted", "session_deleted", "the session was deleted")
			g.hears(t, "rest", "the session was deleted")
			for _, session := range []string{"rest", "busy"} {
				eventually(t, session+" is gone", func() bool {
					resp, _ := g.Do(t, "GET", "/v1/sessions/"+session, "")
					return resp.StatusCode == http.StatusNotFound
				})
			}
			say(t, g.Gateway, "other", "still here")
			say(t, g.Gateway, "rest", "anew")
			if n := len(messages(t, g.Gateway, "other")); n != 4 {
				t.Errorf("the other session has %d messages", n)
			}
			if n := len(messages(t, g.Gateway, "rest")); n != 2 {
				t.Errorf("the new session has %d messages", n)
			}
			atRest(t, g.Gateway)
		})
	}
}

func TestABackupIsRestoredWhileTheGatewayRuns(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	g := newOutside(t, gateway.Options{DataDir: data})
	backup := filepath.Join(t.TempDir(), "backup.db")
	if r := command(t, g.Gateway, nil, "backup", backup); r.Code != 0 {
		t.Fatalf("backup: %+v", r)
	}
	say(t, g.Gateway, "rest", "said later")
	say(t, g.Gateway, "later", "said later")
	g.work(t)

	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(damaged, append(whole[:8192:8192], make([]byte, len(whole)-8192)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command(t, g.Gateway, nil, "restore", damaged); r.Code != 1 {
		t.Errorf("a damaged backup: %+v", r)
	}
	if n := len(messages(t, g.Gateway, "rest")); n != 4 {
		t.Errorf("after a backup that was refused there are %d messages", n)
	}

	if r := command(t, g.Gateway, nil, "restore", backup); r.Code != 0 {
		t.Fatalf("restore: %+v", r)
	}
	g.hears(t, "busy", "turn.interrupted", "sessions_restored", "the sessions were restored from a backup")
	g.hears(t, "rest", "the sessions were restored from a backup")
	eventually(t, "what was said after the backup is gone", func() bool {
		resp, _ := g.Do(t, "GET", "/v1/sessions/later", "")
		return resp.StatusCode == http.StatusNotFound && len(messages(t, g.Gateway, "rest")) == 2
	})
	say(t, g.Gateway, "rest", "and on")
	say(t, g.Gateway, "busy", "and on")
	say(t, g.Gateway, "later", "anew")
	for session, want := range map[string]int{"rest": 4, "busy": 4, "later": 2} {
		if n := len(messages(t, g.Gateway, session)); n != want {
			t.Errorf("%s has %d messages, want %d", session, n, want)
		}
	}
	atRest(t, g.Gateway)
	g.Stop(t)

	// The copy of what was replaced has all of it.
	aside, err := sqlite.Open(sqlite.Options{Path: filepath.Join(data, "agentzero.db.before-restore"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer aside.Close()
	for _, session := range []string{"rest", "busy", "later"} {
		if _, err := aside.Load(t.Context(), store.ID{Owner: "default", Name: session}); err != nil {
			t.Errorf("%s: %v", session, err)
		}
	}
	for _, left := range []string{"agentzero.db.restoring", "agentzero.db.before-restore-2"} {
		if _, err := os.Stat(filepath.Join(data, left)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", left, err)
		}
	}
}

// Commands that delete, while the gateway is at work, fail no message.
func TestCommandsBesideAGatewayAtWorkFailNobody(t *testing.T) {
	for _, kept := range stores {
		t.Run(kept.name, func(t *testing.T) {
			env := kept.env(t)
			var doomed []string
			for i := range 8 {
				doomed = append(doomed, fmt.Sprint("doomed", i))
			}
			g := keeps(t, gateway.Options{Env: env}, doomed...)
			var talks sync.WaitGroup
			stop := make(chan struct{})
			said := make([]int, 4)
			for i := range said {
				talks.Go(func() {
					for ; ; said[i]++ {
						select {
						case <-stop:
							return
						default:
						}
						resp, body := g.Do(t, "POST", fmt.Sprint("/v1/sessions/talk", i, "/messages"), `{"stream":true,"content":"on"}`)
						if resp.StatusCode != http.StatusOK || !strings.Contains(body, "turn.completed") {
							t.Errorf("%s: %s", resp.Status, body)
							return
						}
					}
				})
			}
			for _, session := range doomed {
				if r := command(t, g, env, "sessions", "delete", session); r.Code != 0 {
					t.Errorf("delete: %+v", r)
				}
			}
			close(stop)
			talks.Wait()
			for i, n := range said {
				if got := len(messages(t, g, fmt.Sprint("talk", i))); got != 2*n || n == 0 {
					t.Errorf("talk %d has %d messages of %d turns", i, got, n)
				}
			}
			atRest(t, g)
		})
	}
}
