package agent

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"time"
)

func TestDechunkerTakesOffWhatIsNoData(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"chunks":              {"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"},
		"an empty body":       {"0\r\n\r\n", ""},
		"capital digits":      {"B\r\nhello world\r\n0\r\n\r\n", "hello world"},
		"zeros in front":      {"0005\r\nhello\r\n000\r\n\r\n", "hello"},
		"an extension":        {"5;name=\"a;b\"\r\nhello\r\n0;last\r\n\r\n", "hello"},
		"a blank behind size": {"5 \r\nhello\r\n0\r\n\r\n", "hello"},
		"a trailer":           {"5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", "hello"},
		"a bare LF":           {"5\nhello\r\n0\n\n", "hello"},
	} {
		for size := 1; size <= len(c.raw); size++ {
			var d dechunker
			var got []byte
			for raw := []byte(c.raw); len(raw) > 0; {
				piece := bytes.Clone(raw[:min(size, len(raw))])
				raw = raw[len(piece):]
				n, rest, err := d.decode(piece)
				if err != nil || rest != 0 {
					t.Fatalf("%s in pieces of %d: %v, %d bytes too many", name, size, err, rest)
				}
				got = append(got, piece[:n]...)
			}
			if string(got) != c.want || !d.over() {
				t.Errorf("%s in pieces of %d: %q, over: %v", name, size, got, d.over())
			}
		}
	}
}

func TestDechunkerRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"no size":                "\r\nhello",
		"no number":              "x\r\nhello\r\n",
		"a negative size":        "-5\r\nhello\r\n",
		"a size too large":       "1000000000000000\r\n",
		"no line end after data": "5\r\nhelloo\r\n",
		"an endless extension":   "5;" + strings.Repeat("x", maxChunkExtra+1),
		"an endless trailer":     "0\r\n" + strings.Repeat("a: b\r\n", maxChunkExtra/6+1),
	} {
		var d dechunker
		if _, _, err := d.decode([]byte(raw)); err != errChunk {
			t.Errorf("%s: %v", name, err)
		}
	}
	var d dechunker
	if n, rest, err := d.decode([]byte("1\r\na\r\n0\r\n\r\nHTTP/1.1")); n != 1 || rest != 8 || err != nil {
		t.Errorf("bytes behind the end: %d, %d, %v", n, rest, err)
	}
}

// FuzzDechunker: whatever comes, in whatever pieces, what is decoded is what
// net/http decodes, where that takes it.
func FuzzDechunker(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("a;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\nrest"), uint8(1))
	f.Add([]byte("fffffffffffffff\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, raw []byte, size uint8) {
		var d dechunker
		var got []byte
		var failed error
		for rest := raw; len(rest) > 0 && failed == nil && !d.over(); {
			piece := bytes.Clone(rest[:min(int(size)+1, len(rest))])
			rest = rest[len(piece):]
			var n int
			n, _, failed = d.decode(piece)
			got = append(got, piece[:n]...)
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		if err != nil {
			return // it is stricter about extensions, and wants the end
		}
		if failed != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %q, %v; net/http: %q", raw, got, failed, want)
		}
	})
}

// plainCall makes one call by a plain transport of its own at a server that
// answers each connection by what answer says.
func plainCall(t *testing.T, answer string) (*http.Response, *plainTransport, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, answer)
			}
		}
	}()
	transport := newTransport(Timeouts{}.withDefaults()).(*plainTransport)
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), safetyNet)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	return resp, transport, err
}

func TestPlainAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer, body string
		kept         bool
	}{
		"a known length":             {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true},
		"no body":                    {"HTTP/1.1 204 No Content\r\n\r\n", "", true},
		"chunks":                     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", true},
		"interim answers":            {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", true},
		"a connection to be closed":  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "hi", false},
		"HTTP/1.0":                   {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", false},
		"more than its length":       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there", "hi", false},
		"more than its last chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200", "hi", false},
		"more than an empty body":    {"HTTP/1.1 204 No Content\r\n\r\nhi", "", false},
		"a header of its whole size": {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHeaderBytes-100) + "\r\nContent-Length: 2\r\n\r\nhi", "hi", true},
	} {
		resp, transport, err := plainCall(t, c.answer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != c.body || err != nil {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		_ = resp.Body.Close()
		if kept := len(transport.idle) > 0; kept != c.kept {
			t.Errorf("%s: the connection was kept: %v", name, kept)
		}
	}
}

func TestPlainAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]string{
		"a header without end":   "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2*maxHeaderBytes),
		"interim without end":    strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+2),
		"a length and no number": "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
	} {
		if resp, _, err := plainCall(t, answer); err == nil {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
}

// A call that was let go of in the middle of its answer leaves its connection to
// nobody.
func TestAPlainConnectionIsKeptOnlyAfterItsAnswer(t *testing.T) {
	resp, transport, err := plainCall(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("a closed body can be read")
	}
	if len(transport.idle) > 0 {
		t.Error("the connection was kept")
	}
}

// A server that answers before it has read a large request is heard.
func TestAnEarlyAnswerToALargeRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(413)
		_, _ = io.WriteString(w, "too much")
	}))
	t.Cleanup(server.Close)
	o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: server.URL})
	t.Cleanup(o.Close)
	_, err := o.Run(t.Context(), &Request{Model: "m", Messages: []Message{{Role: "user", Text: strings.Repeat("x", 32<<20)}}}, func([]Delta) {})
	if e := asError(t, err); e.Status != 413 {
		t.Errorf("%+v", e)
	}
}

func TestOldIdleConnectionsAreClosed(t *testing.T) {
	resp, transport, err := plainCall(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	transport.closeOld()
	if len(transport.idle) != 1 {
		t.Fatal("a young connection was closed")
	}
	for _, list := range transport.idle {
		list[0].since = time.Now().Add(-2 * idleConnTimeout)
	}
	transport.closeOld()
	if len(transport.idle) != 0 || transport.sweep != nil {
		t.Error("an old connection was kept")
	}
}

func TestAConnectionThatItsServerHasLeftIsNotKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(server.Close)
	transport := newTransport(Timeouts{}.withDefaults()).(*plainTransport)
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := (&http.Client{Transport: transport}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(transport.idle) != 1 {
		t.Fatal("the connection was not kept")
	}
	server.CloseClientConnections()
	for end := time.Now().Add(safetyNet); len(transport.idle) > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		transport.closeOld()
	}
	if len(transport.idle) > 0 {
		t.Error("it is still there")
	}
}

// BenchmarkPlainStream reads an event stream of n deltas, one read each.
func BenchmarkPlainStream(b *testing.B) {
	chunk := "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n"
	read := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", sseType)
		flusher := w.(http.Flusher)
		for range b.N {
			_, _ = io.WriteString(w, chunk)
			flusher.Flush()
			<-read
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	b.Cleanup(server.Close)
	o := NewOpenAI(OpenAIOptions{Name: "bench", BaseURL: server.URL})
	b.Cleanup(o.Close)
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	_, _ = o.Run(b.Context(), &Request{Model: "m"}, func(deltas []Delta) {
		n += len(deltas)
		for range deltas {
			read <- struct{}{}
		}
	})
	if n != b.N {
		b.Fatalf("%d deltas, want %d", n, b.N)
	}
}
