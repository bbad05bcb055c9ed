package agent

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// deltaWriter makes the deltas of an answer whose upstream does not speak
// OpenAI's tongue. Its methods add one delta each; take gives all that were
// added since the last take, for one emit. The first delta of an answer carries
// the role. It allocates nothing in the steady state.
//
//	w := deltaWriter{model: "m"}
//	w.text("Hel")
//	w.text("lo")
//	emit(w.take())
//	w.finish("stop")
//	emit(w.take())
type deltaWriter struct {
	// model is put into each chunk; it may be set, or changed, at any time.
	model string

	started bool // the role was written
	buf     []byte
	spans   []deltaSpan
	deltas  []Delta
}

// deltaSpan is a Delta as offsets, since buf moves while it grows. A content
// that is absent has contentStart 0: no chunk begins with one.
type deltaSpan struct{ start, end, contentStart, contentEnd int }

// text adds a piece of the answer's text. An empty piece adds nothing.
func (w *deltaWriter) text(s string) {
	if s == "" {
		return
	}
	span := w.open()
	w.buf = append(w.buf, `"content":`...)
	span.contentStart = len(w.buf)
	w.buf = appendJSONString(w.buf, s)
	span.contentEnd = len(w.buf)
	w.close(span, "")
}

// textLiteral is text for a piece that is a JSON string literal already: valid,
// of valid UTF-8, and not empty.
func (w *deltaWriter) textLiteral(literal []byte) {
	span := w.open()
	w.buf = append(w.buf, `"content":`...)
	span.contentStart = len(w.buf)
	w.buf = append(w.buf, literal...)
	span.contentEnd = len(w.buf)
	w.close(span, "")
}

// reasoning adds a piece of what the model thinks before it answers, under
// reasoning_content, the name most servers and clients use. An empty piece adds
// nothing.
func (w *deltaWriter) reasoning(s string) {
	if s == "" {
		return
	}
	span := w.open()
	w.buf = append(w.buf, `"reasoning_content":`...)
	w.buf = appendJSONString(w.buf, s)
	w.close(span, "")
}

// reasoningLiteral is reasoning for a JSON string literal, as textLiteral is text.
func (w *deltaWriter) reasoningLiteral(literal []byte) {
	w.member("reasoning_content", literal)
}

// toolCall begins the answer's tool call number index (from 0); arguments is
// the JSON text of the arguments, or its beginning, or "".
func (w *deltaWriter) toolCall(index int, call toolCall) {
	span := w.open()
	w.buf = append(w.buf, `"tool_calls":[{"index":`...)
	w.buf = strconv.AppendInt(w.buf, int64(index), 10)
	w.buf = append(w.buf, ',')
	w.buf = call.appendMembers(w.buf)
	w.buf = append(w.buf, `}]`...)
	w.close(span, "")
}

// toolArguments adds a piece of the JSON text of tool call index's arguments.
// An empty piece adds nothing.
func (w *deltaWriter) toolArguments(index int, piece string) {
	if piece == "" {
		return
	}
	span := w.open()
	w.buf = append(w.buf, `"tool_calls":[{"index":`...)
	w.buf = strconv.AppendInt(w.buf, int64(index), 10)
	w.buf = append(w.buf, `,"function":{"arguments":`...)
	w.buf = appendJSONString(w.buf, piece)
	w.buf = append(w.buf, `}}]`...)
	w.close(span, "")
}

// argumentsLiteral is toolArguments for a JSON string literal, as textLiteral is
// text.
func (w *deltaWriter) argumentsLiteral(index int, literal []byte) {
	span := w.open()
	w.buf = append(w.buf, `"tool_calls":[{"index":`...)
	w.buf = strconv.AppendInt(w.buf, int64(index), 10)
	w.buf = append(w.buf, `,"function":{"arguments":`...)
	w.buf = append(w.buf, literal...)
	w.buf = append(w.buf, `}}]`...)
	w.close(span, "")
}

// member adds a delta with one member that has no method here. value must be
// valid JSON on one line.
func (w *deltaWriter) member(name string, value []byte) {
	span := w.open()
	w.buf = appendJSONString(w.buf, name)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, value...)
	w.close(span, "")
}

// role adds a delta with the role alone, if no delta was written yet: for an
// answer that wants to be seen before its first word.
func (w *deltaWriter) role() {
	if w.started {
		return
	}
	w.close(w.open(), "")
}

// finish adds the last delta, with OpenAI's finish reason.
func (w *deltaWriter) finish(reason string) {
	w.close(w.open(), reason)
}

// take returns the deltas added since the last take. They are valid until the
// next call of any method.
func (w *deltaWriter) take() []Delta {
	w.deltas = w.deltas[:0]
	for _, s := range w.spans {
		d := Delta{Chunk: w.buf[s.start:s.end:s.end]}
		if s.contentStart > 0 {
			d.Content = w.buf[s.contentStart:s.contentEnd:s.contentEnd]
		}
		w.deltas = append(w.deltas, d)
	}
	w.spans = w.spans[:0]
	w.buf = w.buf[:0]
	return w.deltas
}

func (w *deltaWriter) open() deltaSpan {
	span := deltaSpan{start: len(w.buf)}
	w.buf = append(w.buf, `"model":`...)
	w.buf = appendJSONString(w.buf, w.model)
	w.buf = append(w.buf, `,"choices":[{"index":0,"delta":{`...)
	if !w.started {
		w.started = true
		w.buf = append(w.buf, `"role":"assistant",`...)
	}
	return span
}

// close ends the chunk begun by open; an empty reason means the answer goes on.
func (w *deltaWriter) close(span deltaSpan, reason string) {
	if w.buf[len(w.buf)-1] == ',' {
		w.buf = w.buf[:len(w.buf)-1]
	}
	w.buf = append(w.buf, `},"finish_reason":`...)
	if reason == "" {
		w.buf = append(w.buf, `null}]`...)
	} else {
		w.buf = appendJSONString(w.buf, reason)
		w.buf = append(w.buf, `}]`...)
	}
	span.end = len(w.buf)
	w.spans = append(w.spans, span)
}

// toolCall is one call of a tool by the model.
type toolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text
}

func (c toolCall) appendMembers(buf []byte) []byte {
	buf = append(buf, `"id":`...)
	buf = appendJSONString(buf, c.ID)
	buf = append(buf, `,"type":"function","function":{"name":`...)
	buf = appendJSONString(buf, c.Name)
	buf = append(buf, `,"arguments":`...)
	buf = appendJSONString(buf, c.Arguments)
	return append(buf, '}')
}

// tokenUsage counts the tokens of a call.
type tokenUsage struct {
	prompt     int // cached included
	cached     int // those of the prompt that were read from a cache
	completion int // reasoning included
	reasoning  int // those of the completion that were thought and not said
}

// json is OpenAI's usage object. Details that are 0 are left out.
func (u tokenUsage) json() json.RawMessage {
	buf := append([]byte(nil), `{"prompt_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.prompt), 10)
	buf = append(buf, `,"completion_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.completion), 10)
	buf = append(buf, `,"total_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.prompt)+int64(u.completion), 10)
	if u.cached > 0 {
		buf = append(buf, `,"prompt_tokens_details":{"cached_tokens":`...)
		buf = strconv.AppendInt(buf, int64(u.cached), 10)
		buf = append(buf, '}')
	}
	if u.reasoning > 0 {
		buf = append(buf, `,"completion_tokens_details":{"reasoning_tokens":`...)
		buf = strconv.AppendInt(buf, int64(u.reasoning), 10)
		buf = append(buf, '}')
	}
	return append(buf, '}')
}

// appendJSONString appends s as a JSON string literal. Only what JSON demands is
// escaped, so that text stays short and readable; invalid UTF-8 becomes U+FFFD.
func appendJSONString(buf []byte, s string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			buf = append(buf, s[start:i]...)
			buf = append(buf, "\uFFFD"...)
			i++
			start = i
			continue
		}
		buf = append(buf, s[start:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	buf = append(buf, s[start:]...)
	return append(buf, '"')
}
