package floor

import (
	"bufio"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

// streamer streams with what fasthttp has for it.
type streamer struct {
	client fasthttp.HostClient
	bufs   sync.Pool
}

func newStreamer(addr string) *streamer {
	return &streamer{
		client: fasthttp.HostClient{
			Addr:               addr,
			StreamResponseBody: true,
			MaxConns:           100_000,
			ReadBufferSize:     4 << 10,
		},
		bufs: sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }},
	}
}

func (s *streamer) serve(ctx *fasthttp.RequestCtx) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	ctx.Request.CopyTo(req)
	if err := s.client.Do(req, resp); err != nil {
		fasthttp.ReleaseResponse(resp)
		ctx.Error(err.Error(), fasthttp.StatusBadGateway)
		return
	}
	ctx.SetStatusCode(resp.StatusCode())
	ctx.SetContentTypeBytes(resp.Header.ContentType())
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		s.copy(w, resp.BodyStream())
		_ = resp.CloseBodyStream()
		fasthttp.ReleaseResponse(resp)
	})
}

// copy ends when either side does. fasthttp has no way to tell the client that
// an answer was cut short: it looks complete but for its [DONE].
func (s *streamer) copy(w *bufio.Writer, from io.Reader) {
	buf := s.bufs.Get().(*[]byte)
	defer s.bufs.Put(buf)
	for {
		n, err := from.Read(*buf)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return
			}
			if err := w.Flush(); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
