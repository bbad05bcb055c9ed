// Package stamp writes the time of sending into the text of a delta, and finds
// it there again, whatever wire format has been put around it and however many
// deltas were joined on the way.
//
// A stamp is "@" and 19 digits: Unix time in nanoseconds. It needs no escaping
// in JSON and survives every gateway that leaves text alone.
package stamp

import "bytes"

// Len is the length of a stamp in bytes.
const Len = 1 + digits

const digits = 19 // enough until the year 2286

// Put writes the stamp of t over the first Len bytes of b.
func Put(b []byte, t int64) {
	_ = b[Len-1]
	b[0] = '@'
	for i := digits; i > 0; i-- {
		b[i] = byte('0' + t%10)
		t /= 10
	}
}

// Next returns the first stamp in b and what follows it. Without one, ok is false.
func Next(b []byte) (t int64, rest []byte, ok bool) {
	for {
		at := bytes.IndexByte(b, '@')
		if at < 0 || len(b)-at < Len {
			return 0, nil, false
		}
		b = b[at+1:]
		if t, ok := parse(b); ok {
			return t, b[digits:], true
		}
	}
}

func parse(b []byte) (t int64, ok bool) {
	for _, c := range b[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		t = t*10 + int64(c-'0')
	}
	return t, len(b) == digits || b[digits] < '0' || b[digits] > '9'
}
