package discovery

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say where to look.
type Options struct {
	// Addresses are the user's own, as URLs; a trailing /v1 is left off.
	Addresses []string
	// Skip are the host:port of this gateway itself, which is never asked.
	Skip []string
	// Ports replaces the well-known ports of 127.0.0.1; nil means those, an empty
	// list none.
	Ports []int
	// Timeout bounds the whole search. 0 means 1 s.
	Timeout time.Duration
}

// WellKnownPorts are where the known servers listen unless they are told
// otherwise: Ollama, LM Studio, llama.cpp and LocalAI, vLLM, SGLang, Jan.
func WellKnownPorts() []int { return []int{11434, 1234, 8080, 8000, 30000, 1337} }

// defaultTimeout is how long a search may take: all are asked at once, and those
// on this machine answer or refuse within milliseconds.
const defaultTimeout = time.Second

// Find asks all addresses at once and returns the servers that answer, the best
// first. It asks by GET only, loads no model, and leaves nothing running.
func Find(ctx context.Context, o Options) []Server {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	transport := &http.Transport{
		Proxy:                  nil, // what is on this machine is behind none
		MaxConnsPerHost:        4,
		MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	targets := o.targets()
	found := make([]*Server, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			if s := (&probe{ctx: ctx, client: client, base: t.address}).identify(); s != nil {
				s.Own, s.place = t.own, i
				found[i] = s
			}
		})
	}
	wg.Wait()
	servers := []Server{}
	for _, s := range found {
		if s != nil {
			servers = append(servers, *s)
		}
	}
	rank(servers)
	return servers
}

type target struct {
	address string
	own     bool
}

// targets are the addresses to ask, each once, without this gateway's own.
func (o Options) targets() []target {
	ports := o.Ports
	if ports == nil {
		ports = WellKnownPorts()
	}
	var list []target
	seen := make(map[string]bool)
	add := func(address string, own bool) {
		address = strings.TrimSuffix(strings.TrimRight(address, "/"), "/v1")
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || o.skips(u) || seen[canonical(u)] {
			return
		}
		seen[canonical(u)] = true
		list = append(list, target{address, own})
	}
	for _, address := range o.Addresses {
		add(address, true)
	}
	for _, port := range ports {
		add("http://"+net.JoinHostPort("127.0.0.1", portText(port)), false)
	}
	return list
}

// skips tells that an address is this gateway's own: the same port, on a host
// that is the same or both this machine.
func (o Options) skips(u *url.URL) bool {
	return slices.ContainsFunc(o.Skip, func(own string) bool {
		host, port, err := net.SplitHostPort(own)
		return err == nil && port == portOf(u) && (isLocal(host) && isLocal(u.Hostname()) || strings.EqualFold(host, u.Hostname()))
	})
}

// canonical names an address, whatever way this machine is written.
func canonical(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if isLocal(host) {
		host = "127.0.0.1"
	}
	return u.Scheme + "://" + net.JoinHostPort(host, portOf(u)) + u.Path
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || host == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
