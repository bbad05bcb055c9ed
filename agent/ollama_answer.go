package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"
)

const ndjsonType = "application/x-ndjson"

// stream reads the answer line by line. What one Read of the upstream brings
// goes into one emit.
func (o *Ollama) stream(resp *http.Response, model string, emit func([]Delta)) (Result, error) {
	_, body, err := o.up.answerForm(resp, ndjsonType)
	if err != nil {
		return Result{}, err
	}
	lines := newNDJSONReader(body, o.maxLine)
	defer lines.release()
	s := ollamaStream{up: o.up, answer: deltaWriter{model: model}}
	for {
		batch, err := lines.next()
		if err == io.EOF {
			err = o.up.errorf(KindCut, io.ErrUnexpectedEOF, "the answer ended before its end was told")
		}
		if err != nil {
			return s.result(), o.up.named(err)
		}
		err = s.take(batch)
		if deltas := s.answer.take(); len(deltas) > 0 {
			emit(deltas)
		}
		if err != nil {
			return s.result(), err
		}
		if s.finish != "" {
			drain(resp.Body)
			return s.result(), nil
		}
	}
}

// ollamaStream is one answer being read.
type ollamaStream struct {
	up     *upstream
	answer deltaWriter
	model  []byte // the literal
	calls  int
	finish string // "" until the answer is whole
	usage  json.RawMessage
}

// ollamaLine is one line in its parts, as they stand in it; what is absent is
// nil.
type ollamaLine struct {
	model, content, thinking, calls []byte
	done, reason, failure           []byte
	prompt, completion              []byte
}

// take makes deltas of lines, up to the last of the answer.
func (s *ollamaStream) take(lines []event) error {
	for _, l := range lines {
		line, ok := parseOllamaLine(l.data)
		switch {
		case !ok && l.torn:
			return s.up.errorf(KindCut, nil, "the answer broke off within a line")
		case !ok:
			return s.up.errorf(KindMalformed, nil, "a line of the answer is not a JSON object")
		case line.failure != nil:
			return s.up.brokenOff(l.data)
		}
		if err := s.add(line); err != nil || s.finish != "" {
			return err
		}
	}
	return nil
}

func (s *ollamaStream) add(line ollamaLine) error {
	if line.model != nil && !bytes.Equal(line.model, s.model) {
		s.model = append(s.model[:0], line.model...)
		s.answer.model = unescape(inside(line.model))
	}
	if line.thinking != nil {
		s.answer.reasoningLiteral(line.thinking)
	}
	if line.content != nil {
		s.answer.textLiteral(line.content)
	}
	if line.calls != nil {
		if err := s.addCalls(line.calls); err != nil {
			return err
		}
	}
	if string(line.done) != "true" {
		return nil
	}
	s.finish = "stop"
	switch {
	case s.calls > 0:
		s.finish = "tool_calls"
	case string(line.reason) == `"length"`:
		s.finish = "length"
	}
	s.answer.finish(s.finish)
	if line.prompt != nil || line.completion != nil {
		s.usage = tokenUsage{prompt: count(line.prompt), completion: count(line.completion)}.json()
	}
	return nil
}

// addCalls adds the tool calls of a line. Ollama gives each whole; only its
// newer versions give an id.
func (s *ollamaStream) addCalls(data []byte) error {
	var calls []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	}
	if err := json.Unmarshal(data, &calls); err != nil {
		return s.up.errorf(KindMalformed, err, "a tool call cannot be read: %v", err)
	}
	for _, c := range calls {
		call := toolCall{ID: c.ID, Name: c.Function.Name, Arguments: plain(c.Function.Arguments)}
		if call.ID == "" {
			call.ID = "call_" + rand.Text()
		}
		if call.Arguments == "" {
			call.Arguments = "{}"
		}
		s.answer.toolCall(s.calls, call)
		s.calls++
	}
	return nil
}

func (s *ollamaStream) result() Result {
	return Result{FinishReason: s.finish, Model: s.answer.model, Usage: s.usage}
}

// parseOllamaLine reads one line; ok is false where it is no JSON object. It may
// change data.
func parseOllamaLine(data []byte) (line ollamaLine, ok bool) {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	unbreak(data)
	c := jsonChecker{data: data}
	c.open('{')
	for first := true; c.more('}', first); first = false {
		switch string(c.key()) {
		case "model":
			line.model = present(literal(&c).in(data))
		case "message":
			parseOllamaMessage(&c, &line)
		case "done":
			line.done = c.value()
		case "done_reason":
			line.reason = c.value()
		case "prompt_eval_count":
			line.prompt = c.value()
		case "eval_count":
			line.completion = c.value()
		case "error":
			line.failure = present(c.value())
		default:
			c.value()
		}
	}
	return line, c.end()
}

func parseOllamaMessage(c *jsonChecker, line *ollamaLine) {
	if c.peek() != '{' {
		c.value()
		return
	}
	c.open('{')
	for first := true; c.more('}', first); first = false {
		switch string(c.key()) {
		case "content":
			line.content = present(literal(c).in(c.data))
		case "thinking":
			line.thinking = present(literal(c).in(c.data))
		case "tool_calls":
			line.calls = present(c.value())
		default:
			c.value()
		}
	}
}

// present is value, or nil where it says nothing.
func present(value []byte) []byte {
	if len(value) == 0 || isEmpty(value) {
		return nil
	}
	return value
}

// count is a number of tokens, 0 where value is none.
func count(value []byte) int {
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
