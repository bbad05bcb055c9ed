package discovery

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func modelNames(s Server) string {
	var names []string
	for _, m := range s.Models {
		name := m.ID
		if m.Loaded {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestServersAreToldApartByWhatTheyAnswer(t *testing.T) {
	for name, c := range fakes {
		t.Run(name, func(t *testing.T) {
			address := c.fake.start(t).URL
			found := Find(t.Context(), Options{Addresses: []string{address + "/v1/"}, Ports: []int{}, Timeout: 20 * time.Second})
			if len(found) != 1 {
				t.Fatalf("found %+v", found)
			}
			s := found[0]
			if s.Kind != c.kind || s.Version != c.version || s.Address != address || modelNames(s) != c.models || s.NeedsKey || s.Latency <= 0 {
				t.Errorf("found %+v; want %s %q with %s", s, c.kind, c.version, c.models)
			}
		})
	}
}

func TestAServerThatAsksForAKeyIsFoundAndNotUsable(t *testing.T) {
	for name, f := range map[string]struct {
		fake fake
		kind Kind
	}{
		"vLLM": {fake{locked: map[string]string{"/v1/models": `{"error":"Unauthorized"}`}, paths: map[string]string{"/version": `{"version":"0.8.5"}`}}, ""},
		"Jan": {fake{locked: map[string]string{"/v1/models": "Missing authorization header"},
			paths: map[string]string{"/openapi.json": `{"info":{"title":"Jan API Server Endpoints"}}`}}, Jan},
	} {
		found := Find(t.Context(), Options{Addresses: []string{f.fake.start(t).URL}, Ports: []int{}, Timeout: 20 * time.Second})
		switch {
		case f.kind == "" && len(found) != 0: // what lists no models and is not known is nobody's
			t.Errorf("%s: found %+v", name, found)
		case f.kind != "" && (len(found) != 1 || found[0].Kind != f.kind || !found[0].NeedsKey || found[0].Usable()):
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

func TestWhatIsNoModelServerIsNotFound(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/v1/models", http.StatusFound) }))
	defer loop.Close()
	page := map[string]string{}
	for _, path := range []string{"/", "/v1/models", "/api/version", "/api/tags", "/props", "/openapi.json", "/system", "/version"} {
		page[path] = "<!DOCTYPE html><title>An app that answers everything</title>"
	}
	addresses := []string{
		"http://" + silent.Addr().String(), endless.URL, loop.URL,
		fake{paths: page}.start(t).URL,
		fake{paths: map[string]string{"/v1/models": `{"data":null}`}}.start(t).URL,
		fake{paths: map[string]string{"/v1/models": `[1,2]`, "/props": `[]`, "/api/version": `{"version":1}`}}.start(t).URL,
		"http://127.0.0.1:1", // nobody
		// Another gateway: it would answer with what it has found itself.
		fake{paths: map[string]string{"/v1/models": ownedBy("demo"), "/openapi.json": `{"openapi":"3.1.0","info":{"title":"agentzero"}}`}}.start(t).URL,
	}
	began := time.Now()
	if found := Find(t.Context(), Options{Addresses: addresses, Ports: []int{}}); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v, with a limit of 1 s", took)
	}
}

func TestTheGatewaysOwnPortIsNeverAsked(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	defer s.Close()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"127.0.0.1", "0.0.0.0", "[::]", "localhost", "[::1]"} {
		o := Options{Addresses: []string{s.URL, "http://localhost:" + u.Port(), "http://[::1]:" + u.Port() + "/v1"}, Ports: []int{port}, Skip: []string{own + ":" + u.Port()}}
		if found := Find(t.Context(), o); len(found) != 0 {
			t.Errorf("as %s: found %+v", own, found)
		}
	}
	if got := (Options{Skip: []string{"127.0.0.1:8080"}, Ports: []int{8080, 8000}}).targets(); len(got) != 1 {
		t.Errorf("targets %+v", got)
	}
}

func TestAnAddressIsAskedOnceHoweverItIsWritten(t *testing.T) {
	o := Options{Addresses: []string{"http://localhost:8080/v1", "http://127.0.0.1:8080/", "http://gpu:8080"}}
	got := o.targets()
	var addresses []string
	for _, t := range got {
		addresses = append(addresses, t.address)
	}
	want := []string{"http://localhost:8080", "http://gpu:8080", "http://127.0.0.1:11434", "http://127.0.0.1:1234", "http://127.0.0.1:8000", "http://127.0.0.1:30000", "http://127.0.0.1:1337"}
	if !slices.Equal(addresses, want) {
		t.Errorf("targets %v, want %v", addresses, want)
	}
}

func TestTheBestServerComesFirst(t *testing.T) {
	model := []Model{{ID: "m"}}
	servers := []Server{
		{Kind: VLLM, Address: "empty"},
		{Kind: Jan, Address: "own-2", Models: model, Own: true, place: 1},
		{Kind: LMStudio, Address: "b", Models: model},
		{Kind: LMStudio, Address: "a", Models: model},
		{Kind: Ollama, Address: "o", Models: model},
		{Kind: VLLM, Address: "locked", Models: model, NeedsKey: true},
		{Kind: OpenAI, Address: "own-1", Models: model, Own: true, place: 0},
	}
	rank(servers)
	var got []string
	for _, s := range servers {
		got = append(got, s.Address)
	}
	if want := []string{"own-1", "own-2", "o", "a", "b", "empty", "locked"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found := Find(ctx, Options{Addresses: []string{fakes["vLLM"].fake.start(t).URL}, Ports: []int{}}); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}

func FuzzIdentify(f *testing.F) {
	for _, c := range fakes {
		for _, body := range c.fake.paths {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		// One body for every question.
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			_, _ = w.WriteString(body)
			return w.Result(), nil
		})
		s := (&probe{ctx: t.Context(), client: &http.Client{Transport: transport}, base: "http://x"}).identify()
		if s != nil && (s.Kind == "" || s.Kind == self || s.Models == nil) {
			t.Errorf("%q is %+v", body, s)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
