package transport

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	for _, test := range []struct {
		name     string
		loopback bool
		allowed  []string
		good     []string
		bad      []string
	}{
		{"of a gateway on loopback", true, nil,
			[]string{"localhost", "LOCALHOST:1", "127.0.0.1:42617", "127.9.9.9", "[::1]:42617", "[::1]", "app.localhost", "[::ffff:127.0.0.1]"},
			[]string{"evil.example", "localhost.evil.example", "192.168.1.1", "0.0.0.0", "127.0.0.1.nip.io", "[fe80::1]"}},
		{"of one that is given a name", true, []string{"agents.example"},
			[]string{"agents.example", "Agents.Example:8080", "localhost"}, []string{"evil.example", "x.agents.example", "10.0.0.1"}},
		{"of one on a network", false, nil, []string{"anything.example", "10.0.0.1"}, nil},
		{"of one on a network with a name", false, []string{"agents.example"},
			[]string{"agents.example", "10.0.0.1:80", "[2001:db8::1]"}, []string{"evil.example"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(s *settings) { s.Loopback, s.Live.AllowedHosts = test.loopback, test.allowed })
			for _, host := range test.good {
				if got := r.ask("GET", "/health", "", "Host: "+host); got.StatusCode != 200 {
					t.Errorf("%s: %s %s", host, got.Status, got.body)
				}
			}
			for _, host := range test.bad {
				if got := r.ask("GET", "/health", "", "Host: "+host); got.StatusCode != 403 || got.failure(t).Code != CodeOriginDenied {
					t.Errorf("%s: %s", host, got.Status)
				}
			}
		})
	}
	t.Run("of the request's own line", func(t *testing.T) {
		r := newRig(t)
		if got := r.ask("GET", "http://evil.example/health", ""); got.StatusCode != 403 {
			t.Errorf("%s", got.Status)
		}
	})
}

func TestAPageOfTheListMayUseTheGateway(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Live.CORSOrigins = []string{"https://App.example/"} })
	r.agent.always("Hi")
	const origin = "Origin: https://app.example"

	got := r.ask("OPTIONS", "/v1/sessions/s/messages", "", "Authorization:", origin,
		"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, x-session-id")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
		"Access-Control-Allow-Headers": "authorization, x-session-id", "Access-Control-Max-Age": "600", "Vary": "Origin",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%s %v", got.Status, got.Header)
	}

	for _, got := range []*http.Response{
		r.ask("POST", "/v1/chat/completions", hello, origin).Response,
		r.ask("POST", "/v1/chat/completions", helloStream, origin).Response,
		r.ask("GET", "/v1/models", "", origin, "Authorization: Bearer nobody").Response, // which the page may read too
	} {
		if got.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || !strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "X-Session-Id") {
			t.Errorf("%s %v", got.Status, got.Header)
		}
	}
	for _, other := range []string{"https://app.example.evil", "http://app.example", "null", "https://evil.example"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			got := r.ask(method, "/v1/models", "", "Origin: "+other, "Access-Control-Request-Method: GET")
			if got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s of %s: %s", method, other, got.Status)
			}
		}
	}
}

func TestClientsBehindProxies(t *testing.T) {
	s := &Server{options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, test := range []struct{ name, peer, forwarded, want string }{
		{"a stranger's word counts for nothing", "192.0.2.1", "198.51.100.7", "192.0.2.1"},
		{"a proxy's does", "10.0.0.1", "198.51.100.7", "198.51.100.7"},
		{"but not what the client had put before it", "10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"},
		{"proxies may stand in a row", "10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.3 ,10.0.0.2", "198.51.100.7"},
		{"all may be proxies", "10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"},
		{"one may say nothing", "10.0.0.1", "", "10.0.0.1"},
		{"or nonsense", "10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"},
		{"IPv6", "fd00::1", "2001:db8::7", "2001:db8::7"},
		{"IPv4 within IPv6", "10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"},
		{"with a port", "10.0.0.1", "198.51.100.7:1234", "198.51.100.7"},
		{"IPv6 with a port", "10.0.0.1", "[2001:db8::7]:1234", "2001:db8::7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := s.beforeProxies(netip.MustParseAddr(test.peer), []byte(test.forwarded)); got.String() != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// A proxy that adds a line of its own must not be outdone by one from the client.
func TestForwardedForIsReadFromAllItsLines(t *testing.T) {
	limit := func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 1, time.Hour }
	proxied := func(s *settings) { s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for _, test := range []struct {
		name   string
		change func(*settings)
		second int
	}{
		{"through a trusted proxy two addresses are two", proxied, 200},
		{"without one they are the peer's", func(*settings) {}, 429},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, limit, test.change)
			r.ask("GET", "/", "", "Authorization:", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.7")
			if got := r.ask("GET", "/", "", "Authorization:", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.8"); got.StatusCode != test.second {
				t.Errorf("another address: %s", got.Status)
			}
			if got := r.ask("GET", "/", "", "Authorization:", "X-Forwarded-For: 2.2.2.2", "X-Forwarded-For: 198.51.100.7"); got.StatusCode != 429 {
				t.Errorf("the same address: %s", got.Status)
			}
		})
	}
}
