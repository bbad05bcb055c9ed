package agent

import "encoding/json"

// maxJSONDepth is how deep the values of an upstream may be nested.
const maxJSONDepth = 256

// jsonChecker walks over one JSON text (RFC 8259) and checks it on the way: what
// is passed over is well formed. It copies and decodes nothing. After the first
// fault every method does nothing, so that callers need to look at ok only at
// the end.
//
//	c := jsonChecker{data: data}
//	c.open('{')
//	for first := true; c.more('}', first); first = false {
//		key := c.key()
//		value := c.value()
//	}
//	ok := c.end()
type jsonChecker struct {
	data  []byte
	at    int
	depth int // of objects and arrays around at
	bad   bool
}

// peek is the next token's first byte, 0 at the end.
func (c *jsonChecker) peek() byte {
	for c.at < len(c.data) {
		switch b := c.data[c.at]; b {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return b
		}
	}
	return 0
}

// open passes the bracket that begins an object or array.
func (c *jsonChecker) open(bracket byte) {
	c.expect(bracket)
	c.depth++
	if c.depth > maxJSONDepth {
		c.fail()
	}
}

// more tells whether another member or element follows, and passes the comma
// before it, or the bracket that closes the object or array.
func (c *jsonChecker) more(closing byte, first bool) bool {
	switch {
	case c.bad:
		return false
	case c.peek() == closing:
		c.at++
		c.depth--
		return false
	case !first:
		c.expect(',')
	}
	return !c.bad
}

// key passes a member's key and colon, and returns the key, unescaped.
func (c *jsonChecker) key() []byte {
	if c.peek() != '"' {
		c.fail()
		return nil
	}
	literal, plain := c.text()
	c.expect(':')
	if c.bad {
		return nil
	}
	if plain {
		return literal[1 : len(literal)-1]
	}
	var key string
	if json.Unmarshal(literal, &key) != nil {
		c.fail()
	}
	return []byte(key)
}

// value passes any value and returns it.
func (c *jsonChecker) value() []byte {
	first := c.peek()
	start := c.at
	switch first {
	case '"':
		c.text()
	case '{':
		c.open('{')
		for first := true; c.more('}', first); first = false {
			if c.peek() != '"' {
				c.fail()
				break
			}
			c.text()
			c.expect(':')
			c.value()
		}
	case '[':
		c.open('[')
		for first := true; c.more(']', first); first = false {
			c.value()
		}
	case 't':
		c.word("true")
	case 'f':
		c.word("false")
	case 'n':
		c.word("null")
	default:
		c.number()
	}
	if c.bad {
		return nil
	}
	return c.data[start:c.at]
}

// end tells whether all was well, and nothing but white space follows.
func (c *jsonChecker) end() bool {
	return !c.bad && c.peek() == 0 && c.at == len(c.data)
}

func (c *jsonChecker) fail() {
	c.bad = true
	c.at = len(c.data)
}

func (c *jsonChecker) expect(b byte) {
	if c.peek() != b {
		c.fail()
		return
	}
	c.at++
}

func (c *jsonChecker) word(w string) {
	if len(c.data)-c.at < len(w) || string(c.data[c.at:c.at+len(w)]) != w {
		c.fail()
		return
	}
	c.at += len(w)
}

// text passes a string literal and returns it, quotes included; plain means that
// it holds no escape.
func (c *jsonChecker) text() (literal []byte, plain bool) {
	plain = true
	data := c.data
	for i := c.at + 1; i < len(data); i++ {
		b := data[i]
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		if b == '"' {
			literal = data[c.at : i+1]
			c.at = i + 1
			return literal, plain
		}
		plain = false
		size := escapeLen(data[i:])
		if size == 0 {
			break
		}
		i += size - 1
	}
	c.fail()
	return nil, false
}

// escapeLen is the length of the escape that data begins with, 0 if it is none.
func escapeLen(data []byte) int {
	if len(data) < 2 || data[0] != '\\' {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	if unicodeEscape(data) < 0 {
		return 0
	}
	return 6
}

func (c *jsonChecker) number() {
	if c.peek() == '-' {
		c.at++
	}
	switch {
	case c.is('0'):
		c.at++
	default:
		c.digits()
	}
	if c.is('.') {
		c.at++
		c.digits()
	}
	if c.is('e') || c.is('E') {
		c.at++
		if c.is('+') || c.is('-') {
			c.at++
		}
		c.digits()
	}
}

// digits passes at least one digit.
func (c *jsonChecker) digits() {
	start := c.at
	for c.at < len(c.data) && c.data[c.at]-'0' <= 9 {
		c.at++
	}
	if c.at == start {
		c.fail()
	}
}

func (c *jsonChecker) is(b byte) bool { return c.at < len(c.data) && c.data[c.at] == b }
