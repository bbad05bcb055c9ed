package responses

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"agentzero/actors"
	"agentzero/agent"
)

// Builder makes the events of a response out of those of its turn, and with them
// the response itself. It is a function of the turn's events alone: told again, they
// make the same events with the same numbers, from 0 without gaps. So a stream is
// resumed by telling all of it and leaving out what the client has seen.
//
// What a crash has lost of a turn leaves fewer events than a client may have seen.
// Those that end such a response follow the last one that the client knows of.
//
// A Builder is for one goroutine.
type Builder struct {
	response Response
	turn     string
	after    int64 // the last number that the client has; -1 is none
	next     int64 // number of the next event
	dst      []byte
	begun    bool

	items     []*item // the output, in its order
	text      *item   // the message that is being said, or nil
	reasoning *item   // the reasoning that is being told, or nil
	calls     map[int]*item
	counts    map[string]int // items of each kind
	plain     frame
	kept      int // bytes of the texts
}

// item is one of the output's. Its texts are the insides of JSON string literals.
type item struct {
	ref       ItemRef
	index     int
	open      bool
	status    string
	parts     []*part // of a message
	text      []byte  // of reasoning, or the arguments of a call
	call, fun string  // id and name of a call
}

type part struct {
	refusal  bool
	text     []byte
	logprobs []json.RawMessage
}

// frame is what stands around the text of a chunk that brings text alone. The next
// chunk is known by comparing.
type frame struct{ head, tail []byte }

// NewBuilder begins a response with what [New] made of it. Events up to the number
// after are left out; -1 leaves out none.
func NewBuilder(r Response, turn string, after int64) *Builder {
	return &Builder{response: r, turn: turn, after: after, calls: map[int]*item{}, counts: map[string]int{}}
}

// Next is the number of the event that comes next.
func (b *Builder) Next() int64 { return b.next }

// Begin adds the events that say that there is a response, unless they were added.
func (b *Builder) Begin(dst []byte) []byte {
	if b.begun {
		return dst
	}
	b.begun, b.dst = true, dst
	b.emit(event{Type: "response.created", Response: &b.response})
	if b.response.Background {
		b.emit(event{Type: "response.queued", Response: &b.response})
	}
	return b.dst
}

// Add adds what an event of the turn makes to dst, and tells when it was the last.
func (b *Builder) Add(dst []byte, e *actors.Event) (out []byte, last bool) {
	b.dst = b.Begin(dst)
	switch {
	case e.Kind == actors.EventStarted:
		b.response.Status = StatusInProgress
		b.emit(event{Type: "response.in_progress", Response: &b.response})
	case e.Kind == actors.EventDelta:
		b.delta(e)
	case e.Kind.Ends():
		b.end(e)
		last = true
	}
	return b.dst, last
}

// Response is the response so far.
func (b *Builder) Response() Response {
	r := b.response
	r.Output = b.output()
	return r
}

func (b *Builder) end(e *actors.Event) {
	var t actors.TurnEvent
	if e.Kind == actors.EventInterrupted && json.Unmarshal(e.Data, &t) == nil && t.Reason == actors.ReasonCrashed {
		b.next = max(b.next, b.after+1)
	}
	name := b.response.end(e)
	for _, it := range b.items {
		if it.open && b.response.Status != StatusCompleted {
			it.status = "incomplete"
		}
		b.close(it)
	}
	b.response.Output = b.output()
	b.emit(event{Type: name, Response: &b.response})
}

func (b *Builder) output() []any {
	out := make([]any, len(b.items))
	for i, it := range b.items {
		out[i] = it.json()
	}
	return out
}

// event is any of the stream's events.
type event struct {
	Type         string            `json:"type"`
	Number       int64             `json:"sequence_number"`
	Response     *Response         `json:"response,omitempty"`
	ItemID       string            `json:"item_id,omitempty"`
	OutputIndex  *int              `json:"output_index,omitempty"`
	ContentIndex *int              `json:"content_index,omitempty"`
	SummaryIndex *int              `json:"summary_index,omitempty"`
	Item         any               `json:"item,omitempty"`
	Part         any               `json:"part,omitempty"`
	Delta        json.RawMessage   `json:"delta,omitempty"`
	Text         json.RawMessage   `json:"text,omitempty"`
	Refusal      json.RawMessage   `json:"refusal,omitempty"`
	Name         string            `json:"name,omitempty"`
	Arguments    json.RawMessage   `json:"arguments,omitempty"`
	Logprobs     []json.RawMessage `json:"logprobs,omitzero"`
}

// emit writes an event, unless the client has it.
func (b *Builder) emit(e event) {
	e.Number = b.next
	b.next++
	if e.Number <= b.after {
		return
	}
	data, err := encode(&e)
	if err != nil {
		panic("responses: texts that were read as JSON do not marshal: " + err.Error())
	}
	b.dst = append(append(append(b.dst, "event: "...), e.Type...), "\ndata: "...)
	b.dst = append(append(b.dst, data...), "\n\n"...)
}

// chunk is what is looked for in the chunks of a chat completion.
type chunk struct {
	Model   string `json:"model"`
	Choices []struct {
		Index int `json:"index"`
		Delta struct {
			Content          json.RawMessage `json:"content"`
			Refusal          json.RawMessage `json:"refusal"`
			ReasoningContent json.RawMessage `json:"reasoning_content"`
			Reasoning        json.RawMessage `json:"reasoning"`
			ToolCalls        []struct {
				Index    *int   `json:"index"`
				ID       string `json:"id"`
				Function struct {
					Name      string          `json:"name"`
					Arguments json.RawMessage `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
		Logprobs     *struct {
			Content []json.RawMessage `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
}

func (b *Builder) delta(e *actors.Event) {
	if text := e.Content(); text != nil && b.plain.holds(e.Data, text) {
		b.say(inside(text), false, nil)
		return
	}
	var c chunk
	if json.Unmarshal(append(append([]byte{'{'}, e.Data...), '}'), &c) != nil {
		return // the agent's end tells of it
	}
	if c.Model != "" {
		b.response.Model = c.Model
	}
	for i := range c.Choices {
		choice := &c.Choices[i]
		if choice.Index != 0 {
			continue
		}
		d := &choice.Delta
		thought := inside(d.ReasoningContent)
		if len(thought) == 0 {
			thought = inside(d.Reasoning)
		}
		content := inside(d.Content)
		if len(content) == 0 {
			content = inside(joined(d.Content))
		}
		var logprobs []json.RawMessage
		if choice.Logprobs != nil {
			logprobs = choice.Logprobs.Content
		}
		refusal := inside(d.Refusal)
		if len(thought) > 0 {
			b.think(thought)
		}
		if len(content) > 0 || len(logprobs) > 0 {
			b.say(content, false, logprobs)
		}
		if len(refusal) > 0 {
			b.say(refusal, true, nil)
		}
		for k := range d.ToolCalls {
			call := &d.ToolCalls[k]
			n := k
			if call.Index != nil {
				n = *call.Index
			}
			b.calling(n, call.ID, call.Function.Name, inside(call.Function.Arguments))
		}
		if text := e.Content(); text != nil && len(thought)+len(refusal)+len(d.ToolCalls)+len(logprobs) == 0 && choice.FinishReason == nil && len(c.Choices) == 1 {
			b.plain.learn(e.Data, text)
		}
	}
}

func (f *frame) holds(chunk, text []byte) bool {
	return len(f.head) > 0 && len(chunk) == len(f.head)+len(text)+len(f.tail) &&
		bytes.HasPrefix(chunk, f.head) && bytes.HasSuffix(chunk, f.tail)
}

func (f *frame) learn(chunk, text []byte) {
	if at := bytes.Index(chunk, text); at >= 0 {
		f.head, f.tail = append(f.head[:0], chunk[:at]...), append(f.tail[:0], chunk[at+len(text):]...)
	}
}

// inside is a string literal without its quotes, nil for anything else.
func inside(literal []byte) []byte {
	if len(literal) < 2 || literal[0] != '"' {
		return nil
	}
	return literal[1 : len(literal)-1]
}

// quoted is a string literal again.
func quoted(inside []byte) json.RawMessage {
	return append(append(append(make([]byte, 0, len(inside)+2), '"'), inside...), '"')
}

// joined is the text of a content that is a list of parts, as some servers send it.
func joined(content json.RawMessage) json.RawMessage {
	if len(content) == 0 || content[0] != '[' {
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return nil
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return literal(b.String())
}

// add puts a further item into the output.
func (b *Builder) add(kind, part string) *item {
	it := &item{ref: ItemRef{Turn: b.turn, Index: -1, Part: part, kind: kind}, index: len(b.items), open: true, status: "in_progress"}
	if n := b.counts[kind]; n > 0 && kind != "fc" { // a second one would have the same id
		it.ref.Part = agent.PartCall + strconv.Itoa(n)
	}
	b.counts[kind]++
	b.items = append(b.items, it)
	return it
}

func (b *Builder) think(text []byte) {
	if b.reasoning == nil {
		b.closeSaid()
		b.reasoning = b.add("rs", agent.PartReasoning)
		b.added(b.reasoning)
		b.emit(event{Type: "response.reasoning_summary_part.added", ItemID: b.reasoning.ref.ID(), OutputIndex: &b.reasoning.index, SummaryIndex: new(int), Part: summaryText{"summary_text", quoted(nil)}})
	}
	it := b.reasoning
	it.text = b.keep(it.text, text)
	b.emit(event{Type: "response.reasoning_summary_text.delta", ItemID: it.ref.ID(), OutputIndex: &it.index, SummaryIndex: new(int), Delta: quoted(text)})
}

// say adds text to the message that is being said, or begins one.
func (b *Builder) say(text []byte, refusal bool, logprobs []json.RawMessage) {
	if b.reasoning != nil {
		b.close(b.reasoning)
	}
	if b.text == nil {
		b.closeCalls()
		b.text = b.add("msg", agent.PartContent)
		b.added(b.text)
	}
	it := b.text
	if n := len(it.parts); n == 0 || it.parts[n-1].refusal != refusal {
		if n > 0 {
			b.closePart(it)
		}
		it.parts = append(it.parts, &part{refusal: refusal, logprobs: []json.RawMessage{}})
		b.emit(event{Type: "response.content_part.added", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &n, Part: it.parts[n].json()})
	}
	p, at := it.parts[len(it.parts)-1], len(it.parts)-1
	p.text = b.keep(p.text, text)
	for i := range logprobs {
		logprobs[i] = wholeLogprob(logprobs[i])
	}
	p.logprobs = append(p.logprobs, logprobs...)
	if logprobs == nil {
		logprobs = []json.RawMessage{}
	}
	if refusal {
		b.emit(event{Type: "response.refusal.delta", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &at, Delta: quoted(text)})
	} else {
		b.emit(event{Type: "response.output_text.delta", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &at, Delta: quoted(text), Logprobs: logprobs})
	}
}

// wholeLogprob fills in what chat completions may leave out: the bytes of tokens,
// and the list of alternatives.
func wholeLogprob(raw json.RawMessage) json.RawMessage {
	type token struct {
		Token   string  `json:"token"`
		Bytes   []int   `json:"bytes"`
		Logprob float64 `json:"logprob"`
	}
	var l struct {
		token
		Top []token `json:"top_logprobs"`
	}
	if json.Unmarshal(raw, &l) != nil {
		return json.RawMessage(`{"token":"","bytes":[],"logprob":0,"top_logprobs":[]}`)
	}
	fill := func(t *token) {
		if t.Bytes == nil {
			t.Bytes = []int{}
			for _, c := range []byte(t.Token) {
				t.Bytes = append(t.Bytes, int(c))
			}
		}
	}
	fill(&l.token)
	for i := range l.Top {
		fill(&l.Top[i])
	}
	if l.Top == nil {
		l.Top = []token{}
	}
	data, err := encode(&l)
	if err != nil {
		panic("responses: strings and numbers do not marshal: " + err.Error())
	}
	return data
}

// calling adds to a function call, or begins one.
func (b *Builder) calling(n int, id, name string, arguments []byte) {
	it := b.calls[n]
	if it == nil {
		b.closeSaid()
		b.closeCalls()
		it = b.add("fc", agent.PartCall+strconv.Itoa(len(b.calls)))
		if id == "" { // some servers give none
			id = "call_" + strings.TrimPrefix(b.turn, turnPrefix) + strconv.Itoa(len(b.calls))
		}
		it.call, it.fun = id, name
		b.calls[n] = it
		b.added(it)
	}
	if len(arguments) == 0 || !it.open {
		return
	}
	it.text = b.keep(it.text, arguments)
	b.emit(event{Type: "response.function_call_arguments.delta", ItemID: it.ref.ID(), OutputIndex: &it.index, Delta: quoted(arguments)})
}

// keep adds to a text that is told again at its end. As with what is kept of any
// answer, nothing is added past a bound.
func (b *Builder) keep(text, more []byte) []byte {
	if b.kept+len(more) > agent.DefaultAssemblerBytes {
		b.kept = agent.DefaultAssemblerBytes
		return text
	}
	b.kept += len(more)
	return append(text, more...)
}

func (b *Builder) added(it *item) {
	b.emit(event{Type: "response.output_item.added", OutputIndex: &it.index, Item: it.json()})
}

// closeSaid ends what was said or thought before something else comes.
func (b *Builder) closeSaid() {
	if b.reasoning != nil {
		b.close(b.reasoning)
	}
	if b.text != nil {
		b.close(b.text)
	}
}

// closeCalls ends the calls whose arguments are whole. Servers tell one call after
// another, but need not.
func (b *Builder) closeCalls() {
	for _, it := range b.items {
		var arguments string
		if it.open && it.ref.kind == "fc" && json.Unmarshal(quoted(it.text), &arguments) == nil && json.Valid([]byte(arguments)) {
			b.close(it)
		}
	}
}

// close ends an item with the events that repeat it whole.
func (b *Builder) close(it *item) {
	if !it.open {
		return
	}
	it.open = false
	if it.status == "in_progress" {
		it.status = "completed"
	}
	switch it.ref.kind {
	case "rs":
		b.reasoning = nil
		b.emit(event{Type: "response.reasoning_summary_text.done", ItemID: it.ref.ID(), OutputIndex: &it.index, SummaryIndex: new(int), Text: quoted(it.text)})
		b.emit(event{Type: "response.reasoning_summary_part.done", ItemID: it.ref.ID(), OutputIndex: &it.index, SummaryIndex: new(int), Part: summaryText{"summary_text", quoted(it.text)}})
	case "msg":
		b.text = nil
		b.closePart(it)
	case "fc":
		b.emit(event{Type: "response.function_call_arguments.done", ItemID: it.ref.ID(), OutputIndex: &it.index, Name: it.fun, Arguments: quoted(it.text)})
	}
	b.emit(event{Type: "response.output_item.done", OutputIndex: &it.index, Item: it.json()})
}

func (b *Builder) closePart(it *item) {
	at := len(it.parts) - 1
	p := it.parts[at]
	if p.refusal {
		b.emit(event{Type: "response.refusal.done", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &at, Refusal: quoted(p.text)})
	} else {
		b.emit(event{Type: "response.output_text.done", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &at, Text: quoted(p.text), Logprobs: p.logprobs})
	}
	b.emit(event{Type: "response.content_part.done", ItemID: it.ref.ID(), OutputIndex: &it.index, ContentIndex: &at, Part: p.json()})
}

func (p *part) json() any {
	if p.refusal {
		return refusalPart{"refusal", quoted(p.text)}
	}
	return outputText{"output_text", []any{}, p.logprobs, quoted(p.text)}
}

func (it *item) json() any {
	id := it.ref.ID()
	switch it.ref.kind {
	case "rs":
		summary := []summaryText{}
		if len(it.text) > 0 {
			summary = append(summary, summaryText{"summary_text", quoted(it.text)})
		}
		return reasoningItem{id, "reasoning", summary}
	case "fc":
		return callItem{id, "function_call", it.status, it.call, it.fun, quoted(it.text)}
	}
	content := make([]any, len(it.parts))
	for i, p := range it.parts {
		content[i] = p.json()
	}
	return messageItem{id, "message", it.status, "assistant", content}
}

// Fail adds an error that ends the stream, though the response may go on.
func (b *Builder) Fail(dst []byte, code, message, param string) []byte {
	e := struct {
		Type    string  `json:"type"`
		Code    string  `json:"code"`
		Message string  `json:"message"`
		Param   *string `json:"param"`
		Number  int64   `json:"sequence_number"`
	}{"error", code, message, nil, b.next}
	if param != "" {
		e.Param = &param
	}
	data, err := encode(&e)
	if err != nil {
		panic("responses: strings do not marshal: " + err.Error())
	}
	return append(append(append(dst, "event: error\ndata: "...), data...), "\n\n"...)
}
