// Package upstream is a scriptable model server for tests: it speaks OpenAI's
// chat completions API, answers as told, fails as told, and remembers what it
// was asked.
//
// What it does is chosen by the model's name: [Server.Set] gives a model its
// [Script]. So a client that knows nothing of this package, in any language,
// picks a behaviour by naming a model, and can ask the server itself what
// arrived (see control.go).
//
// A Server belongs to the test that made it and is closed with it. Its methods
// are safe for use by many goroutines.
package upstream

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sort"
	"sync"
	"testing"
	"time"
)

// Server is one mock model server on a loopback port.
type Server struct {
	addr string // host:port, kept over Down and Up

	mu       sync.Mutex
	changed  *sync.Cond // told whenever a Request begins, grows or ends
	scripts  map[string]Script
	requests []*Request
	http     *http.Server // nil while down
	closed   chan struct{}
}

// New starts a server that knows no model. It is closed at the end of t.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{scripts: map[string]Script{}, closed: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("upstream: listen: %v", err)
	}
	s.addr = ln.Addr().String()
	s.serve(ln)
	t.Cleanup(s.close)
	return s
}

// URL is the server's base URL as OpenAI's clients mean it, ending in /v1.
func (s *Server) URL() string { return "http://" + s.addr + "/v1" }

// Control is the base URL of the questions a test in another language may ask
// (see control.go).
func (s *Server) Control() string { return "http://" + s.addr + "/control" }

// Set gives a model its script and puts it on the model list. A model without
// a script is answered with OpenAI's 404 model_not_found.
func (s *Server) Set(model string, script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[model] = script
}

// Down closes the port, and all connections: a connect is refused until Up.
func (s *Server) Down() {
	s.mu.Lock()
	h := s.http
	s.http = nil
	s.mu.Unlock()
	if h != nil {
		h.Close()
	}
}

// Up listens on the same port again.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatalf("upstream: listen again: %v", err)
	}
	s.serve(ln)
}

func (s *Server) serve(ln net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.completions)
	mux.HandleFunc("GET /v1/models", s.models)
	s.control(mux)
	h := &http.Server{Handler: mux}
	s.mu.Lock()
	s.http = h
	s.mu.Unlock()
	go h.Serve(ln) // ends with Down or close
}

func (s *Server) close() {
	s.mu.Lock()
	h := s.http
	s.http = nil
	close(s.closed)
	s.changed.Broadcast()
	s.mu.Unlock()
	if h != nil {
		h.Close()
	}
}

// completions takes one call: remember it, then act out the model's script.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) {
	req, err := s.begin(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request_error", "", err.Error())
		return
	}
	defer s.end(req)
	s.mu.Lock()
	script, known := s.scripts[req.Model]
	nth := s.countLocked(req.Model)
	s.mu.Unlock()
	if !known {
		writeError(w, http.StatusNotFound, "invalid_request_error", "model_not_found",
			fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", req.Model))
		return
	}
	if script.FaultTimes > 0 && nth > script.FaultTimes {
		script.Fault = FaultNone
	}
	(&answer{server: s, script: script, req: req, w: w, r: r}).run()
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list", Data: []model{}}
	s.mu.Lock()
	for id := range s.scripts {
		list.Data = append(list.Data, model{ID: id, Object: "model", Created: created, OwnedBy: "upstream"})
	}
	s.mu.Unlock()
	sort.Slice(list.Data, func(i, j int) bool { return list.Data[i].ID < list.Data[j].ID })
	writeJSON(w, http.StatusOK, list)
}

// created is the time every object of this server claims to be made at: one
// value, so that golden files hold.
const created = 1700000000

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// writeError writes an error as OpenAI's API does.
func writeError(w http.ResponseWriter, status int, kind, code, message string) {
	var c any
	if code != "" {
		c = code
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"message": message, "type": kind, "code": c, "param": nil,
	}})
}

// pause waits for d, or until gone or the server's end; it tells whether the
// whole of d has passed.
func (s *Server) pause(d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
		return false
	case <-s.closed:
		return false
	}
}
