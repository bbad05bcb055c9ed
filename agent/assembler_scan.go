package agent

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner walks over the members of a JSON object, or the elements of an
// array, without copying or decoding: name and value are parts of what is
// walked over, with its capacity (see offsetIn). It trusts the JSON to be well
// formed, and just ends where it is not; it never reads past it.
//
//	for s := membersOf(data); s.next(); {
//		use(s.name, s.value)
//	}
type jsonScanner struct {
	rest  []byte
	named bool

	name  []byte // of a member: the literal's inside, not unescaped
	value []byte
}

// membersOf walks over the members of object: a JSON object, or its members
// without the braces.
func membersOf(object []byte) jsonScanner {
	object = skipSpace(object)
	if len(object) > 0 && object[0] == '{' {
		object = object[1:]
	}
	return jsonScanner{rest: object, named: true}
}

// elementsOf walks over the elements of a JSON array; of another value it finds
// none.
func elementsOf(array []byte) jsonScanner {
	array = skipSpace(array)
	if len(array) == 0 || array[0] != '[' {
		return jsonScanner{}
	}
	return jsonScanner{rest: array[1:]}
}

func (s *jsonScanner) next() bool {
	rest := skipSpace(s.rest)
	s.rest = nil
	if len(rest) > 0 && rest[0] == ',' {
		rest = skipSpace(rest[1:])
	}
	if s.named {
		n := valueLen(rest)
		if n < 2 || rest[0] != '"' {
			return false
		}
		s.name = rest[1 : n-1]
		rest = skipSpace(rest[n:])
		if len(rest) == 0 || rest[0] != ':' {
			return false
		}
		rest = skipSpace(rest[1:])
	}
	n := valueLen(rest)
	if n == 0 {
		return false
	}
	s.value, s.rest = rest[:n], rest[n:]
	return true
}

// jsonMember is the value of the first member of object called name, or nil.
func jsonMember(object []byte, name string) []byte {
	for s := membersOf(object); s.next(); {
		if string(s.name) == name {
			return s.value
		}
	}
	return nil
}

// offsetIn tells where part, cut from whole without a capacity of its own,
// begins in whole.
func offsetIn(whole, part []byte) int { return cap(whole) - cap(part) }

// valueLen is the length of the JSON value that data begins with, 0 if there is
// none or it has no end.
func valueLen(data []byte) int {
	if len(data) == 0 {
		return 0
	}
	switch data[0] {
	case '"':
		return stringLen(data)
	case '{', '[':
		return nestedLen(data)
	}
	n := bytes.IndexAny(data, ",]} \t\r\n:\"[{")
	if n < 0 {
		return len(data)
	}
	return n
}

func stringLen(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func nestedLen(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			n := stringLen(data[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

func skipSpace(data []byte) []byte {
	for i, c := range data {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return data[i:]
		}
	}
	return nil
}

func isString(value []byte) bool { return len(value) >= 2 && value[0] == '"' }

// inside is a string literal without its quotes, nil if there is none.
func inside(literal []byte) []byte {
	if !isString(literal) {
		return nil
	}
	return literal[1 : len(literal)-1]
}

// isEmpty tells whether value says nothing: null, "", [] or {}.
func isEmpty(value []byte) bool {
	switch string(value) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}

// unescape is the text of a string literal's inside.
func unescape(inside []byte) string {
	var b strings.Builder
	writeUnescaped(&b, inside)
	return b.String()
}

// writeUnescaped writes the text of a string literal's inside, or of the joined
// insides of several. It has no error: an escape that is none stays as it
// stands, and half a character becomes U+FFFD, as does invalid UTF-8.
func writeUnescaped(b *strings.Builder, inside []byte) {
	b.Grow(len(inside))
	for len(inside) > 0 {
		n := bytes.IndexByte(inside, '\\')
		if n < 0 {
			n = len(inside)
		}
		if n > 0 {
			writeValid(b, inside[:n])
			inside = inside[n:]
			continue
		}
		r, size := unescapeRune(inside)
		b.WriteRune(r)
		inside = inside[size:]
	}
}

func writeValid(b *strings.Builder, text []byte) {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	b.Write(text)
}

// unescapeRune reads the escape that data begins with.
func unescapeRune(data []byte) (r rune, size int) {
	if len(data) < 2 {
		return '\\', 1
	}
	switch data[1] {
	case '"', '\\', '/':
		return rune(data[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	first := unicodeEscape(data)
	if first < 0 {
		return '\\', 1
	}
	if utf16.IsSurrogate(first) {
		if whole := utf16.DecodeRune(first, unicodeEscape(data[6:])); whole != utf8.RuneError {
			return whole, 12
		}
		return utf8.RuneError, 6
	}
	return first, 6
}

// unicodeEscape is the code unit of the \uXXXX that data begins with, or -1.
func unicodeEscape(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	var unit rune
	for _, c := range data[2:6] {
		unit <<= 4
		switch {
		case c >= '0' && c <= '9':
			unit |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			unit |= rune(c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			unit |= rune(c - 'A' + 10)
		default:
			return -1
		}
	}
	return unit
}

// loneHighSurrogate is the length of the \uD8xx that a literal's inside ends
// with, whose other half may still come; 0 if it does not end so.
func loneHighSurrogate(inside []byte) int {
	const size = len(`\ud800`)
	at := len(inside) - size
	if at < 0 {
		return 0
	}
	if unit := unicodeEscape(inside[at:]); unit < 0xD800 || unit > 0xDBFF {
		return 0
	}
	backslashes := 0
	for at > backslashes && inside[at-1-backslashes] == '\\' {
		backslashes++
	}
	if backslashes%2 == 1 {
		return 0 // the backslash is itself escaped
	}
	return size
}
