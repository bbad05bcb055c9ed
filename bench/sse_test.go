package bench

import (
	"slices"
	"strings"
	"testing"
)

// inPieces calls feed with every way to cut s in two, and byte by byte.
func inPieces(s string, run func(pieces []string)) {
	for i := range len(s) + 1 {
		run([]string{s[:i], s[i:]})
	}
	run(strings.Split(s, ""))
}

func TestChunksAreTakenOffHoweverTheyArrive(t *testing.T) {
	tests := map[string]struct{ wire, body string }{
		"plain":         {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
		"zeros and hex": {"00000a\r\n0123456789\r\nB\r\nabcdefghijk\r\n0\r\n\r\n", "0123456789abcdefghijk"},
		"an extension":  {"2;a=5f\r\nhi\r\n0\r\n\r\n", "hi"},
		"a trailer":     {"2\r\nhi\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hi"},
		"nothing":       {"0\r\n\r\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inPieces(test.wire, func(pieces []string) {
				var (
					d    dechunker
					body strings.Builder
					over bool
					err  error
				)
				for _, piece := range pieces {
					if over && piece != "" {
						t.Fatalf("%q: over before its end", pieces)
					}
					if over {
						continue
					}
					over, err = d.feed([]byte(piece), func(b []byte) error { body.Write(b); return nil })
					if err != nil {
						t.Fatalf("%q: %v", pieces, err)
					}
				}
				if !over || body.String() != test.body {
					t.Fatalf("%q: body %q, over %v", pieces, body.String(), over)
				}
			})
		})
	}
}

func TestBrokenChunksAreRefused(t *testing.T) {
	for _, wire := range []string{"x\r\n", "\r\n", "2\r\nhixx", "5g\r\n", "fffffffffffff\r\n"} {
		var d dechunker
		if _, err := d.feed([]byte(wire), func([]byte) error { return nil }); err == nil {
			t.Errorf("%q was taken", wire)
		}
	}
}

func TestLinesAreWholeHoweverTheyArrive(t *testing.T) {
	inPieces("data: a\r\n\ndata: bc\nrest", func(pieces []string) {
		var l lines
		var got []string
		for _, piece := range pieces {
			if err := l.feed([]byte(piece), func(b []byte) error { got = append(got, string(b)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"data: a", "", "data: bc"}; !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", pieces, got, want)
		}
	})
}

func TestALineWithoutEndIsRefused(t *testing.T) {
	var l lines
	block := []byte(strings.Repeat("x", maxLine/2+1))
	nothing := func([]byte) error { return nil }
	if err := l.feed(block, nothing); err != nil {
		t.Fatal(err)
	}
	if err := l.feed(block, nothing); err == nil {
		t.Error("a line of more than maxLine bytes was taken")
	}
}

func FuzzDechunker(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, wire []byte, cut int) {
		read := func(pieces ...[]byte) (body []byte, over bool, err error) {
			var d dechunker
			for _, p := range pieces {
				if over || err != nil {
					break
				}
				over, err = d.feed(p, func(b []byte) error { body = append(body, b...); return nil })
			}
			return body, over, err
		}
		cut = max(0, min(cut, len(wire)))
		one, over1, err1 := read(wire)
		two, over2, err2 := read(wire[:cut], wire[cut:])
		if string(one) != string(two) || over1 != over2 || (err1 == nil) != (err2 == nil) {
			t.Errorf("whole: %q %v %v; in two: %q %v %v", one, over1, err1, two, over2, err2)
		}
	})
}
