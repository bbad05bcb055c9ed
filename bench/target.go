package bench

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Target is a server under test.
type Target struct {
	Name string `json:"name"`
	// URL is where its doors are: http://host:port, with a path before theirs if
	// there is one. Only loopback addresses are taken, unless Remote is set.
	URL   string `json:"url"`
	Token string `json:"-"` // sent as a bearer token
	// WebhookSecret, if set, signs deliveries as Standard Webhooks says ("whsec_...").
	WebhookSecret string `json:"-"`
	Remote        bool   `json:"remote,omitempty"`
	// PIDs are its processes. Without any, those are taken that listen on the
	// URL's port, where the system tells.
	PIDs []int `json:"pids,omitempty"`
}

// address is where a target listens.
type address struct {
	dial   string // host:port
	host   string // as the Host header has it
	prefix string // of all paths
	port   int
	local  bool
}

func (t *Target) address() (address, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return address{}, fmt.Errorf("target %s: %w", t.Name, err)
	}
	if u.Scheme != "http" || u.Host == "" {
		return address{}, fmt.Errorf("target %s: %q is no http://host:port", t.Name, t.URL)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	a := address{
		dial:   net.JoinHostPort(u.Hostname(), port),
		host:   u.Host,
		prefix: strings.TrimSuffix(u.EscapedPath(), "/"),
	}
	tcp, err := net.ResolveTCPAddr("tcp", a.dial)
	if err != nil {
		return address{}, fmt.Errorf("target %s: %w", t.Name, err)
	}
	// Resolved once: no lookup and no other server in the middle of a run.
	a.dial, a.port = tcp.String(), tcp.Port
	ip, ok := netip.AddrFromSlice(tcp.IP)
	a.local = ok && ip.Unmap().IsLoopback()
	if !a.local && !t.Remote {
		return address{}, fmt.Errorf("target %s: %s is not this machine; allow it only for a server of your own", t.Name, a.dial)
	}
	return a, nil
}
