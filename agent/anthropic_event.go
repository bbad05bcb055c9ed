package agent

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// anthropicEvent is one event of a stream in its parts, as they stand in it;
// what is absent is nil.
type anthropicEvent struct {
	kind    []byte // type, without quotes
	index   int    // of the block it is about
	delta   anthropicDelta
	block   []byte // content_block
	message []byte
	usage   []byte
	failure []byte
}

// anthropicDelta is an event's delta. All of it are string literals.
type anthropicDelta struct{ text, thinking, arguments, signature, stop []byte }

// parseAnthropicEvent reads the data of one event; ok is false where it is no
// JSON object. It may change data.
func parseAnthropicEvent(data []byte) (event anthropicEvent, ok bool) {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	unbreak(data)
	c := jsonChecker{data: data}
	c.open('{')
	for first := true; c.more('}', first); first = false {
		switch string(c.key()) {
		case "type":
			event.kind = inside(literal(&c).in(data))
		case "index":
			event.index = count(c.value())
		case "delta":
			event.delta = parseAnthropicDelta(&c)
		case "content_block":
			event.block = present(c.value())
		case "message":
			event.message = present(c.value())
		case "usage":
			event.usage = present(c.value())
		case "error":
			event.failure = present(c.value())
		default:
			c.value()
		}
	}
	return event, c.end()
}

// parseAnthropicDelta reads a delta by what it holds: its type says nothing more.
func parseAnthropicDelta(c *jsonChecker) (delta anthropicDelta) {
	if c.peek() != '{' {
		c.value()
		return delta
	}
	c.open('{')
	for first := true; c.more('}', first); first = false {
		switch string(c.key()) {
		case "text":
			delta.text = present(literal(c).in(c.data))
		case "thinking":
			delta.thinking = present(literal(c).in(c.data))
		case "partial_json":
			delta.arguments = present(literal(c).in(c.data))
		case "signature":
			delta.signature = present(literal(c).in(c.data))
		case "stop_reason":
			delta.stop = present(literal(c).in(c.data))
		default:
			c.value()
		}
	}
	return delta
}

// anthropicBlock is one block of an answer's content, of whatever type; in a
// stream, what is known of it at its start.
type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"` // of redacted thinking
	ID        string          `json:"id"`   // of a tool's use, with those below
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
}

// anthropicMessage is an answer, or in a stream's first event what is known of
// it.
type anthropicMessage struct {
	Model      string           `json:"model"`
	Content    []anthropicBlock `json:"content"`
	StopReason string           `json:"stop_reason"`
	Usage      json.RawMessage  `json:"usage"`
}

// anthropicUsage is the usage of a call so far.
type anthropicUsage struct {
	Input         int `json:"input_tokens"` // without those below
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Thinking int `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

// update takes what another event tells. Counts only grow: a server that leaves
// one out, or writes 0, does not mean it. Usage that cannot be read is no reason
// to lose the answer.
func (u *anthropicUsage) update(usage json.RawMessage) {
	var later anthropicUsage
	if json.Unmarshal(usage, &later) != nil {
		return
	}
	u.Input = max(u.Input, later.Input)
	u.CacheCreation = max(u.CacheCreation, later.CacheCreation)
	u.CacheRead = max(u.CacheRead, later.CacheRead)
	u.Output = max(u.Output, later.Output)
	u.OutputDetails.Thinking = max(u.OutputDetails.Thinking, later.OutputDetails.Thinking)
}

// openAI is the usage as OpenAI's API has it, nil while nothing is known.
func (u *anthropicUsage) openAI() json.RawMessage {
	if *u == (anthropicUsage{}) {
		return nil
	}
	return tokenUsage{
		prompt:     u.Input + u.CacheCreation + u.CacheRead,
		cached:     u.CacheRead,
		completion: u.Output,
		reasoning:  u.OutputDetails.Thinking,
	}.json()
}
