// Package durable proves that nothing accepted is ever lost: it kills the built
// gateway, cuts its clients off, fills its disk and takes its database away, on
// SQLite and on PostgreSQL, and looks at what is left. One file a subject.
//
// What is random comes from a seed, which is printed; SeedEnv repeats it.
package durable

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentzero/test/gateway"
	"agentzero/test/postgres"
)

func TestMain(m *testing.M) { gateway.Main(m, postgres.Stop) }

// The environment of the long runs.
const (
	// KillsEnv is how many times the gateway is killed, for each store.
	KillsEnv = "AGENTZERO_TEST_KILLS"
	// CutsEnv is how many connections are cut, in all.
	CutsEnv = "AGENTZERO_TEST_CUTS"
	// SeedEnv repeats what was random in a run.
	SeedEnv = "AGENTZERO_TEST_SEED"
)

// patience is how long a step may take before its test fails. It is a safety
// net, not a measure.
const patience = 30 * time.Second

// eventually waits until ok, which it asks again and again because what it asks
// for makes no sound.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// number reads one of the environment's.
func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// chance is what a test draws from; its seed is logged.
func chance(t testing.TB) (*rand.Rand, uint64) {
	t.Helper()
	seed := uint64(number(t, SeedEnv, int(time.Now().UnixNano()%1e9)))
	t.Logf("%s=%d", SeedEnv, seed)
	return rand.New(rand.NewPCG(seed, 0)), seed
}

// stores are the configurations of the two journals.
var stores = []struct {
	name string
	env  func(t testing.TB) []string
}{
	{"sqlite", func(testing.TB) []string { return nil }},
	{"postgres", func(t testing.TB) []string {
		return []string{"AGENTZERO_STORE__KIND=postgres", "AGENTZERO_STORE__URL=" + postgres.Database(t)}
	}},
}

// samples are the values of /metrics by name and labels, as they stand there.
type samples map[string]float64

func metricsOf(t testing.TB, g *gateway.Gateway) samples {
	t.Helper()
	_, body := g.Do(t, "GET", "/metrics", "")
	s := samples{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		at := strings.LastIndex(line, " ")
		if at < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("/metrics: %q: %v", line, err)
		}
		s[line[:at]] = v
	}
	return s
}

// sum adds up the samples whose name and labels begin with prefix.
func (s samples) sum(prefix string) float64 {
	total := 0.0
	for name, v := range s {
		if strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

// atRest waits until no turn is in flight, and fails t unless every accepted
// message has come to exactly one fate.
func atRest(t testing.TB, g *gateway.Gateway) samples {
	t.Helper()
	var s samples
	eventually(t, "no turn in flight", func() bool {
		s = metricsOf(t, g)
		return s["agentzero_running_turns"]+s["agentzero_queued_turns"] == 0
	})
	if accepted, ended := s["agentzero_turns_accepted_total"], s.sum("agentzero_turns_total{"); accepted != ended {
		t.Errorf("accepted %v turns, but %v have a fate", accepted, ended)
	}
	return s
}

// message is one of a session's messages.
type message struct {
	Role, Content string
	Turn          string `json:"turn_id"`
	Interrupted   bool
}

func messages(t testing.TB, g *gateway.Gateway, session string) []message {
	t.Helper()
	var list struct{ Data []message }
	get(t, g, "/v1/sessions/"+session+"/messages", &list)
	return list.Data
}

// get reads JSON, which must be there.
func get(t testing.TB, g *gateway.Gateway, path string, v any) {
	t.Helper()
	resp, body := g.Do(t, "GET", path, "")
	if err := json.Unmarshal([]byte(body), v); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", path, resp.Status, body)
	}
}

// codeOf is the code of an error's body.
func codeOf(t testing.TB, body string) string {
	t.Helper()
	var answer struct {
		Error struct {
			Message, Type, Code string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error.Code == "" || answer.Error.Message == "" {
		t.Errorf("not an error's body: %q", body)
	}
	return answer.Error.Code
}

// text is the body of a message to a session.
func text(model, content string) string {
	return fmt.Sprintf(`{"content":%q,"model":%q}`, content, model)
}

// chat is the body of a chat completion with one message.
func chat(model, content string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, content)
}

// headersOf sets headers written as "Name: value".
func headersOf(h http.Header, list []string) {
	for _, line := range list {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
}

// count is what upstream.Count(n) says in all.
func count(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d ", i+1)
	}
	return b.String()
}

// drain reads and closes a body.
func drain(body io.ReadCloser) {
	io.Copy(io.Discard, body)
	body.Close()
}

// tokenOf makes a token with the command line and waits until the running
// gateway knows it.
func tokenOf(t testing.TB, g *gateway.Gateway, name, owner, scope string) string {
	t.Helper()
	r := gateway.Command(t, nil, "token", "create", "--data-dir", g.DataDir, "--name", name, "--owner", owner, "--scope", scope)
	if r.Code != 0 {
		t.Fatalf("token create: exit %d: %s", r.Code, r.Stderr)
	}
	token := strings.TrimSpace(r.Stdout)
	eventually(t, "the gateway knows the token "+name, func() bool {
		resp, _ := g.Do(t, "POST", "/v1/ping", "", "Authorization: Bearer "+token)
		return resp.StatusCode == http.StatusOK
	})
	return token
}
