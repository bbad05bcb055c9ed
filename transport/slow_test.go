package transport

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// narrow makes the gateway's socket buffers small, so that a client that does
// not read is soon noticed.
func narrow(s *settings) {
	s.listen = func(l net.Listener) net.Listener { return narrowListener{l} }
}

type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// heap is the memory in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestASlowReaderNeitherSlowsOthersNorCostsMemory(t *testing.T) {
	const (
		window = 256 << 10
		piece  = 16 << 10
		pieces = 512 // 8 MiB
	)
	r := newRig(t, narrow, func(s *settings) { s.actors.LogWindow = window })
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	slow := r.dial().get("/v1/sessions/s/events", "Connection: close")
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	ws := r.socket("?session=s")
	_ = ws.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	fast := r.dial().post("/v1/chat/completions", helloStream, "X-Session-Id: s")
	turn := r.agent.next()
	turn.says("begin")
	s := fast.stream()
	s.event()

	before := heap()
	text := strings.Repeat("x", piece)
	for range pieces {
		turn.says(text)
		if e := s.event(); len(e.data) < piece { // who reads is not kept waiting
			t.Fatalf("%+v", e)
		}
		if _, err := io.ReadFull(slow.Conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	// The session keeps the answer itself.
	if grown := heap() - before; grown > (8+10)<<20 {
		t.Errorf("an answer of 8 MiB sent past slow readers has left %d KiB", grown>>10)
	}
	turn.finish()
	if rest := s.rest(); len(rest) != 1 || rest[0].data != "[DONE]" {
		t.Errorf("%v", rest)
	}

	all, err := io.ReadAll(slow.Conn)
	if i := strings.LastIndex(string(all), "event: gap\ndata: {"); err != nil || i < 0 || !strings.HasSuffix(string(all), "\r\n0\r\n\r\n") {
		t.Errorf("the slow stream does not end with a gap: %v: …%s", err, all[max(0, len(all)-300):])
	}
	for f := ws.next(); f.Code != CodeGap; f = ws.next() {
		if f.Type != "delta" {
			t.Fatalf("the slow socket got %+v", f)
		}
	}
	if code := ws.closed(); code != websocket.CloseNormalClosure {
		t.Errorf("the slow socket was closed with %d", code)
	}
	// From where it stood it is led to the messages, and hears on.
	again := r.dial().get("/v1/sessions/s/events", "Last-Event-ID: "+lastID(string(all))).stream()
	again.until("gap")
}

// lastID is the last event id of a stream as it was received.
func lastID(stream string) string {
	i := strings.LastIndex(stream, "\nid: ")
	id, _, _ := strings.Cut(stream[i+len("\nid: "):], "\n")
	return strings.TrimSpace(id)
}
