package floor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// hijacker copies from socket to socket, the framing of the chunks included.
// The client's connection ends with the answer; the upstream's is kept.
type hijacker struct {
	addr string

	mu   sync.Mutex
	idle []net.Conn
}

// bufSize is what one read of the upstream takes at most, in bytes. A stream
// holds a buffer of it.
const bufSize = 4 << 10

var bufs = sync.Pool{New: func() any { b := make([]byte, bufSize); return &b }}

func (h *hijacker) serve(ctx *fasthttp.RequestCtx) {
	up, err := h.ask(&ctx.Request)
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadGateway)
		return
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(client net.Conn) {
		if pass(client, up) {
			h.put(up)
			return
		}
		_ = up.Close()
	})
}

// ask sends the request to the upstream. A kept connection that has gone stale is
// an error to its client: the floor does not retry.
func (h *hijacker) ask(req *fasthttp.Request) (net.Conn, error) {
	up, err := h.get()
	if err != nil {
		return nil, err
	}
	body := req.Body()
	head := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		req.Header.Method(), req.RequestURI(), h.addr, len(body))
	if _, err := up.Write(append(head, body...)); err != nil {
		_ = up.Close()
		return nil, err
	}
	return up, nil
}

func (h *hijacker) get() (net.Conn, error) {
	h.mu.Lock()
	if n := len(h.idle); n > 0 {
		c := h.idle[n-1]
		h.idle = h.idle[:n-1]
		h.mu.Unlock()
		return c, nil
	}
	h.mu.Unlock()
	return net.Dial("tcp", h.addr)
}

// maxIdle is how many connections to the upstream are kept.
const maxIdle = 1000

func (h *hijacker) put(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) == maxIdle {
		_ = c.Close()
		return
	}
	h.idle = append(h.idle, c)
}

var errHead = errors.New("floor: the upstream's head does not fit")

// pass copies one response. whole means that the upstream's connection is free
// for the next.
func pass(client, up net.Conn) (whole bool) {
	pooled := bufs.Get().(*[]byte)
	defer bufs.Put(pooled)
	buf := *pooled
	n, bodyAt, err := readHead(up, buf)
	if err != nil {
		return false
	}
	end := endOf(buf[:bodyAt])
	line := bytes.IndexByte(buf, '\n') + 1
	head := append(append(make([]byte, 0, n+32), buf[:line]...), "Connection: close\r\n"...)
	if _, err := client.Write(append(head, buf[line:n]...)); err != nil {
		return false
	}
	over := end.after(buf[bodyAt:n])
	for !over {
		n, err := up.Read(buf)
		if n > 0 {
			over = end.after(buf[:n])
			if _, err := client.Write(buf[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return false
		}
	}
	return end.known
}

// readHead fills buf until it holds a whole head.
func readHead(up net.Conn, buf []byte) (n, bodyAt int, err error) {
	for n < len(buf) {
		m, err := up.Read(buf[n:])
		if err != nil {
			return n, 0, err
		}
		n += m
		if at := bytes.Index(buf[:n], []byte("\r\n\r\n")); at >= 0 {
			return n, at + 4, nil
		}
	}
	return n, 0, errHead
}

// end knows where a body ends.
type end struct {
	known bool   // before the connection's end
	left  int    // of a body with a length
	tail  []byte // the last bytes of a chunked body; nil for one with a length
}

// lastChunk ends a chunked body. That no event holds it is taken for granted: an
// upstream's lines end with \n alone.
const lastChunk = "0\r\n\r\n"

func endOf(head []byte) end {
	var h fasthttp.ResponseHeader
	// The head is known to be whole. What cannot be parsed ends with the connection.
	if err := h.Read(bufio.NewReader(bytes.NewReader(head))); err != nil {
		return end{}
	}
	switch n := h.ContentLength(); {
	case n >= 0:
		return end{known: true, left: n}
	case n == -1:
		return end{known: true, tail: make([]byte, 0, len(lastChunk))}
	}
	return end{}
}

// after takes the next bytes of the body in and tells whether it is over.
func (e *end) after(b []byte) bool {
	switch {
	case !e.known:
		return false
	case e.tail == nil:
		e.left -= len(b)
		return e.left <= 0
	case len(b) >= len(lastChunk):
		e.tail = append(e.tail[:0], b[len(b)-len(lastChunk):]...)
	default:
		e.tail = append(e.tail, b...)
		e.tail = append(e.tail[:0], e.tail[max(0, len(e.tail)-len(lastChunk)):]...)
	}
	return string(e.tail) == lastChunk
}
