package upstream

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/valyala/fasthttp"
)

// maxBody bounds a request, in bytes.
const maxBody = 16 << 20

// conn is one connection. Its goroutine reads; the wheel writes answers.
type conn struct {
	net.Conn
	server *Server
	raw    syscall.RawConn // nil where the connection has no descriptor
}

var (
	readers  = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
	requests = sync.Pool{New: func() any { return new(fasthttp.Request) }}
)

// serve answers requests until the client leaves.
func (c *conn) serve() {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	br := readers.Get().(*bufio.Reader)
	br.Reset(c.Conn)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	for {
		a, more := c.next(br)
		if a != nil {
			c.server.wheel.add(a)
			// The client says nothing while it is answered; what comes is its
			// hang-up, or a request that is early.
			if _, err := br.Peek(1); err != nil {
				a.gone.Store(true)
				_ = c.Close()
			}
			if <-a.done; a.close {
				return
			}
		}
		if !more {
			return
		}
	}
}

// next reads a request. What needs no clock is answered here; for the rest there
// is an answer for the wheel. more is false when the connection is over.
func (c *conn) next(br *bufio.Reader) (a *answer, more bool) {
	req := requests.Get().(*fasthttp.Request)
	defer func() {
		req.Reset()
		requests.Put(req)
	}()
	if err := req.ReadLimitBody(br, maxBody); err != nil {
		return nil, false
	}
	c.server.counts.requests.Add(1)
	http11, keep := req.Header.IsHTTP11(), !req.ConnectionClose()
	switch path := string(req.URI().Path()); {
	case strings.HasSuffix(path, "/chat/completions") && req.Header.IsPost():
		a, err := c.server.answerTo(req.Body())
		if err != nil {
			c.server.counts.refused.Add(1)
			return nil, c.respond(http.StatusBadRequest, errorBody(err.Error()), keep)
		}
		if status := c.server.wheel.refusal(a.behaviour); status != 0 {
			c.server.counts.refused.Add(1)
			return nil, c.respond(status, errorBody("the mock refuses a share of its requests"), keep)
		}
		a.conn, a.chunked, a.close = c, http11, !http11 || !keep
		return a, true
	case strings.HasSuffix(path, "/models") && req.Header.IsGet():
		return nil, c.respond(http.StatusOK, []byte(`{"object":"list","data":[{"id":"mock","object":"model","created":1700000000,"owned_by":"agentzero-bench"}]}`), keep)
	case path == "/stats":
		body, _ := json.Marshal(c.server.Stats()) // plain numbers cannot fail
		return nil, c.respond(http.StatusOK, body, keep)
	case path == "/health":
		return nil, c.respond(http.StatusOK, []byte(`{"status":"ok"}`), keep)
	}
	return nil, c.respond(http.StatusNotFound, errorBody("there is only /v1/chat/completions, /v1/models, /stats and /health"), keep)
}

func (c *conn) respond(status int, body []byte, keep bool) (more bool) {
	connection := "keep-alive"
	if !keep {
		connection = "close"
	}
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n",
		status, http.StatusText(status), len(body), connection)
	_, err := c.Write(append([]byte(head), body...))
	return err == nil && keep
}

func errorBody(message string) []byte {
	quoted, _ := json.Marshal(message) // a string cannot fail
	return fmt.Appendf(nil, `{"error":{"message":%s,"type":"server_error","code":"mock","param":null}}`, quoted)
}

// answerTo reads a chat completion request.
func (s *Server) answerTo(body []byte) (*answer, error) {
	var r struct {
		Model               string `json:"model"`
		Stream              bool   `json:"stream"`
		MaxTokens           *int   `json:"max_tokens"`
		MaxCompletionTokens *int   `json:"max_completion_tokens"`
		StreamOptions       struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, errNoRequest
	}
	b, err := s.behaviour.forModel(r.Model)
	if err != nil {
		return nil, err
	}
	for _, limit := range []*int{r.MaxTokens, r.MaxCompletionTokens} {
		if limit != nil && *limit >= 0 {
			b.Tokens = min(b.Tokens, *limit)
		}
	}
	return &answer{behaviour: b, stream: r.Stream, usage: r.StreamOptions.IncludeUsage, done: make(chan struct{})}, nil
}
