package daemon

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"agentzero/test/gateway"
	"agentzero/test/upstream"
)

// door is a port at which a model server can be made to answer, or to be gone.
type door struct {
	t       *testing.T
	address string
	to      *url.URL
	server  *httptest.Server
}

func newDoor(t *testing.T, model string) *door {
	t.Helper()
	up := upstream.New(t)
	up.Set(model, upstream.Script{Deltas: []string{"I am " + model}})
	to, err := url.Parse(up.URL())
	if err != nil {
		t.Fatal(err)
	}
	to.Path = strings.TrimSuffix(to.Path, "/v1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, address: l.Addr().String(), to: to}
	l.Close()
	t.Cleanup(d.shut)
	return d
}

func (d *door) open() {
	d.t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(d.to) }, Transport: &http.Transport{DisableKeepAlives: true}}
	d.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: proxy}}
	d.server.Start()
}

func (d *door) shut() {
	if d.server != nil {
		d.server.CloseClientConnections()
		d.server.Close()
		d.server = nil
	}
}

func TestTheBestLocalServerIsUsedAsTheyComeAndGo(t *testing.T) {
	first, second := newDoor(t, "first"), newDoor(t, "second")
	second.open()
	m := newMachine(t, "AGENTZERO_AGENT__PROVIDER=auto", "AGENTZERO_AGENT__DISCOVER_EVERY=1s",
		"AGENTZERO_GATEWAY__REQUIRE_PAIRING=false", "AGENTZERO_AGENT__LOCAL_SERVERS="+first.address+","+second.address+"/v1")
	if r := m.must("daemon", "start"); !strings.Contains(r.Stdout, "auto: openai at http://"+second.address) || !strings.Contains(r.Stdout, "second") {
		t.Errorf("the start does not tell what it has found:\n%s", r.Stdout)
	}
	s, _ := m.status()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	ask := func() string {
		t.Helper()
		resp, err := client.Post(s.Address+"/api/chat", "application/json", strings.NewReader(`{"message":"who are you?"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Message string
			Error   struct{ Code, Message string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.Message + answer.Error.Code
	}
	models := func() string {
		t.Helper()
		resp, err := client.Get(s.Address + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var list struct{ Data []struct{ ID string } }
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, m := range list.Data {
			ids = append(ids, m.ID)
		}
		return strings.Join(ids, " ")
	}
	if got := ask(); got != "I am second" {
		t.Errorf("with the second alone: %s", got)
	}
	first.open() // the user's first address is the better one
	eventually(t, "the first answers", func() bool { return ask() == "I am first" })
	eventually(t, "the models of both are listed", func() bool { return models() == "first openai-2/second" })
	first.shut() // the call that meets it gone is answered by the other
	if got := ask(); got != "I am second" {
		t.Errorf("when the first has gone: %s", got)
	}
	second.shut()
	eventually(t, "it is told that none is there", func() bool { return ask() == "agent_unavailable" })
	first.open()
	eventually(t, "the first answers again", func() bool { return ask() == "I am first" })
}

func TestDiscoverShowsWhatIsThere(t *testing.T) {
	d := newDoor(t, "the-model")
	d.open()
	env := []string{"AGENTZERO_AGENT__LOCAL_SERVERS=" + d.address}
	r := gateway.Command(t, env, "discover", "--json")
	var servers []struct {
		Server, Address string
		Models          []struct{ ID string }
		Latency         float64 `json:"latency_ms"`
		Configured      bool
	}
	if err := json.Unmarshal([]byte(r.Stdout), &servers); err != nil || r.Code != 0 || len(servers) == 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	if s := servers[0]; s.Address != "http://"+d.address || s.Server != "openai" || len(s.Models) != 1 || s.Models[0].ID != "the-model" || s.Latency <= 0 || !s.Configured {
		t.Errorf("%+v", s)
	}
	r = gateway.Command(t, env, "discover")
	for _, part := range []string{"SERVER", "openai", "http://" + d.address, "the-model", "AGENTZERO_AGENT__PROVIDER=auto"} {
		if !strings.Contains(r.Stdout, part) {
			t.Errorf("it does not show %q:\n%s", part, r.Stdout)
		}
	}
}
