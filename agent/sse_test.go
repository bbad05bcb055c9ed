package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestSSEEvents(t *testing.T) {
	tests := []struct{ name, stream, want string }{
		{"LF", "data: a\n\ndata: b\n\n", `"a" "b"`},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", `"a" "b"`},
		{"CR", "data: a\r\rdata: b\r\r", `"a" "b"`},
		{"mixed line ends", "data: a\r\n\ndata: b\r\r\ndata: c\n\r", `"a" "b" "c"`},
		{"a byte order mark", "\xEF\xBB\xBFdata: a\n\n", `"a"`},
		{"a byte order mark later is a part of the field's name", "\n\xEF\xBB\xBFdata: a\n\n", ``},
		{"comments", ": hello\n\n:\ndata: a\n: x\n\n", `"a"`},
		{"several data lines", "data: a\ndata:b\ndata\ndata:  c\n\n", `"a\nb\n\n c"`},
		{"data between other fields", "id: 1\ndata: a\nretry: 5\ndata: b\nevent: e\n\n", `e:"a\nb"`},
		{"an event's name is for that event only", "event: e\ndata: a\n\ndata: b\n\n", `e:"a" "b"`},
		{"an event without data is none", "event: e\n\ndata: a\n\n", `"a"`},
		{"empty data", "data\n\ndata:\n\n", `"" ""`},
		{"only one space is left off", "data:  a \n\n", `" a "`},
		{"colons in data", "data: a: b\n\n", `"a: b"`},
		{"no last blank line", "data: a\n\ndata: b\n", `"a" "b"torn`},
		{"no last line end", "data: a\n\ndata: b", `"a" "b"torn`},
		{"nothing", "", ``},
		{"half a byte order mark", "\xEF\xBB", ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 5, 1 << 20} {
				got, err := readSSE(&pieces{data: []byte(tt.stream), sizes: []int{step}}, 0)
				if err != io.EOF || got != tt.want {
					t.Errorf("in steps of %d: %s (%v), want %s", step, got, err, tt.want)
				}
			}
		})
	}
}

func TestSSEHandsOutTogetherWhatOneReadBrought(t *testing.T) {
	r := newSSEReader(&pieces{data: []byte("data: a\n\ndata: b\n\ndata: c\n\n"), sizes: []int{20, 7}}, 0)
	defer r.release()
	first, err := r.next()
	if err != nil || len(first) != 2 {
		t.Fatalf("first read: %d events (%v), want 2", len(first), err)
	}
	second, err := r.next()
	if err != nil || len(second) != 1 || string(second[0].data) != "c" {
		t.Fatalf("second read: %d events (%v), want c", len(second), err)
	}
	if _, err := r.next(); err != io.EOF {
		t.Fatalf("at the end: %v, want io.EOF", err)
	}
}

func TestSSEHandsOutWhatCameBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))
	if got, err := readSSE(src, 0); got != `"a"` || err != broken {
		t.Fatalf("%s (%v), want the whole event and the error", got, err)
	}
}

func TestSSELongLines(t *testing.T) {
	const limit = 64 << 10
	long := strings.Repeat("x", limit-len("data: \n\n"))
	if got, err := readSSE(strings.NewReader("data: "+long+"\n\n"), limit); err != io.EOF || len(got) != len(long)+2 {
		t.Fatalf("a line of the limit: %d bytes (%v)", len(got), err)
	}
	tests := map[string]io.Reader{
		"a line of 50 MB":                 &endless{text: "x", left: 50 << 20},
		"a data line of 50 MB":            io.MultiReader(strings.NewReader("data: "), &endless{text: "x", left: 50 << 20}),
		"an event of 50 MB in many lines": &endless{text: "data: xxxxxxxxxxxxxxxxxxxxxx\n", left: 50 << 20},
	}
	for name, src := range tests {
		t.Run(name, func(t *testing.T) {
			r := newSSEReader(src, limit)
			defer r.release()
			_, err := r.next()
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindMalformed || !strings.Contains(e.Message, "line too long") {
				t.Fatalf("got %v, want KindMalformed, line too long", err)
			}
			if cap(r.win.buf) > limit {
				t.Fatalf("the buffer grew to %d bytes, the limit is %d", cap(r.win.buf), limit)
			}
		})
	}
}

func TestSSEKeepsNothingOfWhatItSkips(t *testing.T) {
	src := io.MultiReader(&endless{text: ": keep-alive\nid: 7\n", left: 1 << 20}, strings.NewReader("data: a\n\n"))
	r := newSSEReader(src, 0)
	defer r.release()
	events, err := r.next()
	if err != nil || len(events) != 1 || string(events[0].data) != "a" {
		t.Fatalf("got %d events (%v)", len(events), err)
	}
	if cap(r.win.buf) > windowStart {
		t.Fatalf("the buffer grew to %d bytes over comments", cap(r.win.buf))
	}
}

func TestSSEGoesBackToASmallBuffer(t *testing.T) {
	big := "data: " + strings.Repeat("x", 1<<20) + "\n\n"
	r := newSSEReader(&pieces{data: []byte(big + "data: a\n\n"), sizes: []int{len(big), 9}, once: true}, 0)
	defer r.release()
	for range 2 {
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	if cap(r.win.buf) > windowKeep {
		t.Fatalf("%d bytes are kept after a large event", cap(r.win.buf))
	}
}

func FuzzSSE(f *testing.F) {
	f.Add([]byte("data: a\n\nevent: x\r\ndata: b\rdata: c\n\n: c\n\ndata"), []byte{3, 1, 200})
	f.Add([]byte("\xEF\xBB\xBFdata:a\r\n\r\ndata: [DONE]\n"), []byte{1})
	f.Add([]byte("event: error\ndata: {\"error\":{}}\n\n\n\nid\n"), []byte{7, 2})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		steps := make([]int, len(sizes))
		for i, s := range sizes {
			steps[i] = int(s) + 1
		}
		got, err := readSSE(&pieces{data: stream, sizes: steps}, 0)
		if want := referenceSSE(string(stream)); err != io.EOF || got != want {
			t.Fatalf("%q in %v:\n got %s (%v)\nwant %s", stream, steps, got, err, want)
		}
	})
}

// referenceSSE is the standard's algorithm on the whole stream, told as readSSE
// tells it.
func referenceSSE(stream string) string {
	stream = strings.TrimPrefix(stream, "\xEF\xBB\xBF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var told, data []string
	name := ""
	dispatch := func(torn bool) {
		if data != nil {
			told = append(told, tell(event{name: name, data: []byte(strings.Join(data, "\n")), torn: torn}))
		}
		data, name = nil, ""
	}
	lines := strings.Split(stream, "\n")
	for i, line := range lines {
		last := i == len(lines)-1
		if line == "" {
			dispatch(last)
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			name = value
		}
		if last {
			dispatch(true)
		}
	}
	return strings.Join(told, " ")
}

func readSSE(src io.Reader, limit int) (string, error) {
	r := newSSEReader(src, limit)
	defer r.release()
	return tellAll(r.next)
}

// tellAll reads to the end, and tells the events in a line. It keeps none of
// their memory.
func tellAll(next func() ([]event, error)) (string, error) {
	var told []string
	for {
		events, err := next()
		if err != nil {
			return strings.Join(told, " "), err
		}
		for _, e := range events {
			told = append(told, tell(e))
			clear(e.data) // it is ours to change
		}
	}
}

func tell(e event) string {
	told := fmt.Sprintf("%q", e.data)
	if e.name != "" {
		told = e.name + ":" + told
	}
	if e.torn {
		told += "torn"
	}
	return told
}

// pieces is a Reader that gives data in pieces of the given sizes, round and
// round.
type pieces struct {
	data  []byte
	sizes []int
	once  bool // each size counts once, over several Reads if need be
	turn  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	size := len(p.data)
	if len(p.sizes) > 0 {
		at := p.turn % len(p.sizes)
		size = min(p.sizes[at], len(p.data))
		if p.once && size > len(b) {
			p.sizes = slices.Clone(p.sizes)
			p.sizes[at] -= len(b)
		} else {
			p.turn++
		}
	}
	n := copy(b, p.data[:size])
	p.data = p.data[n:]
	return n, nil
}

// endless is a Reader of text, over and over, up to left bytes. Its Reads end
// where text does.
type endless struct {
	text string
	left int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n+len(e.text) <= min(len(b), e.left) {
		n += copy(b[n:], e.text)
	}
	if n == 0 {
		n = copy(b, e.text)
		e.text = e.text[n:] + e.text[:n]
	}
	e.left -= n
	return n, nil
}

func BenchmarkSSE(b *testing.B) {
	stream := bytes.Repeat([]byte("data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"token\"}}]}\n\n"), 1000)
	src := bytes.NewReader(stream)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(stream)
		r := newSSEReader(src, 0)
		for {
			if _, err := r.next(); err != nil {
				break
			}
		}
		r.release()
	}
}
