package agent

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// chunkParser makes deltas of the chunks of one OpenAI stream, in place: the
// delta is the chunk's own bytes, less the members that the caller has its own
// of. It remembers what a Result needs. It allocates nothing in the steady
// state.
type chunkParser struct {
	model        string // of the last chunk that named one
	modelLiteral []byte
	usage        []byte // the last usage that was not null
	finish       string // of choice 0, "" until it is known
	// seen and finished tell of the choices by index, those above 63 left out.
	seen, finished uint64

	kept []extent
}

// extent is the part data[start:end].
type extent struct{ start, end int }

func (e extent) in(data []byte) []byte { return data[e.start:e.end] }

// choiceParts are the parts of a chunk's choices that are looked at.
type choiceParts struct {
	count          int
	content        extent // choice 0's text, zero if there is none
	finish         extent // choice 0's finish reason, zero if it is null
	seen, finished uint64 // as chunkParser has them
}

// parse reads one chunk. It changes data; the delta refers to it. Some chunks
// are no delta (ok false): those that only tell the usage, and empty ones.
// failure is the chunk's error member, or a chunk that is one as a whole, where an
// upstream breaks off with it.
// malformed: it is no JSON object.
func (p *chunkParser) parse(data []byte) (d Delta, ok bool, failure []byte, malformed bool) {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	unbreak(data)
	c := jsonChecker{data: data}
	var choices choiceParts
	var model, usage, fault []byte
	p.kept = p.kept[:0]
	adjacent := false // to the last member kept
	c.open('{')
	for first := true; c.more('}', first); first = false {
		c.peek()
		start := c.at
		key := c.key()
		keep := true
		switch string(key) {
		case "id", "created":
			c.value()
			keep = false
		case "object":
			if string(c.value()) == `"error"` { // vLLM's, which stands for the chunk
				fault = data
			}
			keep = false
		case "usage":
			usage = c.value()
			keep = false
		case "model":
			model = c.value()
		case "error":
			if value := present(c.value()); value != nil {
				fault = value
			}
		case "choices":
			choices = parseChoices(&c)
		default:
			c.value()
		}
		if keep {
			p.keep(extent{start, c.at}, adjacent)
		}
		adjacent = keep
	}
	switch {
	case !c.end():
		return Delta{}, false, nil, true
	case fault != nil:
		return Delta{}, false, fault, false
	}
	p.remember(model, usage, choices.finish.in(data))
	p.seen |= choices.seen
	p.finished |= choices.finished
	if choices.count == 0 && usage != nil && string(usage) != "null" || len(p.kept) == 0 {
		return Delta{}, false, nil, false
	}
	return p.join(data, choices.content), true, nil, false
}

// keep notes a member that belongs to the delta. One that follows on another
// extends it, so that what stands between them stays too.
func (p *chunkParser) keep(member extent, adjacent bool) {
	if adjacent {
		p.kept[len(p.kept)-1].end = member.end
		return
	}
	p.kept = append(p.kept, member)
}

func (p *chunkParser) remember(model, usage, finish []byte) {
	if usage != nil && string(usage) != "null" {
		p.usage = append(p.usage[:0], usage...)
	}
	if len(model) > 0 && model[0] == '"' && !bytes.Equal(model, p.modelLiteral) {
		p.modelLiteral = append(p.modelLiteral[:0], model...)
		p.model = unescape(model[1 : len(model)-1])
	}
	if len(finish) > 0 {
		p.finish = unescape(finish[1 : len(finish)-1])
	}
}

// join moves what is kept together. Nearly always that is one part, and nothing
// moves.
func (p *chunkParser) join(data []byte, content extent) Delta {
	start, end := p.kept[0].start, p.kept[0].end
	for _, part := range p.kept[1:] {
		data[end] = ',' // a member was left out between: there is room
		end++
		if content.start >= part.start && content.end <= part.end {
			content = extent{content.start - part.start + end, content.end - part.start + end}
		}
		end += copy(data[end:], part.in(data))
	}
	d := Delta{Chunk: data[start:end:end]}
	if content.end > 0 {
		d.Content = data[content.start:content.end:content.end]
	}
	return d
}

// complete tells whether every choice that was seen has been told the end of.
func (p *chunkParser) complete() bool {
	return p.finish != "" && p.seen&^p.finished == 0
}

// result is what the stream has told of its end.
func (p *chunkParser) result() Result {
	r := Result{FinishReason: p.finish, Model: p.model}
	if len(p.usage) > 0 {
		r.Usage = json.RawMessage(bytes.Clone(p.usage))
	}
	return r
}

func parseChoices(c *jsonChecker) choiceParts {
	var parts choiceParts
	if c.peek() != '[' {
		c.value()
		return parts
	}
	c.open('[')
	for first := true; c.more(']', first); first = false {
		if c.peek() == '{' {
			parseChoice(c, &parts)
		} else {
			c.value()
		}
		parts.count++
	}
	return parts
}

// parseChoice reads one choice into parts, its text and finish reason only if its
// index is 0, or absent from the only one.
func parseChoice(c *jsonChecker, parts *choiceParts) {
	index := parts.count
	var content, finish extent
	c.open('{')
	for first := true; c.more('}', first); first = false {
		switch string(c.key()) {
		case "index":
			if n, err := strconv.Atoi(string(c.value())); err == nil {
				index = n
			}
		case "delta":
			content = parseDelta(c)
		case "finish_reason":
			finish = literal(c)
		default:
			c.value()
		}
	}
	if index >= 0 && index < 64 {
		parts.seen |= 1 << index
		if finish.end > 0 {
			parts.finished |= 1 << index
		}
	}
	if index != 0 {
		return
	}
	if content.end > 0 {
		parts.content = content
	}
	if finish.end > 0 {
		parts.finish = finish
	}
}

func parseDelta(c *jsonChecker) (content extent) {
	if c.peek() != '{' {
		c.value()
		return content
	}
	c.open('{')
	for first := true; c.more('}', first); first = false {
		if string(c.key()) == "content" {
			content = literal(c)
		} else {
			c.value()
		}
	}
	return content
}

// literal passes a value and returns it if it is a string with something in it.
func literal(c *jsonChecker) extent {
	isText := c.peek() == '"'
	start := c.at
	if value := c.value(); isText && len(value) > len(`""`) {
		return extent{start, c.at}
	}
	return extent{}
}

// unbreak makes spaces of the line breaks between the tokens of a JSON text; one
// inside a string stays, and is not JSON.
func unbreak(data []byte) {
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		return
	}
	inString := false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case b == '"':
			inString = !inString
		case inString && b == '\\':
			i++
		case !inString && (b == '\n' || b == '\r'):
			data[i] = ' '
		}
	}
}
