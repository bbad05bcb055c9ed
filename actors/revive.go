package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// head is what the journal keeps of a session beside its events, so that a
// revival reads only those that it needs.
type head struct {
	Log      string          `json:"log"`   // the log's epoch
	Seq      uint64          `json:"seq"`   // the log's last number when this was written
	At       uint64          `json:"at"`    // place of the last event that is counted in here
	From     uint64          `json:"from"`  // place of the first event that a revival reads
	Since    uint64          `json:"since"` // place of the conversation's first turn
	Created  time.Time       `json:"created"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	System   []agent.Message `json:"system,omitempty"`
	Turns    int             `json:"turns"`
	Messages int             `json:"messages"`
	Usage    usage           `json:"usage"`
	Snapshot snapshotMark    `json:"snapshot,omitzero"`
	// Generation is the journal's when this was written.
	Generation int64    `json:"generation,omitempty"`
	Over       int      `json:"over,omitempty"`
	Hidden     []uint64 `json:"hidden,omitempty"`
}

// head is the session's as it stands after an append that ends at place.
func (s *session) head(place uint64) json.RawMessage {
	h := head{
		Log: s.log.Epoch(), Seq: s.log.newest(), At: place, From: place + 1, Since: s.since, Created: s.created,
		Metadata: s.metadata, System: s.state.system, Turns: s.turns, Messages: s.messages, Usage: s.usage,
		Snapshot: s.snap, Generation: s.generation,
		Over: s.over, Hidden: s.hidden,
	}
	h.From = s.unread(h.From)
	for i := range s.items {
		h.reads(s.items[i].place)
	}
	data, err := encode(&h)
	if err != nil { // metadata and messages were checked when they came
		panic("actors: the head of a session cannot be written: " + err.Error())
	}
	return data
}

// reads makes a revival read from place on, if not from before; 0 is no place.
func (h *head) reads(place uint64) {
	if place > 0 {
		h.From = min(h.From, place)
	}
}

// revival is a state that is being rebuilt.
type revival struct {
	*state
	head      head
	open      []*turn        // in the order of their acceptance
	window    int            // bytes of events that are wanted for the log
	only      string         // the turn whose events are wanted, or ""
	wanted    *turn          // that turn
	torn      *agent.Message // its answer, where what was said could not all be written
	over      bool           // the end of that turn was read
	into      string         // the turn it was merged into, if it was
	intoPlace uint64
	events    []numbered // for the log
	bytes     int        // of events
	first     bool       // nothing was read yet
	lost      uint64     // number of the newest event of the log that is not among events
	used      uint64     // number of the newest event known of the log
	delta     pending    // scratch
}

// numbered is an event with its number in the log.
type numbered struct {
	pending
	seq uint64
}

// revive reads a session from the journal, with the newest events of its log, as
// many as go into a window; one that is not there does not exist.
func revive(ctx context.Context, journal store.Journal, id store.ID, window int) (*revival, error) {
	r, err := loadHead(ctx, journal, id)
	if err != nil || !r.exists {
		return r, err
	}
	r.window = window
	from := r.head.From
	if r.head.Snapshot.At > 0 {
		data, err := journal.Snapshot(ctx, id)
		if err != nil {
			return nil, err
		}
		r.restoreSnapshot(data)
		if r.snap.At > 0 {
			from = r.snap.From
		}
	}
	return r, r.read(ctx, journal, id, from)
}

// ReadConversation reads what was said in a session from the journal. It fails
// with [store.ErrNotFound] where there is none.
func ReadConversation(ctx context.Context, journal store.Journal, key Key) (*Conversation, error) {
	r, err := loadHead(ctx, journal, key.id())
	if err != nil {
		return nil, err
	}
	if !r.exists {
		return nil, store.ErrNotFound
	}
	r.unbounded = true
	if r.since > 0 {
		if err := r.read(ctx, journal, key.id(), r.since); err != nil {
			return nil, err
		}
	}
	return &Conversation{Items: r.items}, nil
}

// ReadSums reads how many turns of a session were answered and how many messages
// its conversation has. It fails with [store.ErrNotFound] where there is none.
func ReadSums(ctx context.Context, journal store.Journal, key Key) (turns, messages int, err error) {
	r, err := loadHead(ctx, journal, key.id())
	switch {
	case err != nil:
		return 0, 0, err
	case !r.exists:
		return 0, 0, store.ErrNotFound
	}
	return r.turns, r.messages, nil
}

func loadHead(ctx context.Context, journal store.Journal, id store.ID) (*revival, error) {
	kept, err := journal.Load(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return &revival{state: &state{generation: kept.Generation}}, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(revival)
	if r.head, err = decode[head](kept.Head); err != nil {
		return nil, fmt.Errorf("journal of session %s: %w", id.Name, err)
	}
	h := &r.head
	if kept.Generation != h.Generation { // what happened since the backup may have used its numbers
		h.Log = newLogEpoch()
	}
	r.state = &state{
		exists: true, epoch: kept.Epoch, last: kept.Last, created: h.Created, updated: kept.Updated, metadata: h.Metadata,
		system: h.System, turns: h.Turns, messages: h.Messages, usage: h.Usage, since: h.Since,
		generation: kept.Generation,
		over:       h.Over, hidden: h.Hidden,
	}
	r.used, r.lost, r.first = h.Seq, h.Seq, true
	return r, nil
}

// read applies the events from a place on.
func (r *revival) read(ctx context.Context, journal store.Journal, id store.ID, from uint64) error {
	for after := max(from, 1) - 1; after < r.last && !r.over; {
		events, err := journal.Read(ctx, id, after, readAtOnce)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break // deleted meanwhile
		}
		for i := range events {
			if err := r.apply(&events[i]); err != nil {
				return fmt.Errorf("journal of session %s: %s at %d: %w", id.Name, events[i].Kind, events[i].Seq, err)
			}
			if events[i].Seq > r.snap.At {
				r.grown += len(events[i].Data)
			}
		}
		after = events[len(events)-1].Seq
	}
	return nil
}

// readAtOnce is how many events are read together.
const readAtOnce = 512

func (r *revival) apply(e *store.Event) error {
	switch e.Kind {
	case journalCreated:
		return nil // the head has it
	case journalAccepted:
		m, err := decode[acceptRecord](e.Data)
		if err != nil {
			return err
		}
		if r.first {
			r.first, r.lost = false, m.LogSeq
		}
		r.used = max(r.used, m.LogSeq)
		t := newTurn(m.StartTurn, nil, e.At)
		t.place, t.logSeq = e.Seq, m.LogSeq
		if r.only == t.Turn {
			r.wanted = t
		}
		if r.since == 0 {
			r.since = e.Seq
		}
		r.open = append(r.open, t)
	case journalStarted:
		start, err := decode[startRecord](e.Data)
		if err != nil {
			return err
		}
		if t := r.find(e.Turn); t != nil {
			t.started = e.At
			r.log(telling(t, EventStarted, TurnEvent{}), start.Seq)
		} else {
			r.miss(start.Seq)
		}
	case journalSaid:
		said, err := decode[saidRecord](e.Data)
		if err != nil {
			return err
		}
		if t := r.find(e.Turn); t != nil && t.started.IsZero() {
			t.started = e.At // that was not written
		}
		return r.say(e.Turn, &said)
	case journalEnded:
		end, err := decode[endRecord](e.Data)
		if err != nil {
			return err
		}
		return r.end(e, &end)
	case journalItems, journalRemoved, journalUpdated, journalHidden:
		return r.applyEdit(e)
	default:
		return errors.New("an event of a kind that this version does not know")
	}
	return nil
}

func (r *revival) find(id string) *turn {
	for _, t := range r.open {
		if t.Turn == id {
			return t
		}
	}
	return nil
}

// log keeps an event for the log, in a copy, if it is wanted.
func (r *revival) log(p pending, seq uint64) {
	r.used = max(r.used, seq)
	if r.only != "" && r.only != p.turn {
		return
	}
	if r.window == 0 {
		return
	}
	p.data = bytes.Clone(p.data)
	r.events = append(r.events, numbered{p, seq})
	r.bytes += len(p.data) + eventOverhead
	if r.bytes <= 2*r.window {
		return
	}
	drop := 0
	for ; r.bytes > r.window; drop++ {
		r.bytes -= len(r.events[drop].data) + eventOverhead
		r.lost = max(r.lost, r.events[drop].seq)
	}
	r.events = append(r.events[:0:0], r.events[drop:]...)
}

// miss tells of an event of a turn that was accepted before what is read: the
// log has a hole there.
func (r *revival) miss(seq uint64) {
	r.used, r.lost = max(r.used, seq), max(r.lost, seq)
}

func (r *revival) say(turn string, said *saidRecord) error {
	t := r.find(turn)
	if t == nil {
		r.miss(said.last())
		return nil
	}
	return said.each(&r.delta, turn, func(p *pending, seq uint64) {
		t.spoke = true
		t.hear(p)
		r.log(*p, seq)
	})
}

func (r *revival) end(e *store.Event, end *endRecord) error {
	t := r.find(e.Turn)
	if t == nil {
		r.miss(end.Seq)
		return nil
	}
	if end.Said != nil {
		if err := r.say(e.Turn, end.Said); err != nil {
			return err
		}
	}
	i := slices.Index(r.open, t)
	r.open = slices.Delete(r.open, i, i+1)
	kind, telling := end.event(t)
	r.log(telling, end.Seq)
	if r.over = r.only == e.Turn; r.over {
		r.torn = end.Answer
	}
	if kind == EventMerged {
		if r.over {
			r.into, r.intoPlace = end.Into, end.IntoPlace
		}
		if into := r.find(end.Into); into != nil {
			into.takeIn(t)
		}
		return nil
	}
	if e.Seq <= r.snap.At {
		return nil // the snapshot has it
	}
	answer := end.Answer
	if answer == nil && end.Answered {
		m := t.answer.Message()
		answer = &m
	}
	if e.Seq > r.head.At {
		r.count(t, end, e.At)
		r.remember(t, end, answer, e.At, r.open)
		return nil
	}
	r.remember(t, end, answer, e.At, r.open)
	r.system, r.since = r.head.System, r.head.Since // as they were later
	return nil
}

// event is what the log tells of a turn's end.
func (r *endRecord) event(t *turn) (EventKind, pending) {
	kind := EventFailed
	ending := TurnEvent{Failure: r.Failure}
	switch {
	case r.Into != "":
		kind, ending = EventMerged, TurnEvent{Into: r.Into}
	case r.Fate == FateAnswered.String():
		kind, ending = EventCompleted, TurnEvent{FinishReason: r.FinishReason, Model: r.Model, Usage: r.Usage}
	case r.Failure == nil:
		kind, ending = EventInterrupted, TurnEvent{Reason: r.Reason}
	}
	return kind, telling(t, kind, ending)
}
