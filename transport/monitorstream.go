package transport

import (
	"encoding/json"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// gatewayEvents answers GET /v1/events: how the gateway does, a sample each
// second, after those of the last 15 minutes or those since Last-Event-ID.
func (s *Server) gatewayEvents(ctx *fasthttp.RequestCtx, r *request) error {
	after, err := sampleTime(ctx)
	if err != nil {
		return err
	}
	samples := s.monitor.watch()
	if samples == nil {
		return &Error{Code: CodeQueueFull, Message: "as many watch the gateway as may, " + strconv.Itoa(maxMonitorWatchers), RetryAfter: 5 * time.Second}
	}
	st := &monitorStream{server: s, request: r, samples: samples, after: after, wake: make(chan struct{}, 1)}
	st.line = s.newLifelineOf(st.notify, r.identity.TokenID)
	st.head = append(st.head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"+
		"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nConnection: close\r\nDate: "...)
	st.head = fasthttp.AppendHTTPDate(st.head, time.Now())
	for key, value := range ctx.Response.Header.All() {
		switch string(key) {
		case "Content-Type", "Content-Length", "Date", "Connection", "Server", "Transfer-Encoding":
			continue
		}
		st.head = append(st.head, "\r\n"...)
		st.head = append(st.head, key...)
		st.head = append(st.head, ": "...)
		st.head = append(st.head, value...)
	}
	st.head = append(st.head, "\r\n\r\nretry: 2000\n"...)
	r.detached = true
	s.busy.Add(1)
	s.options.Metrics.streams.Inc()
	ctx.HijackSetNoResponse(true)
	own, watchable := ctx.Conn().(*conn)
	taken := func() bool { return true }
	if watchable {
		taken = own.handOver(st.over)
	}
	ctx.Hijack(func(c net.Conn) {
		switch {
		case !taken():
		case watchable:
			go st.run(own) // fasthttp keeps the request until this returns
		default:
			st.run(c)
		}
	})
	return nil
}

// sampleTime reads Last-Event-ID, a sample's time; without it, it is 0.
func sampleTime(ctx *fasthttp.RequestCtx) (int64, error) {
	value := string(ctx.Request.Header.Peek("Last-Event-ID"))
	if value == "" {
		return 0, nil
	}
	at, err := strconv.ParseInt(value, 10, 64)
	if err != nil || at < 0 {
		return 0, badRequest("Last-Event-ID", "the id of a sample is its time in seconds")
	}
	return at, nil
}

// monitorStream writes samples to a connection that it owns. It ends with its
// client, its token, or the gateway.
type monitorStream struct {
	server  *Server
	request *request
	line    *lifeline
	samples chan struct{}
	wake    chan struct{} // the line was cut
	after   int64         // the last sample that was written
	head    []byte
	bytes   int64
}

func (st *monitorStream) notify() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

func (st *monitorStream) run(c net.Conn) {
	defer st.over()
	defer c.Close()
	gone := make(chan struct{})
	go func() { // what a client sends now is of no interest; its end is
		defer close(gone)
		_ = c.SetReadDeadline(time.Time{})
		var scratch [64]byte
		for {
			if _, err := c.Read(scratch[:]); err != nil {
				return
			}
		}
	}()
	defer func() {
		_ = c.Close()
		<-gone
	}()
	if !st.write(c, append(st.head, st.history()...)) {
		return
	}
	for {
		select {
		case <-st.samples:
			if !st.write(c, st.fresh()) {
				return
			}
		case <-st.wake:
			reason := st.line.reason.Load()
			if reason == alive {
				continue
			}
			e := errorOfReason(reason)
			st.request.code = e.Code
			st.write(c, append(e.appendJSON([]byte("event: error\ndata: ")), "\n\n"...))
			return
		case <-gone:
			return
		}
	}
}

// history is all that is kept, as one event.
func (st *monitorStream) history() []byte {
	samples := st.server.monitor.since(st.after)
	if n := len(samples); n > 0 {
		st.after = samples[n-1].At
	}
	data, err := json.Marshal(struct {
		Every   int      `json:"interval_seconds"`
		Kept    int      `json:"kept"`
		Samples []moment `json:"samples"`
	}{int(monitorEvery / time.Second), monitorKept, samples})
	if err != nil {
		panic("transport: numbers do not marshal: " + err.Error())
	}
	return sampleEvent(nil, st.after, "history", data)
}

// fresh are the samples since the last that was written.
func (st *monitorStream) fresh() (out []byte) {
	for _, s := range st.server.monitor.since(st.after) {
		st.after = s.At
		out = sampleEvent(out, s.At, "sample", s.json())
	}
	return out
}

func sampleEvent(dst []byte, id int64, name string, data []byte) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, "\nevent: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}

// write reports whether the client has taken it.
func (st *monitorStream) write(c net.Conn, b []byte) bool {
	timeout := st.server.options.WriteTimeout
	if st.line.reason.Load() != alive {
		timeout = min(timeout, closeWait)
	}
	_ = c.SetWriteDeadline(time.Now().Add(timeout)) // on a closed connection the write fails anyway
	n, err := c.Write(b)
	st.bytes += int64(n)
	return err == nil
}

// over ends what gatewayEvents began.
func (st *monitorStream) over() {
	st.server.monitor.unwatch(st.samples)
	st.server.release(st.line)
	st.request.finish(fasthttp.StatusOK, st.bytes)
	st.server.options.Metrics.streams.Dec()
	st.server.busy.Done()
}
