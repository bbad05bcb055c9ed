package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
)

// stream reads the answer event by event. What one Read of the upstream brings
// goes into one emit.
func (a *Anthropic) stream(resp *http.Response, model string, emit func([]Delta)) (Result, error) {
	form, body, err := a.up.answerForm(resp, sseType)
	if err != nil {
		return Result{}, err
	}
	s := anthropicStream{up: a.up, answer: deltaWriter{model: model}}
	if form == formJSON {
		err := s.takeWhole(body)
		if deltas := s.answer.take(); len(deltas) > 0 {
			emit(deltas)
		}
		return s.result(), err
	}
	events := newSSEReader(body, a.maxLine)
	defer events.release()
	for {
		batch, err := events.next()
		if err == io.EOF {
			err = a.up.errorf(KindCut, io.ErrUnexpectedEOF, "the answer ended before its end was told")
		}
		if err != nil {
			return s.result(), a.up.named(err)
		}
		err = s.take(batch)
		if deltas := s.answer.take(); len(deltas) > 0 {
			emit(deltas)
		}
		if err != nil {
			return s.result(), err
		}
		if s.ended {
			drain(resp.Body)
			return s.result(), nil
		}
	}
}

const (
	// maxOpenBlocks is how many blocks of an answer may be under construction:
	// the API sends one after the other.
	maxOpenBlocks = 64
	// maxThinkingBytes bounds the thinking that is kept to be handed on with its
	// signature, in bytes of JSON for each block. A model thinks less at once.
	maxThinkingBytes = 1 << 20
)

// anthropicStream is one answer being read.
type anthropicStream struct {
	up     *upstream
	answer deltaWriter
	blocks []openBlock
	calls  int
	usage  anthropicUsage
	stop   string // the upstream's reason
	finish string // OpenAI's, "" until the answer is whole
	ended  bool
}

// openBlock is a block of the answer that is not yet whole.
type openBlock struct {
	index     int
	kind      blockKind
	call      int    // of a tool's use: which
	argued    bool   // some of its arguments came
	thinking  []byte // the literals' insides, joined
	signature []byte // likewise
	tooLong   bool
}

type blockKind byte

const (
	otherBlock blockKind = iota
	toolBlock
	thinkingBlock
)

// take makes deltas of events, up to the last of the answer.
func (s *anthropicStream) take(events []event) error {
	for _, e := range events {
		if len(bytes.TrimSpace(e.data)) == 0 {
			continue
		}
		parsed, ok := parseAnthropicEvent(e.data)
		switch {
		case e.name == "error" || parsed.failure != nil:
			return s.up.brokenOff(e.data)
		case !ok && e.torn:
			return s.up.errorf(KindCut, nil, "the answer broke off within an event")
		case !ok:
			return s.up.errorf(KindMalformed, nil, "an event of the answer is not a JSON object")
		}
		if err := s.add(parsed); err != nil || s.ended {
			return err
		}
	}
	return nil
}

// add takes one event. Those that are not here (ping, and what the API may add)
// tell nothing of the answer.
func (s *anthropicStream) add(e anthropicEvent) error {
	switch string(e.kind) {
	case "message_start":
		return s.begin(e.message)
	case "content_block_start":
		var block anthropicBlock
		if err := json.Unmarshal(e.block, &block); err != nil {
			return s.up.errorf(KindMalformed, err, "a block of the answer cannot be read: %v", err)
		}
		return s.openBlock(e.index, block)
	case "content_block_delta":
		s.addDelta(e.index, e.delta)
	case "content_block_stop":
		s.closeBlock(e.index)
	case "message_delta":
		if e.delta.stop != nil {
			s.stop = unescape(inside(e.delta.stop))
		}
		s.usage.update(e.usage)
	case "message_stop":
		s.end()
	}
	return nil
}

func (s *anthropicStream) begin(data []byte) error {
	var message anthropicMessage
	if err := json.Unmarshal(data, &message); err != nil {
		return s.up.errorf(KindMalformed, err, "the answer's start cannot be read: %v", err)
	}
	s.named(message.Model)
	s.usage.update(message.Usage)
	return nil
}

func (s *anthropicStream) named(model string) {
	if model != "" {
		s.answer.model = model
	}
}

// openBlock begins a block, with what its start holds already. The use of a tool
// that runs at the upstream, and its result, are not the client's to know: they
// are blocks of another kind.
func (s *anthropicStream) openBlock(index int, start anthropicBlock) error {
	if len(s.blocks) >= maxOpenBlocks {
		return s.up.errorf(KindMalformed, nil, "the answer has more than %d blocks at once", maxOpenBlocks)
	}
	block := openBlock{index: index}
	switch start.Type {
	case "text":
		s.answer.text(start.Text)
	case "thinking":
		block.kind = thinkingBlock
		s.answer.reasoning(start.Thinking)
		block.think(inside(appendJSONString(nil, start.Thinking)))
		block.signature = inside(appendJSONString(nil, start.Signature))
	case "redacted_thinking":
		s.signed(`{"type":"redacted_thinking","data":`, appendJSONString(nil, start.Data))
	case "tool_use":
		block.kind, block.call = toolBlock, s.calls
		s.openCall(&block, start)
	}
	s.blocks = append(s.blocks, block)
	return nil
}

func (s *anthropicStream) openCall(block *openBlock, start anthropicBlock) {
	call := toolCall{ID: start.ID, Name: start.Name}
	if call.ID == "" {
		call.ID = "call_" + rand.Text()
	}
	// A stream begins with an empty input, and sends the true one piece by piece.
	if start.Input != nil && !isEmpty(start.Input) {
		call.Arguments = string(start.Input)
		block.argued = true
	}
	s.answer.toolCall(s.calls, call)
	s.calls++
}

func (s *anthropicStream) addDelta(index int, d anthropicDelta) {
	block := s.block(index)
	switch {
	case d.text != nil:
		s.answer.textLiteral(d.text)
	case d.thinking != nil:
		s.answer.reasoningLiteral(d.thinking)
		if block != nil {
			block.think(inside(d.thinking))
		}
	case d.arguments != nil && block != nil && block.kind == toolBlock:
		s.answer.argumentsLiteral(block.call, d.arguments)
		block.argued = true
	case d.signature != nil && block != nil && len(block.signature) < maxThinkingBytes:
		block.signature = append(block.signature, inside(d.signature)...)
	}
}

// think keeps a piece of thinking, for the signature to come.
func (b *openBlock) think(piece []byte) {
	if b.tooLong = b.tooLong || len(b.thinking)+len(piece) > maxThinkingBytes; b.tooLong {
		b.thinking = nil
		return
	}
	b.thinking = append(b.thinking, piece...)
}

func (s *anthropicStream) closeBlock(index int) {
	block := s.block(index)
	if block == nil {
		return
	}
	switch {
	case block.kind == toolBlock && !block.argued:
		s.answer.toolArguments(block.call, "{}")
	case block.kind == thinkingBlock && len(block.signature) > 0 && !block.tooLong:
		s.signed(`{"type":"thinking","thinking":"`, block.thinking, []byte(`","signature":"`), block.signature, []byte(`"`))
	}
	*block = s.blocks[len(s.blocks)-1]
	s.blocks = s.blocks[:len(s.blocks)-1]
}

// signed adds a thinking block as a whole, under the name other gateways use.
// The API wants it back, unchanged, when a tool's result follows. A client that
// keeps what it does not know of a message does so, and a session does; see
// anthropicThinking for the way back.
func (s *anthropicStream) signed(start string, parts ...[]byte) {
	block := append([]byte(`[`), start...)
	block = append(block, bytes.Join(parts, nil)...)
	s.answer.member("thinking_blocks", append(block, `}]`...))
}

func (s *anthropicStream) block(index int) *openBlock {
	for i := range s.blocks {
		if s.blocks[i].index == index {
			return &s.blocks[i]
		}
	}
	return nil
}

// end ends the answer. Blocks that were left open are as whole as they will be.
func (s *anthropicStream) end() {
	for len(s.blocks) > 0 {
		s.closeBlock(s.blocks[0].index)
	}
	s.finish = anthropicFinish(s.stop)
	if s.finish == "stop" && s.calls > 0 {
		s.finish = "tool_calls"
	}
	s.answer.finish(s.finish)
	s.ended = true
}

// anthropicFinish is OpenAI's word for a stop_reason. A turn that is paused, to
// be gone on with by a request that repeats it, has none of its own there.
func anthropicFinish(reason string) string {
	switch reason {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "refusal":
		return "content_filter"
	}
	return "stop" // end_turn, stop_sequence, pause_turn
}

func (s *anthropicStream) result() Result {
	return Result{FinishReason: s.finish, Model: s.answer.model, Usage: s.usage.openAI()}
}

// takeWhole serves an upstream that answers with one JSON object where it was
// asked for a stream.
func (s *anthropicStream) takeWhole(body io.Reader) error {
	data, err := s.up.readAll(body, maxWholeBytes)
	if err != nil {
		return s.up.named(err)
	}
	data = bytes.TrimSpace(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	unbreak(data)
	check := jsonChecker{data: data}
	if check.value() == nil || !check.end() || data[0] != '{' {
		return s.up.errorf(KindMalformed, nil, "the answer is no message: %s", parseErrorBody(data).message)
	}
	if fault := jsonMember(data, "error"); fault != nil && string(fault) != "null" {
		return s.up.brokenOff(data)
	}
	var message anthropicMessage
	if err := json.Unmarshal(data, &message); err != nil || message.Content == nil {
		return s.up.errorf(KindMalformed, err, "the answer is no message: it has no content that can be read")
	}
	s.named(message.Model)
	s.usage.update(message.Usage)
	s.stop = message.StopReason
	for i, block := range message.Content {
		if err := s.openBlock(i, block); err != nil {
			return err
		}
		s.closeBlock(i)
	}
	s.end()
	return nil
}
