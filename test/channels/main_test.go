// Package channels drives the built gateway's webhook channels as the platforms
// do: with their documented payloads and real signatures in, and a fake of their
// APIs to answer to; and it kills the gateway while many senders deliver.
package channels

import (
	"encoding/json"
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
	// DeliveriesEnv is how many deliveries the fan-in makes, KillsEnv how often
	// the gateway is killed meanwhile, for each store.
	DeliveriesEnv = "AGENTZERO_TEST_DELIVERIES"
	KillsEnv      = "AGENTZERO_TEST_KILLS"
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

// get reads JSON, which must be there.
func get(t testing.TB, g *gateway.Gateway, path string, v any) {
	t.Helper()
	resp, body := g.Do(t, "GET", path, "")
	if err := json.Unmarshal([]byte(body), v); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", path, resp.Status, body)
	}
}

// state is the state of a delivery.
func state(t testing.TB, g *gateway.Gateway, channel, id string) string {
	t.Helper()
	var d struct{ State string }
	get(t, g, "/v1/webhook/"+channel+"/deliveries/"+id, &d)
	return d.State
}

func becomes(t testing.TB, g *gateway.Gateway, channel, id, want string) {
	t.Helper()
	last := ""
	eventually(t, channel+"'s "+id+" becomes "+want, func() bool {
		last = state(t, g, channel, id)
		return last == want
	})
}

// header makes a header of names and values in turn.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// post delivers without a token.
func post(t testing.TB, url string, h http.Header, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buffer)
		b.Write(buffer[:n])
		if err != nil {
			return resp.StatusCode, strings.TrimSpace(b.String())
		}
	}
}
