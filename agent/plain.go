package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// plainTransport is an [http.RoundTripper] for what most calls of model servers
// next door are: HTTP/1.1 over TCP. net/http has two goroutines and two buffers
// beside each connection for as long as its answer streams; here the caller
// reads from the socket itself, into its own buffer. Everything else (TLS,
// HTTP/2, proxies) goes to net/http.
type plainTransport struct {
	other  *http.Transport
	dialer *net.Dialer

	mu    sync.Mutex
	idle  map[string][]*plainConn // by address, those used last at the end
	sweep *time.Timer             // nil while none is idle
}

// plainConn is a connection that serves one call at a time.
type plainConn struct {
	net.Conn
	address string
	since   time.Time // it is idle
}

// connBuffers are borrowed while a request is written and a header is read.
var (
	connReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, connBufferBytes) }}
	connWriters = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, connBufferBytes) }}
)

// maxInterim is how many answers of status 1xx may come before the one that counts.
const maxInterim = 5

// RoundTrip implements http.RoundTripper.
func (t *plainTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.isPlain(req) {
		return t.other.RoundTrip(req)
	}
	trace := httptrace.ContextClientTrace(req.Context())
	if trace == nil {
		trace = &httptrace.ClientTrace{}
	}
	c, reused, err := t.connect(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c, Reused: reused})
	}
	x := &exchangeOnConn{transport: t, conn: c, ctx: req.Context()}
	// A deadline in the past ends reading and writing at once.
	x.uncancel = context.AfterFunc(x.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	x.write(req, trace)
	resp, err := x.read(req, trace)
	if err != nil {
		x.end(false)
		return nil, x.explain(err)
	}
	return resp, nil
}

// isPlain tells whether a call is one for this transport.
func (t *plainTransport) isPlain(req *http.Request) bool {
	if req.URL.Scheme != "http" || req.Method == http.MethodConnect || !isASCII(req.URL.Host) {
		return false
	}
	proxy, err := t.other.Proxy(req)
	return proxy == nil && err == nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // it is in memory
	}
}

// connect returns an idle connection, or dials.
func (t *plainTransport) connect(req *http.Request) (c *plainConn, reused bool, err error) {
	port := req.URL.Port()
	if port == "" {
		port = "80"
	}
	address := net.JoinHostPort(req.URL.Hostname(), port)
	for c = t.take(address); c != nil; c = t.take(address) {
		if isQuiet(c.Conn) {
			return c, true, nil
		}
		_ = c.Close() // its server has left
	}
	conn, err := t.dialer.DialContext(req.Context(), "tcp", address)
	if err != nil {
		return nil, false, err
	}
	return &plainConn{Conn: conn, address: address}, false, nil
}

func (t *plainTransport) take(address string) *plainConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[address]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[address] = list[:len(list)-1]
	return c
}

// keep takes a connection back.
func (t *plainTransport) keep(c *plainConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.address]) >= maxIdleConnsPerHost {
		_ = c.Close()
		return
	}
	c.since = time.Now()
	if t.idle == nil {
		t.idle = make(map[string][]*plainConn)
	}
	t.idle[c.address] = append(t.idle[c.address], c)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(idleConnSweep, t.closeOld)
	}
}

// closeOld closes what nobody has used for a while, and what its server has left.
func (t *plainTransport) closeOld() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep = nil
	old := time.Now().Add(-idleConnTimeout)
	t.closeIf(func(c *plainConn) bool { return c.since.Before(old) || !isQuiet(c.Conn) })
	if len(t.idle) > 0 {
		t.sweep = time.AfterFunc(idleConnSweep, t.closeOld)
	}
}

func (t *plainTransport) closeIf(condition func(*plainConn) bool) {
	for address, list := range t.idle {
		kept := slices.DeleteFunc(list, func(c *plainConn) bool {
			over := condition(c)
			if over {
				_ = c.Close()
			}
			return over
		})
		if t.idle[address] = kept; len(kept) == 0 {
			delete(t.idle, address)
		}
	}
}

// CloseIdleConnections is what http.Client looks for.
func (t *plainTransport) CloseIdleConnections() {
	t.other.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
	t.closeIf(func(*plainConn) bool { return true })
}

// exchangeOnConn is one call on its connection.
type exchangeOnConn struct {
	transport *plainTransport
	conn      *plainConn
	ctx       context.Context
	uncancel  func() bool
	writer    chan struct{} // closed by the goroutine that writes the request; nil without one
	wrote     error         // why the request could not be written
}

// maxInlineBody is the largest request that is written before the answer is
// looked for. A larger one may meet a server that answers before it has read all.
const maxInlineBody = 16 << 10

func (x *exchangeOnConn) write(req *http.Request, trace *httptrace.ClientTrace) {
	if req.ContentLength >= 0 && req.ContentLength <= maxInlineBody {
		x.wrote = x.writeRequest(req, trace)
		return
	}
	x.writer = make(chan struct{})
	go func() {
		defer close(x.writer)
		x.wrote = x.writeRequest(req, trace)
	}()
}

func (x *exchangeOnConn) writeRequest(req *http.Request, trace *httptrace.ClientTrace) error {
	w := connWriters.Get().(*bufio.Writer)
	w.Reset(x.conn)
	err := req.Write(w)
	if err == nil {
		err = w.Flush()
	}
	w.Reset(nil)
	connWriters.Put(w)
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	return err
}

// read reads the answer's header.
func (x *exchangeOnConn) read(req *http.Request, trace *httptrace.ClientTrace) (*http.Response, error) {
	limited := &io.LimitedReader{R: x.conn, N: maxHeaderBytes}
	r := connReaders.Get().(*bufio.Reader)
	r.Reset(limited)
	defer func() {
		r.Reset(nil)
		connReaders.Put(r)
	}()
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	if trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			if limited.N <= 0 {
				err = fmt.Errorf("its header is larger than %d bytes", maxHeaderBytes)
			}
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			early, _ := r.Peek(r.Buffered())
			resp.Body = x.body(resp, slices.Clone(early))
			return resp, nil
		}
	}
	return nil, errors.New("interim answers without end")
}

// end gives the connection back, or closes it. It is called once.
func (x *exchangeOnConn) end(reusable bool) {
	if x.writer != nil {
		select {
		case <-x.writer:
		default: // it was answered before it was read
			reusable = false
			_ = x.conn.Close()
			<-x.writer
		}
	}
	alive := x.uncancel()
	if reusable && alive && x.wrote == nil {
		x.transport.keep(x.conn)
		return
	}
	_ = x.conn.Close()
}

// explain is the reason of a failure: that of the caller, where it is one. Of a
// request that could not be written and was not answered, it is that.
func (x *exchangeOnConn) explain(err error) error {
	switch {
	case x.ctx.Err() != nil:
		return x.ctx.Err()
	case x.wrote != nil: // end has waited for it
		return x.wrote
	default:
		return err
	}
}
