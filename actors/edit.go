package actors

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
	"agentzero/store"
)

// What is changed in a session without a turn: items that are put into its
// conversation or taken out of it, its metadata, a turn that is hidden. Each is an
// event of the journal, and is answered when that is kept.

// AddItems puts messages at the end of the conversation, one item each. It is
// replied to with [Edited], or a [Refusal] where a turn is in flight.
type AddItems struct {
	// Turn names the run of items as a turn's id would.
	Turn  string
	Items []agent.Message
}

// RemoveItem takes one item out of the conversation. It is replied to as AddItems.
type RemoveItem struct {
	Turn string `json:"turn"`
	// Index is the place of the item's message among the turn's, or -1 for the
	// answer. Part names the piece of an assistant's message that the item is (see
	// [agent.Message.Parts]); it is "" for all of a message.
	Index int    `json:"index"`
	Part  string `json:"part,omitempty"`
}

// UpdateSession gives a session other metadata. It is replied to with a
// [Description].
type UpdateSession struct{ Metadata json.RawMessage }

// HideTurn keeps a turn from being told (see [System.Turn]); what it left in the
// conversation stays. It is replied to with [Deleted].
type HideTurn struct {
	Turn  string
	Place uint64
	// Forget deletes the session where nothing but this turn is in it.
	Forget bool
}

// Edited says that a change is kept.
type Edited struct{}

// maxHidden bounds the turns that are hidden in one session.
const maxHidden = 1000

// The journal's events of changes, and their data.
const (
	journalItems   = "items.added"     // an itemsRecord
	journalRemoved = "item.removed"    // a RemoveItem
	journalUpdated = "session.updated" // the metadata, or null
	journalHidden  = "turn.hidden"     // the place of the turn's acceptance
)

// itemsRecord is the data of journalItems.
type itemsRecord struct {
	Items []agent.Message `json:"items"`
}

// edited: a change is kept, or is none.
type edited struct {
	sender *actor.PID
	answer any
	undo   func()
	err    error
}

// edit writes a change down that the session has made already.
func (s *session) edit(e store.Event, sender *actor.PID, answer any, undo func()) {
	s.repay()
	b := store.Batch{Events: []store.Event{e}, Head: s.head(s.last + 1), Open: s.open(nil)}
	s.append(b, nil, func(err error) any { return &edited{sender, answer, undo, err} })
}

func (s *session) edited(m *edited) {
	if m.err != nil {
		s.failedWrite(m.err)
		m.undo()
		s.refuse(m.sender, RefusedUnavailable, "the change could not be stored", time.Second)
		return
	}
	s.respond(m.sender, m.answer)
}

// editable refuses changes of the conversation while somebody speaks in it.
func (s *session) editable(sender *actor.PID) bool {
	if !s.known(sender) {
		return false
	}
	if s.busy() {
		s.refuse(sender, RefusedBusy, "the conversation cannot be changed while it is being answered", s.retryAfter())
		return false
	}
	return true
}

func (s *session) addItems(m *AddItems, sender *actor.PID) {
	if !s.editable(sender) {
		return
	}
	data, err := encode(&itemsRecord{m.Items})
	if err != nil {
		s.refuse(sender, RefusedUnavailable, "the items cannot be written", 0)
		return
	}
	at, undo := time.Now(), s.undo()
	s.updated = at
	s.takeItems(m.Turn, m.Items, at, s.last+1)
	s.messages += len(m.Items)
	s.edit(store.Event{Kind: journalItems, Turn: m.Turn, At: at, Data: data}, sender, &Edited{}, undo)
}

func (s *session) removeItem(m *RemoveItem, sender *actor.PID) {
	if !s.editable(sender) {
		return
	}
	data, err := encode(m)
	if err != nil {
		panic("actors: strings and numbers do not marshal: " + err.Error())
	}
	at, undo := time.Now(), s.undo()
	found, whole := s.takeOut(m)
	if !found {
		s.refuse(sender, RefusedNotFound, "there is no such item in this conversation", 0)
		return
	}
	s.updated = at
	if whole {
		s.messages--
	}
	s.edit(store.Event{Kind: journalRemoved, Turn: m.Turn, At: at, Data: data}, sender, &Edited{}, undo)
}

func (s *session) update(m *UpdateSession, sender *actor.PID) {
	if !s.known(sender) {
		return
	}
	undo := s.undo()
	s.metadata, s.updated = m.Metadata, time.Now()
	s.edit(store.Event{Kind: journalUpdated, At: s.updated, Data: m.Metadata}, sender, s.description(), undo)
}

func (s *session) hide(m *HideTurn, sender *actor.PID) {
	switch {
	case !s.known(sender):
		return
	case slices.Contains(s.hidden, m.Place):
		s.respond(sender, &Deleted{})
		return
	case m.Forget && !s.busy() && s.over == len(s.hidden)+1:
		s.delete(&DeleteSession{}, sender)
		return
	case len(s.hidden) >= maxHidden:
		s.refuse(sender, RefusedQueueFull, "too many answers were deleted from this session; delete the session", time.Minute)
		return
	}
	undo := s.undo()
	s.hidden = append(slices.Clip(s.hidden), m.Place)
	data := json.RawMessage(strconv.AppendUint(nil, m.Place, 10))
	s.edit(store.Event{Kind: journalHidden, Turn: m.Turn, At: time.Now(), Data: data}, sender, &Deleted{}, undo)
}

// undo remembers what a change may change. No turn can end before the change is
// kept or is none, so what turns change is not among it.
func (s *session) undo() func() {
	state, before := s.state, *s.state
	return func() {
		state.items, state.bytes, state.messages = before.items, before.bytes, before.messages
		state.metadata, state.hidden = before.metadata, before.hidden
	}
}

// takeItems puts messages into the conversation that belong to no turn. place is
// that of their event.
func (s *state) takeItems(turn string, items []agent.Message, at time.Time, place uint64) {
	if s.since == 0 {
		s.since = place
	}
	for i, m := range items {
		s.say(Item{Message: m, Turn: turn, At: at, Index: i, place: place, items: true})
	}
	if len(items) > 0 {
		s.trim()
	}
}

// takeOut takes an item out of the conversation. whole tells that nothing is left of
// its message.
func (s *state) takeOut(m *RemoveItem) (found, whole bool) {
	i := slices.IndexFunc(s.items, func(i Item) bool { return i.Turn == m.Turn && i.Index == m.Index })
	if i < 0 {
		return false, false
	}
	items := slices.Clone(s.items) // readers share the old one
	item := items[i]
	s.bytes -= item.bytes()
	rest, left := &item, false
	if m.Part != "" {
		if rest, left = item.without(m.Part); rest == nil {
			s.bytes += item.bytes()
			return false, false
		}
	}
	if left {
		items[i] = *rest
		s.bytes += rest.bytes()
	} else {
		items = slices.Delete(items, i, i+1)
	}
	s.items = items
	return true, !left
}

// without is an answer without one of its parts, nil where it has no such part;
// left tells whether anything remains.
func (i *Item) without(part string) (rest *Item, left bool) {
	whole := i.whole()
	if slices.Contains(i.Gone, part) || !slices.Contains(whole.Parts(), part) {
		return nil, false
	}
	out := *i
	out.Original = &whole
	out.Gone = append(slices.Clip(i.Gone), part)
	out.Message = whole.Without(out.Gone)
	return &out, len(out.Message.Parts()) > 0
}

// whole is the message before parts of it were taken away.
func (i *Item) whole() agent.Message {
	if i.Original != nil {
		return *i.Original
	}
	return i.Message
}

// Parts names the parts that an answer has still.
func (i *Item) Parts() []string {
	whole := i.whole()
	return slices.DeleteFunc(whole.Parts(), func(part string) bool { return slices.Contains(i.Gone, part) })
}

// Whole is the message before parts of it were taken away.
func (i *Item) Whole() agent.Message { return i.whole() }

// applyEdit takes a change from the journal.
func (r *revival) applyEdit(e *store.Event) error {
	fresh := e.Seq > r.head.At // the head does not have it
	if e.Seq <= r.snap.At && (e.Kind == journalItems || e.Kind == journalRemoved) {
		return nil // the snapshot has it
	}
	switch e.Kind {
	case journalItems:
		m, err := decode[itemsRecord](e.Data)
		if err != nil {
			return err
		}
		r.takeItems(e.Turn, m.Items, e.At, e.Seq)
		if fresh {
			r.messages += len(m.Items)
		}
	case journalRemoved:
		m, err := decode[RemoveItem](e.Data)
		if err != nil {
			return err
		}
		if _, whole := r.takeOut(&m); whole && fresh {
			r.messages--
		}
	case journalUpdated:
		if fresh {
			r.metadata = e.Data
		}
	case journalHidden:
		place, err := decode[uint64](e.Data)
		if err != nil {
			return err
		}
		if fresh && !slices.Contains(r.hidden, place) {
			r.hidden = append(r.hidden, place)
		}
	}
	return nil
}

// UpTo is what was said up to the end of the turn that was accepted at place.
func (c *Conversation) UpTo(place uint64) []agent.Message {
	var messages []agent.Message
	for i := range c.Items {
		if c.Items[i].Open == "" && c.Items[i].place <= place {
			messages = append(messages, c.Items[i].Message)
		}
	}
	return messages
}

// AddItems puts messages at the end of a session's conversation.
func (s *System) AddItems(key Key, m AddItems) error {
	_, err := request[Edited](s, key, &m)
	return err
}

// RemoveItem takes an item out of a session's conversation.
func (s *System) RemoveItem(key Key, m RemoveItem) error {
	_, err := request[Edited](s, key, &m)
	return err
}

// Update gives a session other metadata: a JSON value or nil.
func (s *System) Update(key Key, metadata json.RawMessage) (*Description, error) {
	return request[Description](s, key, &UpdateSession{Metadata: metadata})
}

// Hide keeps a turn from being told.
func (s *System) Hide(key Key, m HideTurn) error {
	_, err := request[Deleted](s, key, &m)
	return err
}
