package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// codec knows how values of one type are written.
type codec[T any] struct {
	// want says what is allowed, in words that follow "want".
	want string
	// hidden values may be secret: they are never repeated in an error.
	hidden bool
	// decode reads a node, or tells all that is wrong with it.
	decode func(n *node, from source) (T, []problem)
	// encode writes TOML that decode reads back to the same value (but for
	// secrets, which it redacts).
	encode func(T) string
	// plain is the value for JSON.
	plain func(T) any
}

// problem is one thing wrong at one place of the file.
type problem struct {
	at   position
	text string
}

// unwanted is the problem of a value that is not what its key wants.
func unwanted(n *node, hidden bool, want string) problem {
	return problem{at: n.valueAt, text: "got " + n.given(hidden) + ", want " + want}
}

// scalar makes the codec of a value that one node holds. parse reports false
// for what it does not want.
func scalar[T any](want string, parse func(*node) (T, bool), encode func(T) string, plain func(T) any) codec[T] {
	return codec[T]{
		want: want,
		decode: func(n *node, _ source) (T, []problem) {
			v, ok := parse(n)
			if !ok {
				return v, []problem{unwanted(n, false, want)}
			}
			return v, nil
		},
		encode: encode,
		plain:  plain,
	}
}

// text is any string.
func text(want string) codec[string] {
	return word(want, func(s string) (string, bool) { return s, true })
}

// nonEmpty is any string but "".
func nonEmpty(want string) codec[string] {
	return word(want, func(s string) (string, bool) { return s, s != "" })
}

// word is a string that parse accepts and normalizes.
func word(want string, parse func(string) (string, bool)) codec[string] {
	return scalar(want, func(n *node) (string, bool) {
		if !n.isText() {
			return "", false
		}
		return parse(n.text)
	}, quote, same[string])
}

// oneOf is one of some words. Those of later are known, but refused for now.
func oneOf(words []string, later ...string) codec[string] {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	want := strings.Join(quoted, ", ")
	if len(words) > 1 {
		want = "one of " + want
	}
	c := word(want, func(s string) (string, bool) { return s, slices.Contains(words, s) })
	plainDecode := c.decode
	c.decode = func(n *node, from source) (string, []problem) {
		v, problems := plainDecode(n, from)
		if len(problems) == 0 || !n.isText() {
			return v, problems
		}
		if slices.Contains(later, n.text) {
			problems[0].text = quote(n.text) + " is not available in this version, want " + want
		} else if near := closest(n.text, words); near != "" {
			problems[0].text += didYouMean(quote(near))
		}
		return v, problems
	}
	return c
}

// boolean is true or false.
func boolean() codec[bool] {
	return scalar("true or false", func(n *node) (bool, bool) {
		switch {
		case n.kind != kindBool && n.kind != kindText:
			return false, false
		case n.text == "true":
			return true, true
		}
		return false, n.text == "false"
	}, strconv.FormatBool, same[bool])
}

// integer is a whole number in a range.
func integer(lowest, highest int) codec[int] {
	want := "an integer from " + strconv.Itoa(lowest) + " to " + strconv.Itoa(highest)
	return scalar(want, func(n *node) (int, bool) {
		v, ok := n.integer()
		return int(v), ok && v >= int64(lowest) && v <= int64(highest)
	}, strconv.Itoa, same[int])
}

// isText tells whether the node holds a string.
func (n *node) isText() bool { return n.kind == kindString || n.kind == kindText }

// integer reads a whole number.
func (n *node) integer() (int64, bool) {
	base := 0 // TOML's 0x, 0o, 0b and digit separators are Go's
	switch n.kind {
	case kindInteger:
	case kindText:
		base = 10
	default:
		return 0, false
	}
	v, err := strconv.ParseInt(strings.TrimPrefix(n.text, "+"), base, 64)
	return v, err == nil && v >= math.MinInt && v <= math.MaxInt
}

func same[T any](v T) any { return v }

// quote writes a TOML string.
func quote(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s { // bytes that are no UTF-8 become U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\u00`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteKey writes one part of a dotted key.
func quoteKey(s string) string {
	bare := s != ""
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			bare = false
		}
	}
	if bare {
		return s
	}
	return quote(s)
}

func joinKey(path []string) string {
	parts := make([]string, len(path))
	for i, p := range path {
		parts[i] = quoteKey(p)
	}
	return strings.Join(parts, ".")
}
