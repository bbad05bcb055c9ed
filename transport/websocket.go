package transport

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"agentzero/actors"
)

const (
	protocol    = "agentzero.v1"
	bearerProto = "bearer."
	ticketProto = "ticket."
)

// webSocketIdentity finds the token of a browser, which cannot set headers: the
// subprotocol bearer.TOKEN beside agentzero.v1, or a one-use ticket as
// ticket.TICKET or ?ticket=.
func (s *Server) webSocketIdentity(ctx *fasthttp.RequestCtx, r *request) (identity Identity, given, known bool) {
	if r.route == nil || r.route.pattern != "/ws/chat" {
		return Identity{}, false, false
	}
	for _, p := range subprotocols(ctx) {
		if token, ok := bytes.CutPrefix(p, []byte(bearerProto)); ok {
			identity, known = s.options.Auth.Verify(token)
			return identity, true, known
		}
		if ticket, ok := bytes.CutPrefix(p, []byte(ticketProto)); ok {
			identity, known = s.options.Auth.RedeemTicket(string(ticket))
			return identity, true, known
		}
	}
	if ticket := ctx.QueryArgs().Peek("ticket"); len(ticket) > 0 {
		identity, known = s.options.Auth.RedeemTicket(string(ticket))
		return identity, true, known
	}
	return Identity{}, false, false
}

func subprotocols(ctx *fasthttp.RequestCtx) [][]byte {
	list := bytes.Split(ctx.Request.Header.Peek("Sec-WebSocket-Protocol"), []byte(","))
	for i := range list {
		list[i] = bytes.TrimSpace(list[i])
	}
	return list
}

// webSocketTicket answers POST /v1/ws-ticket.
func (s *Server) webSocketTicket(ctx *fasthttp.RequestCtx, r *request) error {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	return writeJSON(ctx, struct {
		Ticket  string `json:"ticket"`
		Expires int    `json:"expires_in"`
	}{s.options.Auth.IssueTicket(r.identity), 30})
}

// webSocket answers GET /ws/chat.
func (s *Server) webSocket(ctx *fasthttp.RequestCtx, r *request) error {
	if !websocket.FastHTTPIsWebSocketUpgrade(ctx) {
		ctx.Response.Header.Set("Upgrade", "websocket")
		ctx.Response.Header.Set("Connection", "Upgrade")
		return &Error{Code: CodeBadRequest, Status: fasthttp.StatusUpgradeRequired, Message: "this path speaks WebSocket only"}
	}
	if s.draining.Load() {
		return interrupted(actors.ReasonShutdown)
	}
	ws, at, err := s.newWebSocket(ctx, r)
	if err != nil {
		return err
	}
	ctx.Response.Header.Set("X-Session-Id", ws.key.Name)
	if ws.sub, err = s.options.Sessions.Subscribe(ws.key, at); err != nil {
		return err
	}
	ws.from = ws.sub.Position()
	upgrader := websocket.FastHTTPUpgrader{
		ReadBufferSize:  1 << 10,
		WriteBufferSize: 1 << 10,
		WriteBufferPool: &s.webSocketBuffers,
		// The middleware has checked the origin.
		CheckOrigin: func(*fasthttp.RequestCtx) bool { return true },
		Error: func(ctx *fasthttp.RequestCtx, status int, reason error) {
			(&Error{Code: CodeBadRequest, Status: status, Message: reason.Error()}).write(ctx)
			r.code = CodeBadRequest
		},
	}
	if slices.ContainsFunc(subprotocols(ctx), func(p []byte) bool { return string(p) == protocol }) {
		upgrader.Subprotocols = []string{protocol}
	}
	s.busy.Add(1)
	abandoned := func() {
		ws.sub.Close()
		s.busy.Done()
	}
	taken := func() bool { return true }
	if c, ok := ctx.Conn().(*conn); ok {
		taken = c.handOver(abandoned)
	}
	err = upgrader.Upgrade(ctx, func(c *websocket.Conn) {
		if !taken() {
			return
		}
		ws.conn = c
		go ws.run() // fasthttp keeps the request until this function returns
	})
	if err != nil {
		if taken() {
			abandoned()
		}
		return nil // the upgrader has written the answer
	}
	r.detached = true
	return nil
}

// newWebSocket reads which session a client joins, and from where.
func (s *Server) newWebSocket(ctx *fasthttp.RequestCtx, r *request) (*socket, actors.Subscribe, error) {
	ws := &socket{server: s, request: r, key: actors.Key{Owner: r.identity.Owner}}
	at := actors.Subscribe{Live: true, Create: true}
	args := ctx.QueryArgs()
	session := string(args.Peek("session"))
	after := string(args.Peek("after"))
	if session == "" {
		if after != "" {
			return nil, at, badRequest("after", "after needs the session it belongs to: ?session=ID&after=SEQ")
		}
		ws.key.Name = actors.NewID("ses_")
		return ws, at, nil
	}
	name, err := actors.ParseName(session)
	if err != nil {
		return nil, at, badRequest("session", err.Error())
	}
	ws.key.Name, ws.joined = name, true
	at.FromTurn = true // who joins in the middle of an answer hears all of it
	if after != "" {
		if at, err = parsePosition("after", after); err != nil {
			return nil, at, err
		}
	}
	return ws, at, nil
}

// socket is one WebSocket: a reader, which takes the client's messages, and a
// writer, which sends the session's events. The reader owns the connection's
// life, the writer everything that is written but pongs.
type socket struct {
	server  *Server
	request *request
	key     actors.Key
	joined  bool // by ?session=, so that frames carry seq and turn
	conn    *websocket.Conn
	sub     *actors.Subscription
	from    uint64 // where it began to read
	line    *lifeline

	mu      sync.Mutex
	over    bool     // nothing is taken any more; the reader's deadline stands
	notices []*Error // for the writer
	replays []retold // for the writer, which closes their events
	spoken  bool     // a message came since the last look
}

func (w *socket) run() {
	s := w.server
	m := s.options.Metrics
	m.webSockets.Inc()
	m.webSocketsOpen.Inc()
	w.line = s.newLifeline(w.sub, w.request.identity.TokenID)
	// A writer that waits for its client is woken by the end of the connection.
	w.line.setOnCut(func() { time.AfterFunc(closeWait, func() { w.leave(past) }) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		if w.request.guard(w.write) != nil {
			w.leave(past)
		}
	}()
	_ = w.request.guard(w.read) // why it ended is known to the client, or of no use to it
	w.line.cut(hungUp)
	_ = w.conn.Close() // the library has answered a close, or told what was wrong
	<-done
	w.sub.Close()
	for _, r := range w.replays {
		r.events.Close()
	}
	s.release(w.line)
	m.webSocketsOpen.Dec()
	w.request.finish(fasthttp.StatusSwitchingProtocols, 0)
	s.busy.Done()
}

// closeWait bounds the writing of a control frame.
const closeWait = time.Second

// read takes messages until the client leaves or breaks the protocol. The
// library answers pings, closes with 1002 what is no WebSocket, and refuses what
// is too large with 1009. That text is UTF-8 it leaves to its user.
func (w *socket) read() error {
	w.hear()
	w.conn.SetReadLimit(int64(w.server.options.MaxBodyBytes))
	w.conn.SetPongHandler(func(string) error { w.hear(); return nil })
	ping := w.conn.PingHandler()
	w.conn.SetPingHandler(func(data string) error { w.hear(); return ping(data) })
	for {
		kind, data, err := w.conn.ReadMessage()
		if err != nil {
			return err
		}
		if !w.hear() {
			continue // the client has been told that it is over; it has its time to leave
		}
		w.mu.Lock()
		w.spoken = true
		w.mu.Unlock()
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			w.refuse(websocket.CloseInvalidFramePayloadData)
			continue
		}
		if kind != websocket.TextMessage {
			w.notice(badRequest("", "binary frames are not taken here; send text"))
			continue
		}
		if err := w.take(data); err != nil {
			w.notice(errorOf(err))
		}
	}
}

// refuse closes a connection whose client breaks the protocol. The client has a
// moment to read why.
func (w *socket) refuse(code int) {
	_ = w.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(closeWait))
	w.leave(time.Now().Add(closeWait))
}

// hear notes a sign of life and gives the client time for the next. It reports
// whether the connection is to go on.
func (w *socket) hear() bool {
	o := &w.server.options
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		_ = w.conn.SetReadDeadline(time.Now().Add(o.PingInterval + o.PongTimeout))
	}
	return !w.over && w.line.reason.Load() == alive
}

// leave ends the reading at a time that no sign of life changes.
func (w *socket) leave(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	_ = w.conn.SetReadDeadline(at)
}

// maxNotices is how many errors may wait for the writer; a client that provokes
// more without reading them loses the oldest.
const maxNotices = 16

// notice lets the writer send an error.
func (w *socket) notice(e *Error) {
	w.mu.Lock()
	if len(w.notices) >= maxNotices {
		w.notices = w.notices[1:]
	}
	w.notices = append(w.notices, e)
	w.mu.Unlock()
	w.server.options.Metrics.failed(e.Code)
	w.line.wake()
}

// write sends what there is until the lifeline is cut.
func (w *socket) write() error {
	o := &w.server.options
	w.line.every(min(o.PingInterval, o.WebSocketIdle))
	active := time.Now()
	var events []actors.Event
	var buf []byte
	for range w.sub.Wake() {
		if reason := w.line.reason.Load(); reason != alive {
			if reason == shutDown {
				w.writeRest()
			}
			w.goodbye(reason)
			return nil
		}
		err := w.writeNotices()
		if err == nil {
			err = w.writeReplays()
		}
		if err == nil {
			events, err = w.sub.Read(events[:0], maxRead)
			if err != nil {
				w.closeWith(websocket.CloseNormalClosure, readError(err))
				return nil
			}
			buf, err = w.writeEvents(buf[:0], events)
		}
		if len(events) > 0 || w.hasSpoken() {
			active = time.Now()
		}
		if err == nil && w.line.isDue() {
			if time.Since(active) >= o.WebSocketIdle {
				w.closeWith(websocket.CloseNormalClosure, nil)
				return nil
			}
			err = w.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(closeWait))
			w.line.every(min(o.PingInterval, max(time.Millisecond, o.WebSocketIdle-time.Since(active))))
		}
		if err != nil {
			return err
		}
		clear(events)
		if cap(events) > maxRead/4 || cap(buf) > maxPooled {
			events, buf = nil, nil // a burst is over; the connection may be idle for long
		}
	}
	return nil
}

// writeRest sends what the turns said before the gateway's end.
func (w *socket) writeRest() {
	for {
		events, err := w.sub.Read(nil, maxRead)
		if err != nil || len(events) == 0 {
			return
		}
		if _, err := w.writeEvents(nil, events); err != nil {
			return
		}
	}
}

func (w *socket) hasSpoken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	spoken := w.spoken
	w.spoken = false
	return spoken
}

func (w *socket) writeNotices() error {
	w.mu.Lock()
	notices := w.notices
	w.notices = nil
	w.mu.Unlock()
	for _, e := range notices {
		if err := w.frame(appendErrorFrame(nil, e, nil)); err != nil {
			return err
		}
	}
	return nil
}

// goodbye tells the client why the connection ends.
func (w *socket) goodbye(reason int32) {
	switch reason {
	case hungUp:
	case revoked:
		w.closeWith(websocket.ClosePolicyViolation, errorOfReason(reason))
	default:
		w.closeWith(websocket.CloseGoingAway, errorOfReason(reason))
	}
}

func (w *socket) closeWith(code int, e *Error) {
	text := ""
	if e != nil {
		text = string(e.Code)
		_ = w.frameIn(closeWait, appendErrorFrame(nil, e, nil)) // the connection ends in any case
	}
	_ = w.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(closeWait))
	// The client answers with a close of its own; one that does not is left.
	w.leave(time.Now().Add(closeWait))
}

func (w *socket) frame(data []byte) error {
	return w.frameIn(w.server.options.WriteTimeout, data)
}

func (w *socket) frameIn(timeout time.Duration, data []byte) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(timeout))
	return w.conn.WriteMessage(websocket.TextMessage, data)
}

// writeEvents sends events as frames. Texts that follow each other in one turn
// go in one frame, which carries the number of the last.
func (w *socket) writeEvents(buf []byte, events []actors.Event) ([]byte, error) {
	for i := 0; i < len(events); {
		e := &events[i]
		n := 1
		switch e.Kind {
		case actors.EventDelta:
			if e.Content() == nil {
				i++
				continue
			}
			for i+n < len(events) && events[i+n].Content() != nil && events[i+n].Turn == e.Turn {
				n++
			}
			buf = append(buf[:0], `{"type":"delta","delta":"`...)
			for k := i; k < i+n; k++ {
				text := events[k].Content()
				buf = append(buf, text[1:len(text)-1]...)
			}
			buf = append(buf, '"')
			buf = w.appendPlace(buf, &events[i+n-1])
			buf = append(buf, '}')
		case actors.EventCompleted:
			buf = append(buf[:0], `{"type":"done"`...)
			buf = w.appendPlace(buf, e)
			buf = append(buf, '}')
		case actors.EventFailed, actors.EventInterrupted:
			failure := endError(e)
			w.server.options.Metrics.failed(failure.Code)
			buf = appendErrorFrame(buf[:0], failure, func(dst []byte) []byte { return w.appendPlace(dst, e) })
		default:
			i++
			continue
		}
		if err := w.frame(buf); err != nil {
			return buf, err
		}
		i += n
	}
	return buf, nil
}

// appendPlace adds the event's number and turn where the client asked to join.
func (w *socket) appendPlace(dst []byte, e *actors.Event) []byte {
	if !w.joined {
		return dst
	}
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"turn":"`...)
	dst = append(dst, e.Turn...)
	return append(dst, '"')
}

// appendErrorFrame writes {"type":"error","message":…,"code":…}.
func appendErrorFrame(dst []byte, e *Error, place func([]byte) []byte) []byte {
	dst = append(dst, `{"type":"error","message":`...)
	dst = appendJSONString(dst, e.Message)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, e.Code...)
	dst = append(dst, '"')
	if place != nil {
		dst = place(dst)
	}
	return append(dst, '}')
}
