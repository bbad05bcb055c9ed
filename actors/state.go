package actors

import (
	"encoding/json"
	"slices"
	"time"

	"agentzero/agent"
)

// state is what a session remembers: all of it comes from the journal, and the
// same events build it whether the session lives or is revived. Of the
// conversation it holds what a model may be given to read; the rest is in the
// journal alone.
type state struct {
	exists           bool
	epoch            uint64
	last             uint64 // place of the last event that was appended to the journal
	created, updated time.Time
	metadata         json.RawMessage
	system           []agent.Message // the latest system messages a client gave
	items            []Item
	bytes            int // of items
	turns, messages  int // in all
	usage            usage
	since            uint64 // place of the conversation's first turn
	unbounded        bool   // all of the conversation is kept in items
	snap             snapshotMark
	snapSize         int      // bytes of the snapshot
	grown            int      // bytes of the events behind it
	generation       int64    // of the journal that the log's epoch belongs to
	over             int      // turns that have ended, however
	hidden           []uint64 // places of turns that are not told any more
}

// Item is one message of a conversation.
type Item struct {
	Message agent.Message
	Turn    string
	At      time.Time
	// Interrupted marks an answer that was cut short.
	Interrupted bool
	// Open is "" for what is settled, OpenQueued or OpenRunning for what belongs to
	// a turn that has not ended.
	Open string
	// Index counts the turn's messages from 0; it is -1 for the answer.
	Index int
	// Original is the answer before the parts in Gone were taken away; nil while
	// none was.
	Original *agent.Message
	Gone     []string

	place uint64 // in the journal, where its turn was accepted
	items bool   // the turn's messages are items
}

// The states of what is not settled.
const (
	OpenQueued  = "queued"
	OpenRunning = "in_progress"
)

type usage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

func usageOf(raw json.RawMessage) (u usage) {
	if raw != nil {
		_ = json.Unmarshal(raw, &u) // an odd usage object counts as none
	}
	return u
}

// remains tells what an ended turn leaves in the conversation: of an answered
// one the messages and the answer, of one that was cut short the messages and
// what there is of the answer, of one that was interrupted before it ran the
// messages, which the one that came instead goes on from. One that failed
// without a word, expired, was rolled back, or was cancelled before it ran
// leaves nothing, so that its message can be sent again.
func (r *endRecord) remains() bool {
	switch {
	case r.Fate == FateAnswered.String(), r.Answered:
		return r.Fate != FateRolledBack.String()
	case r.Fate == FateCancelled.String():
		return r.Ran || r.Reason == ReasonInterrupted
	}
	return false
}

// count adds an ended turn to the session's sums.
func (s *state) count(t *turn, r *endRecord, at time.Time) {
	s.updated = at
	u := usageOf(r.Usage)
	s.usage.Prompt += u.Prompt
	s.usage.Completion += u.Completion
	if r.Fate == FateAnswered.String() {
		s.turns++
	}
	s.over++
	if !r.remains() {
		return
	}
	if t.Own {
		s.messages = 0
	}
	s.messages += len(t.said)
	if r.Answered {
		s.messages++
	}
}

// remember puts what an ended turn leaves into the conversation. answer is what
// was said, if it is to stand there. others are the turns that have not ended:
// they may have been accepted before this one and still come after it.
func (s *state) remember(t *turn, r *endRecord, answer *agent.Message, at time.Time, others []*turn) {
	if !r.remains() {
		return
	}
	if len(t.system) > 0 {
		s.system = t.system
	}
	if t.Own {
		s.items, s.bytes, s.since = nil, 0, t.place
		for _, other := range others {
			if other.place > 0 {
				s.since = min(s.since, other.place)
			}
		}
	}
	for i, m := range t.said {
		s.say(Item{Message: m, Turn: t.Turn, At: t.accepted, Index: i, place: t.place, items: t.Items})
	}
	if answer != nil {
		s.say(Item{Message: *answer, Turn: t.Turn, At: at, Interrupted: r.Interrupted, Index: -1, place: t.place, items: t.Items})
	}
	s.trim()
}

// say adds a message to the conversation.
func (s *state) say(item Item) {
	s.items = append(s.items, item)
	s.bytes += item.bytes()
}

// maxConversation bounds what a session keeps in memory of its conversation, in
// bytes. It is more than models read.
const maxConversation = 4 << 20

// trim drops the oldest turns of a conversation that has grown too long. The
// newest turn always stays.
func (s *state) trim() {
	drop := 0
	for !s.unbounded && s.bytes > maxConversation && s.items[drop].Turn != s.items[len(s.items)-1].Turn {
		oldest := s.items[drop].Turn
		for ; s.items[drop].Turn == oldest; drop++ {
			s.bytes -= s.items[drop].bytes()
		}
	}
	if drop > 0 {
		s.items = slices.Clone(s.items[drop:]) // lets go of what was dropped; readers share the old one
	}
}

func (i *Item) bytes() int { return len(i.Message.Text) + len(i.Message.Raw) + itemOverhead }

// itemOverhead is the size of an Item without its message's bytes.
const itemOverhead = 136

// whole reports whether the conversation is in memory from its beginning.
func (s *state) whole() bool { return s.messages == len(s.items) }

// conversation is what the agent gets to see for a turn, and how many of the
// session's messages are left out because they are too many. The oldest turns
// are left out first; the system message and what is said now never are. A
// client's own conversation is given as it is.
func (s *state) conversation(t *turn, live *Live) (messages []agent.Message, left int) {
	switch {
	case len(t.System) > 0:
		messages = append(messages, t.System...)
	case len(t.system) > 0:
		messages = append(messages, t.system...)
	case len(s.system) > 0 && !t.Own:
		messages = append(messages, s.system...)
	case live.SystemPrompt != "" && !hasSystem(t.said) && (t.Own || !s.leads()):
		messages = append(messages, agent.Message{Role: "system", Text: live.SystemPrompt})
	}
	if t.Own {
		return t.joined(messages), 0
	}
	fit := s.fit(messages, t.said, live)
	lead := len(messages)
	for i, item := range s.items[fit:] {
		if last := len(messages) - 1; i > 0 && last >= lead && item.items && agent.Joins(&messages[last], &item.Message) {
			messages[last] = agent.Join(&messages[last], &item.Message)
		} else {
			messages = append(messages, item.Message)
		}
	}
	return t.joined(messages), s.messages - (len(s.items) - fit)
}

// joined adds what is said now to what the model is given before it.
func (t *turn) joined(messages []agent.Message) []agent.Message {
	if !t.Items {
		return append(messages, t.said...)
	}
	for _, m := range t.said {
		if last := len(messages) - 1; last >= 0 && agent.Joins(&messages[last], &m) {
			messages[last] = agent.Join(&messages[last], &m)
		} else {
			messages = append(messages, m)
		}
	}
	return messages
}

// leads tells whether an item of the conversation is a system message.
func (s *state) leads() bool {
	return slices.ContainsFunc(s.items, func(i Item) bool { return i.items && isSystem(i.Message) })
}

// fit returns the index of the first item that goes to the model: a turn's
// first, so that no answer stands there without its question.
func (s *state) fit(system, said []agent.Message, live *Live) int {
	count, tokens := len(said), 0
	for _, m := range slices.Concat(system, said) {
		tokens += estimate(&m)
	}
	fit := len(s.items)
	for i := len(s.items) - 1; i >= 0; i-- {
		count++
		tokens += estimate(&s.items[i].Message)
		if live.ContextMessages > 0 && count > live.ContextMessages || live.ContextTokens > 0 && tokens > live.ContextTokens {
			break
		}
		if i == 0 || s.items[i-1].Turn != s.items[i].Turn {
			fit = i
		}
	}
	return fit
}

// estimate guesses a message's tokens: text of most languages has about four
// bytes a token, and every message costs a few more.
func estimate(m *agent.Message) int {
	return 4 + (max(len(m.Text), len(m.Raw))+3)/4
}

func hasSystem(messages []agent.Message) bool { return slices.ContainsFunc(messages, isSystem) }
