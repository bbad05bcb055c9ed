package stamp

import "testing"

func TestStampsAreFoundInWhateverIsAroundThem(t *testing.T) {
	a, b := make([]byte, Len), make([]byte, Len)
	Put(a, 1_753_000_000_123_456_789)
	Put(b, 42)
	tests := map[string]struct {
		text string
		want []int64
	}{
		"alone":              {string(a), []int64{1_753_000_000_123_456_789}},
		"in JSON":            {`{"content":"` + string(a) + ` "}`, []int64{1_753_000_000_123_456_789}},
		"joined":             {string(a) + " " + string(b), []int64{1_753_000_000_123_456_789, 42}},
		"joined closely":     {string(a) + string(b), []int64{1_753_000_000_123_456_789, 42}},
		"after an address":   {"me@example.org 0123456789012345 " + string(b), []int64{42}},
		"cut short":          {string(a[:Len-1]), nil},
		"a longer number":    {string(a) + "7", nil},
		"a sign at the end":  {"0123456789012345678901234@", nil},
		"no stamp whatever":  {"Hello, world, this is a sentence.", nil},
		"nothing":            {"", nil},
		"a sign before one":  {"@" + string(b), []int64{42}},
		"digits and letters": {"@123456789012345678x 123", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rest := []byte(test.text)
			var got []int64
			for {
				at, after, ok := Next(rest)
				if !ok {
					break
				}
				got, rest = append(got, at), after
			}
			if len(got) != len(test.want) {
				t.Fatalf("found %v, want %v", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("found %v, want %v", got, test.want)
				}
			}
		})
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("@1753000000123456789 @@1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for rounds := 0; ; rounds++ {
			at, rest, ok := Next(b)
			if !ok {
				return
			}
			if len(rest) > len(b)-Len || at < 0 && at > -1 {
				t.Fatalf("%q left %q", b, rest)
			}
			b = rest
		}
	})
}
