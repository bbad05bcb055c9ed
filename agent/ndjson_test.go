package agent

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestNDJSONLines(t *testing.T) {
	tests := []struct{ name, stream, want string }{
		{"LF", "{1}\n{2}\n", `"{1}" "{2}"`},
		{"CRLF", "{1}\r\n{2}\r\n", `"{1}" "{2}"`},
		{"empty lines and white space", "\n\n  {1}\t\n \n{2}\n\n", `"{1}" "{2}"`},
		{"no last line end", "{1}\n{2}", `"{1}" "{2}"torn`},
		{"nothing", "", ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 1 << 20} {
				got, err := readNDJSON(&pieces{data: []byte(tt.stream), sizes: []int{step}}, 0)
				if err != io.EOF || got != tt.want {
					t.Errorf("in steps of %d: %s (%v), want %s", step, got, err, tt.want)
				}
			}
		})
	}
}

func TestNDJSONLineTooLong(t *testing.T) {
	const limit = 10_000
	r := newNDJSONReader(&endless{text: "x", left: 50 << 20}, limit)
	defer r.release()
	_, err := r.next()
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindMalformed {
		t.Fatalf("got %v, want KindMalformed", err)
	}
	if cap(r.win.buf) > limit {
		t.Fatalf("the buffer grew to %d bytes, the limit is %d", cap(r.win.buf), limit)
	}
}

func FuzzNDJSON(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n\n{\"b\":2}\r\n{"), []byte{3, 1, 200})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		steps := make([]int, len(sizes))
		for i, s := range sizes {
			steps[i] = int(s) + 1
		}
		var want []string
		lines := strings.Split(string(stream), "\n")
		for i, line := range lines {
			if line = strings.TrimSpace(line); line != "" {
				want = append(want, tell(event{data: []byte(line), torn: i == len(lines)-1}))
			}
		}
		got, err := readNDJSON(&pieces{data: stream, sizes: steps}, 0)
		if err != io.EOF || got != strings.Join(want, " ") {
			t.Fatalf("%q in %v:\n got %s (%v)\nwant %s", stream, steps, got, err, want)
		}
	})
}

func readNDJSON(src io.Reader, limit int) (string, error) {
	r := newNDJSONReader(src, limit)
	defer r.release()
	return tellAll(r.next)
}
