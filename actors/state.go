package actors

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// state is what a session remembers: all of it comes from the journal, and the
// same events build it whether the session lives or is revived.
type state struct {
	exists           bool
	epoch            uint64
	created, updated time.Time
	metadata         json.RawMessage
	system           []agent.Message // the latest system messages a client gave
	items            []Item
	bytes            int // of items
	turns            int
	usage            usage
	// open holds the turns whose end the journal does not know, in order.
	open []StartTurn
}

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

// The kinds of journal events.
const (
	journalCreated  = "session.created"
	journalAccepted = "turn.accepted"
	journalEnded    = "turn.ended"
)

// endRecord is the data of journalEnded.
type endRecord struct {
	Fate         string          `json:"fate"`
	Answer       *agent.Message  `json:"answer,omitempty"`
	Interrupted  bool            `json:"interrupted,omitempty"`
	FinishReason string          `json:"finish_reason,omitempty"`
	Model        string          `json:"model,omitempty"`
	Usage        json.RawMessage `json:"usage,omitempty"`
	Failure      *Failure        `json:"failure,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Into         string          `json:"into,omitempty"`
	// Ran tells that the model was called.
	Ran bool `json:"ran,omitempty"`
}

// replay rebuilds a state from a journal.
func replay(snapshot store.Snapshot) (*state, error) {
	s := &state{exists: true, epoch: snapshot.Epoch, created: snapshot.Info.Created, updated: snapshot.Info.Updated}
	for _, e := range snapshot.Events {
		if err := s.apply(e); err != nil {
			return nil, fmt.Errorf("journal of session %s: %s: %w", snapshot.Info.ID.Name, e.Kind, err)
		}
	}
	return s, nil
}

func (s *state) apply(e store.Event) error {
	switch e.Kind {
	case journalCreated:
		s.metadata = e.Data
	case journalAccepted:
		var m StartTurn
		if err := json.Unmarshal(e.Data, &m); err != nil {
			return err
		}
		s.open = append(s.open, m)
	case journalEnded:
		var r endRecord
		if err := json.Unmarshal(e.Data, &r); err != nil {
			return err
		}
		for i, m := range s.open {
			if m.Turn != e.Turn {
				continue
			}
			s.open = append(s.open[:i:i], s.open[i+1:]...)
			if r.Into != "" {
				s.merge(r.Into, m)
			} else {
				s.add(newTurn(m, nil, e.At), r, e.At)
			}
			break
		}
	default:
		return fmt.Errorf("unknown kind")
	}
	return nil
}

// merge adds a message to the open turn that took it.
func (s *state) merge(into string, m StartTurn) {
	for i := range s.open {
		if s.open[i].Turn == into {
			s.open[i].Input = append(s.open[i].Input, newTurn(m, nil, time.Time{}).said...)
		}
	}
}

// add puts what an ended turn leaves into the conversation: of an answered one
// the messages and the answer, of one that was cut short the messages and what
// there is of the answer, of one that was interrupted before it ran the
// messages, which the one that came instead goes on from. One that failed
// without a word, expired, was rolled back, or was cancelled before it ran
// leaves nothing, so that its message can be sent again.
func (s *state) add(t *turn, r endRecord, at time.Time) {
	s.updated = at
	u := usageOf(r.Usage)
	s.usage.Prompt += u.Prompt
	s.usage.Completion += u.Completion
	switch {
	case r.Fate == FateAnswered.String():
		s.turns++
	case r.Fate == FateRolledBack.String():
		return
	case r.Answer == nil && (r.Fate != FateCancelled.String() || !r.Ran && r.Reason != ReasonInterrupted):
		return
	}
	if len(t.system) > 0 {
		s.system = t.system
	}
	if t.Own {
		s.items, s.bytes = nil, 0
	}
	for _, m := range t.said {
		s.say(Item{Message: m, Turn: t.Turn, At: t.accepted})
	}
	if r.Answer != nil {
		s.say(Item{Message: *r.Answer, Turn: t.Turn, At: at, Interrupted: r.Interrupted})
	}
	s.trim()
}

// say adds a message to the conversation.
func (s *state) say(item Item) {
	s.items = append(s.items, item)
	s.bytes += item.bytes()
}

// maxConversation bounds what a session keeps in memory of its conversation. It
// is more than any model reads.
const maxConversation = 32 << 20

// trim drops the oldest turns of a conversation that has grown too long. The
// newest turn always stays.
func (s *state) trim() {
	drop := 0
	for s.bytes > maxConversation && s.items[drop].Turn != s.items[len(s.items)-1].Turn {
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

// conversation is what the agent gets to see for a turn.
func (s *state) conversation(t *turn, systemPrompt string) []agent.Message {
	messages := make([]agent.Message, 0, len(s.items)+len(t.Input)+1)
	switch {
	case len(t.system) > 0:
		messages = append(messages, t.system...)
	case len(s.system) > 0 && !t.Own:
		messages = append(messages, s.system...)
	case systemPrompt != "" && !hasSystem(t.said):
		messages = append(messages, agent.Message{Role: "system", Text: systemPrompt})
	}
	if !t.Own {
		for _, item := range s.items {
			messages = append(messages, item.Message)
		}
	}
	return append(messages, t.said...)
}

func hasSystem(messages []agent.Message) bool {
	for _, m := range messages {
		if isSystem(m) {
			return true
		}
	}
	return false
}
