package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

// request is what the middleware knows of a request and passes to its handler.
type request struct {
	server   *Server
	route    *route
	id       string
	identity Identity
	address  netip.Addr
	began    time.Time
	method   string
	path     string
	code     Code // of the error, if any
	detached bool // the handler has taken the connection over
}

// handler answers a request, or returns why not.
type handler func(ctx *fasthttp.RequestCtx, r *request) error

// serve puts a route's handler behind the middleware. It reads as the order of
// the checks.
func (s *Server) serve(rt *route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		r := &request{server: s, route: rt, began: time.Now()}
		r.method, r.path = string(ctx.Method()), string(ctx.Path())
		r.id = requestID(ctx)
		r.address = s.clientAddress(ctx)
		ctx.Response.Header.Set("X-Request-Id", r.id)
		if err := s.pass(ctx, r); err != nil {
			e := errorOf(err)
			if e.Code == CodeInternal {
				s.options.Logger.Error("request failed", slog.String("request_id", r.id), slog.Any("error", err))
			}
			r.code = e.Code
			e.write(ctx)
		}
		if !r.detached {
			r.finish(ctx.Response.StatusCode(), int64(len(ctx.Response.Body())))
		}
	}
}

func (s *Server) pass(ctx *fasthttp.RequestCtx, r *request) (err error) {
	return r.guard(func() error { return s.check(ctx, r) })
}

// guard runs f. A panic in it is an error of this request alone.
func (r *request) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.server.options.Logger.Error("handler panicked", slog.String("request_id", r.id), slog.String("route", r.route.pattern),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errorOf(errPanicked)
		}
	}()
	return f()
}

var errPanicked = errors.New("transport: a handler panicked")

func (s *Server) check(ctx *fasthttp.RequestCtx, r *request) error {
	access := s.live.Load()
	if err := access.checkHost(ctx); err != nil {
		return err
	}
	if err := access.checkOrigin(ctx); err != nil {
		return err
	}
	if isPreflight(ctx) {
		access.preflight(ctx, s.methodsOf(ctx))
		return nil
	}
	authErr := s.authenticate(ctx, r)
	if !r.route.unlimited && !r.route.ownLimit {
		if err := s.limit(ctx, r); err != nil {
			return err
		}
	}
	if authErr != nil {
		return authErr
	}
	return r.route.handle(ctx, r)
}

// finish writes the access log and counts the request.
func (r *request) finish(status int, bytes int64) {
	took := time.Since(r.began)
	s := r.server
	s.options.Metrics.request(r.method, r.route.pattern, status, took)
	if r.code != "" {
		s.options.Metrics.failed(r.code)
	}
	level := slog.LevelInfo
	if r.route.quiet {
		level = slog.LevelDebug
	}
	s.options.Logger.LogAttrs(context.Background(), level, "request",
		slog.String("method", r.method), slog.String("path", r.path), slog.Int("status", status),
		slog.Duration("took", took), slog.Int64("bytes", bytes), slog.String("request_id", r.id),
		slog.String("client", r.address.String()), slog.String("token_id", r.identity.TokenID), slog.String("error_code", string(r.code)))
}

// requestID is the client's where it is sane, else a fresh one.
func requestID(ctx *fasthttp.RequestCtx) string {
	id := ctx.Request.Header.Peek("X-Request-Id")
	if len(id) == 0 || len(id) > 128 {
		return actors.NewID("req_")
	}
	for _, c := range id {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return actors.NewID("req_")
		}
	}
	return string(id)
}

// clientAddress is the peer's, or behind trusted proxies the nearest one that is
// no such proxy.
func (s *Server) clientAddress(ctx *fasthttp.RequestCtx) netip.Addr {
	peer := netip.Addr{}
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		peer, _ = netip.AddrFromSlice(tcp.IP)
		peer = peer.Unmap()
	}
	if len(s.options.TrustedProxies) == 0 {
		return peer
	}
	// A proxy may add a line of its own to those that a client has made up.
	return s.beforeProxies(peer, bytes.Join(ctx.Request.Header.PeekAll("X-Forwarded-For"), []byte(",")))
}

// beforeProxies follows the addresses that proxies have added, the nearest last,
// as far as those are trusted which tell them.
func (s *Server) beforeProxies(peer netip.Addr, forwarded []byte) netip.Addr {
	hops := bytes.Split(forwarded, []byte(","))
	for i := len(hops) - 1; i >= 0 && s.trusts(peer); i-- {
		hop, ok := parseHop(string(bytes.TrimSpace(hops[i])))
		if !ok {
			break
		}
		peer = hop.Unmap()
	}
	return peer
}

// parseHop reads an address, to which some proxies add the port.
func parseHop(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.WithZone(""), true
	}
	withPort, err := netip.ParseAddrPort(text)
	return withPort.Addr().WithZone(""), err == nil
}

func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.options.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// open is everybody, where no pairing is required.
var openIdentity = Identity{Owner: "default", Chat: true, Webhook: true, Admin: true}

// authenticate fills in who asks. What a route needs is in its scope.
func (s *Server) authenticate(ctx *fasthttp.RequestCtx, r *request) error {
	if r.route.scope == scopeNone {
		return nil
	}
	if !s.options.RequirePairing {
		r.identity = openIdentity
		return nil
	}
	identity, given, known := Identity{}, false, false
	if token, ok := bearer(ctx); ok {
		given = true
		identity, known = s.options.Auth.Verify(token)
	} else {
		identity, given, known = s.webSocketIdentity(ctx, r)
	}
	switch {
	case !given:
		return fail(CodeAuthRequired, "a token is needed: send `Authorization: Bearer TOKEN`; POST /pair with the code the gateway prints makes one")
	case !known:
		return fail(CodeAuthFailed, "this token is not known here; it may have been revoked: pair again, or make a token with `agentzero token create`")
	}
	r.identity = identity
	if !r.route.scope.allows(r.identity) {
		return fail(CodeAuthFailed, "this token's scope does not allow this request")
	}
	return nil
}

// bearer returns the token of the Authorization header.
func bearer(ctx *fasthttp.RequestCtx) ([]byte, bool) {
	header := ctx.Request.Header.Peek("Authorization")
	const scheme = "bearer "
	if len(header) <= len(scheme) || !bytes.EqualFold(header[:len(scheme)], []byte(scheme)) {
		return nil, false
	}
	return bytes.TrimSpace(header[len(scheme):]), true
}

// limit counts the request against its token, or its address without one.
func (s *Server) limit(ctx *fasthttp.RequestCtx, r *request) error {
	key := r.identity.TokenID
	if key == "" {
		key = addressKey(r.address)
	}
	d := s.limiter.Allow(key)
	if d.Limit == 0 {
		return nil
	}
	h := &ctx.Response.Header
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(d.Limit))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(d.Remaining))
	h.Set("X-Ratelimit-Reset-Requests", strconv.FormatFloat(d.Reset.Seconds(), 'f', 3, 64)+"s")
	if d.OK {
		return nil
	}
	s.options.Metrics.limited()
	return &Error{Code: CodeRateLimited, Message: "too many requests; try again later", RetryAfter: d.RetryAfter}
}

// smallBody is what a request without a good token may send.
const smallBody = 64 << 10

// headerReceived bounds the body before it is read: who has no token cannot make
// the gateway hold much of it.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if !s.options.RequirePairing {
		return fasthttp.RequestConfig{}
	}
	if token := h.Peek("Authorization"); len(token) > len("bearer ") {
		if _, ok := s.options.Auth.Verify(bytes.TrimSpace(token[len("bearer "):])); ok {
			return fasthttp.RequestConfig{}
		}
	}
	if s.signs(h) {
		return fasthttp.RequestConfig{MaxRequestBodySize: min(signedBody, s.options.MaxBodyBytes)}
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: min(smallBody, s.options.MaxBodyBytes)}
}

// expect decides, for a client that waits for leave to send its body, whether it
// would be read at all.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	limit := s.headerReceived(&ctx.Request.Header).MaxRequestBodySize
	if limit == 0 {
		limit = s.options.MaxBodyBytes
	}
	if ctx.Request.Header.ContentLength() <= limit {
		return fasthttp.StatusContinue
	}
	s.unreadable(ctx, fasthttp.ErrBodyTooLarge)
	return ctx.Response.StatusCode()
}

// unreadable answers what could not be read as a request.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	r := &request{server: s, route: unmatched, began: time.Now(), id: requestID(ctx), address: s.clientAddress(ctx)}
	r.method, r.path = string(ctx.Method()), string(ctx.Path())
	ctx.Response.Header.Set("X-Request-Id", r.id)
	e := s.unreadableError(ctx, r, err)
	r.code = e.Code
	e.write(ctx)
	ctx.SetConnectionClose()
	r.finish(e.status(), 0)
}

func (s *Server) unreadableError(ctx *fasthttp.RequestCtx, r *request, err error) *Error {
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge) && ctx.Request.Header.ContentLength() <= 0:
		// It came in chunks, and fasthttp has forgotten whose it was.
		return fail(CodeTooLarge, fmt.Sprintf("the body is larger than this request may send: %d bytes with a good token, %d without", s.options.MaxBodyBytes, smallBody))
	case errors.Is(err, fasthttp.ErrBodyTooLarge) && s.signs(&ctx.Request.Header):
		return fail(CodeTooLarge, fmt.Sprintf("a delivery that is signed may be %d bytes", min(signedBody, s.options.MaxBodyBytes)))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		if auth := s.authenticate(ctx, &request{route: &route{scope: scopeAny}}); auth != nil {
			return errorOf(auth) // of strangers only little is read
		}
		return fail(CodeTooLarge, fmt.Sprintf("the body is larger than %d bytes", s.options.MaxBodyBytes))
	case errors.As(err, &small):
		return &Error{Code: CodeTooLarge, Status: fasthttp.StatusRequestHeaderFieldsTooLarge, Message: "the request's header is too large"}
	case isTimeout(err):
		return &Error{Code: CodeTimeout, Status: fasthttp.StatusRequestTimeout, Message: "the request did not arrive in time"}
	default:
		return badRequest("", "the request cannot be read as HTTP")
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
