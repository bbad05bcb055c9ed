package channels

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake stands for the APIs of all platforms. It notes every call and answers as
// the platform would.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
	fails map[string][]answer // what a path answers first
	ids   int
}

type call struct {
	Method, Path, Body string
	Header             http.Header
}

type answer struct {
	status int
	header string // Name: value
	body   string
}

func newFake(t *testing.T) *fake {
	f := &fake{fails: map[string][]answer{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call{r.Method, r.URL.Path, string(body), r.Header})
	if list := f.fails[r.URL.Path]; len(list) > 0 {
		f.fails[r.URL.Path] = list[1:]
		if name, value, ok := strings.Cut(list[0].header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(list[0].status)
		_, _ = io.WriteString(w, list[0].body)
		return
	}
	f.ids++
	switch {
	case strings.HasPrefix(r.URL.Path, "/github/"):
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"id":%d}`, f.ids)
	case strings.HasPrefix(r.URL.Path, "/slack/"):
		_, _ = fmt.Fprintf(w, `{"ok":true,"ts":"1503435956.%06d"}`, f.ids)
	case strings.HasPrefix(r.URL.Path, "/telegram/"):
		_, _ = fmt.Fprintf(w, `{"ok":true,"result":{"message_id":%d}}`, f.ids)
	case strings.HasPrefix(r.URL.Path, "/discord/"):
		_, _ = fmt.Fprintf(w, `{"id":"%d"}`, f.ids)
	}
}

// fail makes the next calls of a path fail.
func (f *fake) fail(path string, list ...answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails[path] = list
}

// to are the calls whose path begins so.
func (f *fake) to(prefix string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []call
	for _, c := range f.calls {
		if strings.HasPrefix(c.Path, prefix) {
			list = append(list, c)
		}
	}
	return list
}

// has reports whether a call was made of this method and path, with this body.
func (f *fake) has(method, path, body string) bool {
	return slices.ContainsFunc(f.to(path), func(c call) bool { return c.Method == method && c.Path == path && c.Body == body })
}
