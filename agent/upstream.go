package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Timeouts bound the stages of one upstream call. There is no bound on the
// whole of it: a long answer that keeps coming is a good one, and a caller with
// a deadline has its context.
type Timeouts struct {
	// Connect bounds DNS, TCP and TLS together with the proxy's part: each of
	// dialing and the TLS handshake may take this long. 0 means 10 s.
	Connect time.Duration
	// FirstByte bounds the sending of the request, and then the wait for the
	// headers of a streamed answer. Model servers that load a model or read a
	// long prompt first are slow here. 0 means 2 min.
	FirstByte time.Duration
	// Whole is FirstByte for an answer that is not streamed: its headers come
	// when the model has written all of it. 0 means 10 min, as OpenAI's clients
	// wait.
	Whole time.Duration
	// Idle bounds the silence between two reads of the answer's body. Time in
	// which nobody reads, because the reader of the deltas is behind, does not
	// count. 0 means 2 min.
	Idle time.Duration
}

// Retry says how often a call that has brought nothing yet is made again.
// Only failures to connect and the statuses 429, 500, 502, 503, 504 and 529
// are retried, after base*2^n at most, with full jitter, or after what the
// upstream's Retry-After says when that is at most MaxWait.
type Retry struct {
	// Max is the number of further attempts. 0 means 2, below 0 none.
	Max int
	// Base is the first backoff. 0 means 250 ms.
	Base time.Duration
	// Cap is the longest backoff. 0 means 8 s.
	Cap time.Duration
	// MaxWait is the longest Retry-After that is waited out; an upstream that
	// asks for more gets its error passed on at once. 0 means 30 s.
	MaxWait time.Duration
}

// Observer hears of what happens inside a call and is not told by its result.
// Its methods are called from many goroutines at once.
type Observer interface {
	// UpstreamRetry is called before each further attempt.
	UpstreamRetry(provider string)
}

// userAgent names this program to upstreams.
const userAgent = "agentzero"

// upstreamOptions describe one upstream.
type upstreamOptions struct {
	// Provider is the configured name, put into every error.
	Provider string
	// BaseURL is what the paths of calls are appended to. A query in it stays.
	BaseURL string
	// Header is sent with every call (authorization, API version). Its keys are
	// in canonical form.
	Header http.Header
	// Headers are sent with every call too, and override Header. Their values
	// are secrets.
	Headers map[string]string
	// Secrets never stand in an error's text, also when the upstream echoes them.
	Secrets  []string
	Timeouts Timeouts
	Retry    Retry
	Observer Observer // may be nil
}

// upstream is the HTTP side of one provider: its connections, timeouts and
// retries, and the forms of its failures.
//
// A call is made with do. The answer's Body must be closed; its Read returns
// only io.EOF, the error of do's context, or an [*Error] (KindCut where the
// connection broke, KindTimeout after Timeouts.Idle of silence), so readers of
// a stream pass errors on as they are.
type upstream struct {
	provider string
	base     *url.URL
	unusable error // why no call can be made, nil if one can
	header   http.Header
	secrets  *strings.Replacer // takes them out of a text
	timeouts Timeouts
	retry    Retry
	observer Observer
	client   *http.Client
}

func newUpstream(o upstreamOptions) *upstream {
	u := &upstream{
		provider: o.Provider,
		timeouts: o.Timeouts.withDefaults(),
		retry:    o.Retry.withDefaults(),
		observer: o.Observer,
	}
	u.header, u.unusable = requestHeader(o.Header, o.Headers)
	u.secrets = redactor(o.Secrets, o.Headers)
	if base, err := parseBase(o.BaseURL); err != nil {
		u.unusable = fmt.Errorf("base_url: %w", err)
	} else {
		u.base = base
	}
	u.client = &http.Client{
		Transport:     newTransport(u.timeouts),
		CheckRedirect: checkRedirect,
	}
	return u
}

// do makes one call and returns an answer of status 2xx. Any other ends in an
// [*Error], or in ctx's error. When ctx ends, the connection (HTTP/1.1) or the
// stream (HTTP/2) is closed at once, also while the body is read.
//
// path starts with a slash. contentType and body may be empty. header, its keys
// in canonical form, adds to and overrides the upstream's own, and may be nil.
func (u *upstream) do(ctx context.Context, method, path, contentType string, body []byte, header http.Header) (*http.Response, error) {
	return u.call(ctx, &call{method, path, contentType, body, header, u.timeouts.FirstByte})
}

// doWhole is do for an answer that is not streamed: it waits for the headers up
// to Timeouts.Whole.
func (u *upstream) doWhole(ctx context.Context, method, path, contentType string, body []byte, header http.Header) (*http.Response, error) {
	return u.call(ctx, &call{method, path, contentType, body, header, u.timeouts.Whole})
}

// call is one call to be made, perhaps several times.
type call struct {
	method, path, contentType string
	body                      []byte
	header                    http.Header
	firstByte                 time.Duration
}

func (u *upstream) call(ctx context.Context, c *call) (*http.Response, error) {
	if u.unusable != nil {
		return nil, u.errorf(KindInvalid, u.unusable, "%v", u.unusable)
	}
	for attempt := 0; ; attempt++ {
		resp, err := u.attempt(ctx, c)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		wait, again := u.retry.wait(attempt, err)
		if !again {
			return nil, err.Error
		}
		if !sleep(ctx, wait) {
			return nil, ctx.Err()
		}
		if u.observer != nil {
			u.observer.UpstreamRetry(u.provider)
		}
	}
}

// close gives up idle connections; calls in flight go on.
func (u *upstream) close() { u.client.CloseIdleConnections() }

// attemptError is an Error that knows whether the same call may be made again.
type attemptError struct {
	*Error
	retryable bool
}

func (u *upstream) attempt(ctx context.Context, c *call) (*http.Response, *attemptError) {
	w := newWatch(ctx)
	var conn connState
	req, err := http.NewRequestWithContext(
		httptrace.WithClientTrace(w.ctx, conn.trace(func() { w.sent(c.firstByte) })),
		c.method, u.url(c.path), bytes.NewReader(c.body))
	if err != nil {
		w.end()
		return nil, &attemptError{Error: u.errorf(KindInvalid, err, "request to %s cannot be made", u.base.Host)}
	}
	req.Header.Set("User-Agent", userAgent)
	maps.Copy(req.Header, u.header)
	maps.Copy(req.Header, c.header)
	req.Host = req.Header.Get("Host") // where net/http looks for it; "" means the URL's
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		silent := w.silent()
		w.end()
		return nil, u.transportError(err, &conn, silent, c.firstByte)
	}
	w.answered(u.timeouts.Idle)
	resp.Body = &watchedBody{up: u, watch: w, body: resp.Body}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, u.statusError(resp)
	}
	return resp, nil
}

// url is the address of path, which may have a query.
func (u *upstream) url(path string) string {
	target := *u.base
	path, query, _ := strings.Cut(path, "?")
	target.Path += path
	if target.RawQuery != "" && query != "" {
		query = target.RawQuery + "&" + query
	}
	if query != "" {
		target.RawQuery = query
	}
	return target.String()
}

// connState tells how far a call came before it failed.
type connState struct{ connected, reused, answered atomic.Bool }

// trace calls sent when a connection is there to send on, and when all is sent.
func (s *connState) trace(sent func()) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			s.connected.Store(true)
			s.reused.Store(i.Reused)
			sent()
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { sent() },
		GotFirstResponseByte: func() { s.answered.Store(true) },
	}
}

// transportError names a call that brought no status. One that failed before
// its request was sent is retryable, and so is one on a kept connection that
// the server closed just then: it was lost on the way, not refused.
func (u *upstream) transportError(err error, conn *connState, silent bool, firstByte time.Duration) *attemptError {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, which may hold credentials
	}
	host := u.base.Host
	var netErr net.Error
	switch {
	case silent:
		return &attemptError{Error: u.errorf(KindTimeout, errSilent, "no answer from %s within %s", host, firstByte)}
	case !conn.connected.Load() && errors.As(err, &netErr) && netErr.Timeout():
		return &attemptError{u.errorf(KindTimeout, err, "no connection to %s within %s", host, u.timeouts.Connect), true}
	case !conn.connected.Load():
		return &attemptError{u.errorf(KindConnect, err, "cannot connect to %s: %v", host, err), true}
	case conn.answered.Load():
		return &attemptError{Error: u.errorf(KindMalformed, err, "%s sent no proper HTTP answer: %v", host, err)}
	default:
		return &attemptError{
			u.errorf(KindCut, err, "%s closed the connection without an answer: %v", host, err), conn.reused.Load()}
	}
}

// errorf makes an Error of this provider, its text without secrets.
func (u *upstream) errorf(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Provider: u.provider, Message: u.clean(fmt.Sprintf(format, args...)), Err: cause}
}

// named puts the provider's name into err where it is an [*Error] without one.
func (u *upstream) named(err error) error { return providerNamed(err, u.provider) }

func parseBase(base string) (*url.URL, error) {
	parsed, err := url.Parse(strings.TrimSpace(base))
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	if (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, errors.New("it must be an http:// or https:// URL")
	}
	parsed.Path = strings.TrimRight(parsed.Path, "/")
	parsed.RawPath = ""
	parsed.Fragment = ""
	return parsed, nil
}

func (t Timeouts) withDefaults() Timeouts {
	if t.Connect <= 0 {
		t.Connect = 10 * time.Second
	}
	if t.FirstByte <= 0 {
		t.FirstByte = 2 * time.Minute
	}
	if t.Whole <= 0 {
		t.Whole = 10 * time.Minute
	}
	if t.Idle <= 0 {
		t.Idle = 2 * time.Minute
	}
	return t
}

// readAll reads a whole answer of at most limit bytes.
func (u *upstream) readAll(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, u.errorf(KindMalformed, nil, "the answer is larger than %d bytes", limit)
	}
	return data, nil
}
