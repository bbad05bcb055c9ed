package transport

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// access decides by Host and Origin. A web page may have its own name resolved
// to this machine (DNS rebinding), and a browser then lets it speak to the
// gateway as if it were the page's own server; the names it uses give it away.
type access struct {
	loopback bool
	hosts    map[string]bool
	origins  map[string]bool
	any      bool // every origin
}

func newAccess(l Live, loopback bool) *access {
	a := &access{loopback: loopback, hosts: make(map[string]bool), origins: make(map[string]bool)}
	for _, h := range l.AllowedHosts {
		a.hosts[strings.ToLower(h)] = true
	}
	for _, o := range l.CORSOrigins {
		a.origins[strings.ToLower(strings.TrimSuffix(o, "/"))] = true
	}
	a.any = a.origins["*"]
	return a
}

// checkHost refuses names that are not this gateway's.
func (a *access) checkHost(ctx *fasthttp.RequestCtx) error {
	host := strings.ToLower(string(ctx.Host()))
	name := hostname(host)
	switch {
	case a.hosts[name], a.hosts[host]:
		return nil
	case host == "" && !ctx.Request.Header.IsHTTP11():
		return nil // no browser leaves it out
	case isLoopbackName(name):
		return nil
	case !a.loopback && len(a.hosts) == 0:
		return nil // the operator has put the gateway on a network and named no names
	case !a.loopback && isAddress(name):
		return nil // an address cannot be rebound
	}
	return fail(CodeOriginDenied, "the Host header names another server; add its name to gateway.allowed_hosts if it is right")
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

func isLoopbackName(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}

// checkOrigin refuses pages of other sites, and lets those on the CORS list read
// the answer.
func (a *access) checkOrigin(ctx *fasthttp.RequestCtx) error {
	origin := strings.ToLower(string(ctx.Request.Header.Peek("Origin")))
	if origin == "" {
		return nil
	}
	listed := a.any || a.origins[origin]
	if listed {
		h := &ctx.Response.Header
		h.Set("Access-Control-Allow-Origin", string(ctx.Request.Header.Peek("Origin")))
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host == strings.ToLower(string(ctx.Host())) && (u.Scheme == "http" || u.Scheme == "https") {
		return nil
	}
	return fail(CodeOriginDenied, "pages of this origin may not use the gateway; add it to gateway.cors_allowed_origins if they should")
}

const exposedHeaders = "X-Request-Id, X-Session-Id, X-Turn-Id, X-Queue-Position, Idempotency-Replayed, Retry-After, " +
	"X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests"

func isPreflight(ctx *fasthttp.RequestCtx) bool {
	return ctx.IsOptions() && len(ctx.Request.Header.Peek("Origin")) > 0 &&
		len(ctx.Request.Header.Peek("Access-Control-Request-Method")) > 0
}

// preflight tells a browser what a page may send.
func (a *access) preflight(ctx *fasthttp.RequestCtx, methods string) {
	h := &ctx.Response.Header
	h.Set("Access-Control-Allow-Methods", methods)
	if asked := ctx.Request.Header.Peek("Access-Control-Request-Headers"); len(asked) > 0 {
		h.SetBytesV("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}
