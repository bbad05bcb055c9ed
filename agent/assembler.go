package agent

import (
	"bytes"
	"encoding/json"
	"strings"
)

// DefaultAssemblerBytes is the most an [Assembler] keeps of one answer unless
// it is told otherwise: 16 MiB.
const DefaultAssemblerBytes = 16 << 20

// Assembler builds the assistant's message out of the deltas of an answer's
// first choice (index 0), as OpenAI's clients do.
//
// It runs once for every delta of every stream, so a delta that only brings
// text costs a comparison and a copy: the text is kept as it stands in the JSON
// and unescaped later, in blocks, or when it is asked for. This also heals a
// character whose two halves (\ud83d and \ude00) came in two deltas.
//
// The zero value is ready for use. An Assembler is for one goroutine at a time,
// and keeps no reference to a delta's bytes.
type Assembler struct {
	// MaxBytes bounds the text and all other fields together, in bytes of
	// JSON; 0 means DefaultAssemblerBytes. What comes after the first piece
	// that would pass it is dropped, so that what is kept has no hole.
	MaxBytes int

	text    strings.Builder // unescaped
	pending []byte          // what follows text, still as JSON
	fields  fieldList       // the message's members besides role, content, tool_calls
	calls   []callFields
	finish  string
	frame   plainFrame
	used    int
	cut     bool
}

const (
	// settleBytes is how much text waits at most to be unescaped: enough to make
	// the unescaping rare, little enough to be nothing beside a connection.
	settleBytes = 16 << 10
	// maxFrameBytes is the largest frame that is remembered.
	maxFrameBytes = 4 << 10
)

// Add takes the next delta. Chunks that are not what [Delta] promises lose what
// cannot be read of them, and do no other harm.
func (a *Assembler) Add(d Delta) {
	if d.Content != nil {
		a.addText(d.Content)
		if a.frame.holds(d) {
			return
		}
	}
	a.addChunk(d)
}

// Text is the answer's text so far. The half of a character at its end is held
// back until the other half comes. A call costs the unescaping of what came
// since the last one.
func (a *Assembler) Text() string {
	a.settle()
	return a.text.String()
}

// Len is the length of Text in bytes, at Text's cost.
func (a *Assembler) Len() int {
	a.settle()
	return a.text.Len()
}

// FinishReason is the finish_reason that was seen last, "" before there is one.
func (a *Assembler) FinishReason() string { return a.finish }

// Truncated tells whether something was dropped because of MaxBytes.
func (a *Assembler) Truncated() bool { return a.cut }

// Message is the assistant's message so far. Its Raw is set only when the
// answer is more than text: tool calls, a refusal, reasoning, fields unknown
// here.
func (a *Assembler) Message() Message {
	m := Message{Role: "assistant", Text: a.Text()}
	if len(a.fields) == 0 && len(a.calls) == 0 {
		return m
	}
	raw := make([]byte, 0, 64+len(m.Text)+a.used)
	raw = append(raw, `{"role":"assistant","content":`...)
	if m.Text == "" {
		raw = append(raw, `null`...)
	} else {
		raw = appendJSONString(raw, m.Text)
	}
	for i := range a.fields {
		raw = append(raw, ',')
		raw = a.fields[i].append(raw)
	}
	raw = appendCalls(raw, a.calls)
	m.Raw = append(raw, '}')
	return m
}

// Reset makes the Assembler ready for another answer, keeping MaxBytes and the
// memory that is worth keeping.
func (a *Assembler) Reset() {
	pending := a.pending[:0]
	if cap(pending) > 4*settleBytes {
		pending = nil
	}
	*a = Assembler{MaxBytes: a.MaxBytes, pending: pending, frame: a.frame}
}

// completion is the message as a chat.completion object, for Result.Completion.
// Its id is empty and its created 0: they are the caller's to set. usage may be
// nil.
func (a *Assembler) completion(model string, usage json.RawMessage) json.RawMessage {
	m := a.Message()
	buf := make([]byte, 0, 256+len(m.Text)+len(m.Raw)+len(usage))
	buf = append(buf, `{"id":"","object":"chat.completion","created":0,"model":`...)
	buf = appendJSONString(buf, model)
	buf = append(buf, `,"choices":[{"index":0,"message":`...)
	if m.Raw != nil {
		buf = append(buf, m.Raw...)
	} else {
		buf = append(buf, `{"role":"assistant","content":`...)
		buf = appendJSONString(buf, m.Text)
		buf = append(buf, '}')
	}
	buf = append(buf, `,"logprobs":null,"finish_reason":`...)
	buf = appendJSONString(buf, a.finish)
	buf = append(buf, `}]`...)
	if usage != nil {
		buf = append(buf, `,"usage":`...)
		buf = append(buf, usage...)
	}
	return append(buf, '}')
}

// addText appends a string literal's inside.
func (a *Assembler) addText(literal []byte) {
	if len(literal) < 2 || literal[0] != '"' || literal[len(literal)-1] != '"' {
		return
	}
	literal = literal[1 : len(literal)-1]
	if !a.reserve(len(literal)) {
		return
	}
	a.pending = append(a.pending, literal...)
	if len(a.pending) >= settleBytes {
		a.settle()
	}
}

// settle moves the pending text to where it is unescaped.
func (a *Assembler) settle() {
	if len(a.pending) == 0 {
		return
	}
	whole := len(a.pending) - loneHighSurrogate(a.pending)
	writeUnescaped(&a.text, a.pending[:whole])
	a.pending = a.pending[:copy(a.pending, a.pending[whole:])]
}

// reserve counts n bytes more, or tells that they may not be kept.
func (a *Assembler) reserve(n int) bool {
	limit := a.MaxBytes
	if limit <= 0 {
		limit = DefaultAssemblerBytes
	}
	if a.cut || n > limit-a.used {
		a.cut = true
		return false
	}
	a.used += n
	return true
}

// addChunk reads a delta whose text, if it has any, is already counted, for all
// else that is in it.
func (a *Assembler) addChunk(d Delta) {
	choices := jsonMember(d.Chunk, "choices")
	for elements := elementsOf(choices); elements.next(); {
		if content := a.addChoice(d, elements.value); content != nil {
			a.frame.learn(d, content, choices)
		}
	}
}

// addChoice takes what the choice holds besides text, if it is the first one.
// It returns the text's literal if the choice has nothing else, or nil.
func (a *Assembler) addChoice(d Delta, choice []byte) (onlyContent []byte) {
	var delta, index, finish []byte
	for members := membersOf(choice); members.next(); {
		switch string(members.name) {
		case "delta":
			delta = members.value
		case "index":
			index = members.value
		case "finish_reason":
			finish = members.value
		}
	}
	if index != nil && string(index) != "0" {
		return nil
	}
	plain := true
	if isString(finish) && len(finish) > 2 {
		a.finish = unescape(finish[1 : len(finish)-1])
		plain = false
	}
	for members := membersOf(delta); members.next(); {
		name, value := members.name, members.value
		switch {
		case string(name) == "role" || isEmpty(value):
			continue
		case string(name) != "content":
			a.addField(name, value)
		case d.Content == nil:
			a.addContent(value)
		default:
			onlyContent = value
			continue
		}
		plain = false
	}
	if !plain {
		return nil
	}
	return onlyContent
}

// addContent takes a content that is not told by Delta.Content: a list of
// parts, as some servers send it.
func (a *Assembler) addContent(value []byte) {
	if isString(value) {
		a.addText(value)
		return
	}
	if text, err := joinParts(value); err == nil {
		a.addText(appendJSONString(nil, text))
	}
}

// plainFrame is what surrounds the text in a chunk that brought text alone. The
// chunks of an answer differ in little else than their text, so the next one is
// known by comparing.
type plainFrame struct {
	head, tail []byte // up to the text; from there to the end of choices
}

// holds tells whether d is a chunk of this frame, and so has nothing besides
// its text. Members after choices (usage, padding) are no part of a message.
func (f *plainFrame) holds(d Delta) bool {
	if len(f.head) == 0 || !bytes.HasPrefix(d.Chunk, f.head) {
		return false
	}
	rest := d.Chunk[len(f.head):]
	if !bytes.HasPrefix(rest, d.Content) {
		return false
	}
	rest = rest[len(d.Content):]
	if !bytes.HasPrefix(rest, f.tail) {
		return false
	}
	rest = rest[len(f.tail):]
	return len(rest) == 0 || rest[0] == ','
}

// learn remembers the frame of d, whose text and choices stand at content and
// choices, both parts of its chunk.
func (f *plainFrame) learn(d Delta, content, choices []byte) {
	if !bytes.Equal(content, d.Content) || len(d.Chunk)-len(content) > maxFrameBytes {
		return
	}
	start := offsetIn(d.Chunk, content)
	end := offsetIn(d.Chunk, choices) + len(choices)
	f.head = append(f.head[:0], d.Chunk[:start]...)
	f.tail = append(f.tail[:0], d.Chunk[start+len(content):end]...)
}
