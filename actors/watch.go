package actors

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
	"agentzero/store"
)

// subscribe lets a watcher in at the position it asks for.
func (s *session) subscribe(m *Subscribe, sender *actor.PID) {
	if m.Create && s.refusal == nil && !s.exists {
		s.make(nil) // the first message writes it down
	}
	if !s.known(sender) {
		return
	}
	after := m.After
	switch {
	case m.Live:
		after = s.log.position()
		if t := s.current; m.FromTurn && t != nil && t.begin > s.log.beginning() && t.begin <= after {
			after = t.begin - 1
		}
	case (m.Epoch == "" || m.Epoch == s.log.epoch) && after > s.log.newest():
		s.refuse(sender, RefusedGap, "the session has no such position: its newest is "+strconv.FormatUint(s.log.position(), 10)+"; read its messages", 0)
		return
	case (m.Epoch == "" || m.Epoch == s.log.epoch) && !m.looked && s.entry.older && after < s.log.beginning():
		s.lookBack(m, sender)
		return
	case m.Epoch != "" && m.Epoch != s.log.epoch, !s.log.holds(after):
		s.refuse(sender, RefusedGap, "the events after this position are no longer kept; read the session's messages", 0)
		return
	}
	s.watched++
	m.counted = true
	for _, t := range s.flight {
		t.stay()
	}
	s.respond(sender, &Subscribed{After: after})
}

// watch counts one more watcher of a turn.
func (s *session) watch(id string) {
	if t := s.find(id); t != nil {
		t.watched++
		t.stay()
	}
}

// stay ends the wait for somebody to come back.
func (t *turn) stay() {
	if t.grace != nil {
		t.grace.Stop()
		t.grace = nil
	}
}

// unwatch counts one less and lets go of the turns that nobody watches now.
func (s *session) unwatch(id string) {
	if id == "" {
		s.watched--
		s.abandon(s.current)
		for _, t := range slices.Clone(s.queue) {
			s.abandon(t)
		}
		return
	}
	if t := s.find(id); t != nil {
		t.watched--
		s.abandon(t)
	}
}

// lostTurn: the sender of a StartTurn was told that it failed, so the turn must
// not happen, whether it was accepted or will be.
func (s *session) lostTurn(m *lostTurn) {
	for _, t := range slices.Clone(s.flight) {
		switch {
		case t.Turn == m.turn && t.phase < phaseSettle && t.stopped == "" && t.end == 0:
			t.rollback = true
			s.cancel(t, ReasonDisconnected)
		case m.watched && slices.Contains(t.members, m.turn):
			t.watched-- // the message is part of another turn by now
			s.abandon(t)
		}
	}
}

// lostWatch: the sender of a Subscribe does not watch.
func (s *session) lostWatch(m *Subscribe) {
	if m.counted {
		s.unwatch("")
	}
}

// abandon deals with a turn that may have lost its last watcher, as its client
// wished.
func (s *session) abandon(t *turn) {
	if t == nil || t.watched > 0 || s.watched > 0 || t.Disconnect.Continue || t.grace != nil ||
		t.stopped != "" || t.end != 0 || t.phase >= phaseSettle {
		return
	}
	if t.Disconnect.Grace <= 0 {
		s.cancel(t, ReasonDisconnected)
		return
	}
	self := s.self
	t.absence++
	over := &graceOver{t, t.absence}
	t.grace = time.AfterFunc(t.Disconnect.Grace, func() { s.system.tell(self, over) })
}

// graceOver cancels a turn that nobody came back for.
func (s *session) graceOver(m *graceOver) {
	t := m.turn
	if t.grace == nil || t.absence != m.absence || s.find(t.Turn) != t {
		return // somebody came back, or the turn has ended
	}
	t.grace = nil
	if t.stopped == "" && t.end == 0 && t.phase < phaseSettle {
		s.cancel(t, ReasonDisconnected)
	}
}

// make brings a session into being before its first message.
func (s *session) make(metadata []byte) {
	s.exists = true
	s.created = time.Now()
	s.updated = s.created
	s.metadata = metadata
}

// create makes a session by name.
func (s *session) create(m *CreateSession, sender *actor.PID) {
	switch {
	case s.refusal != nil:
		s.respond(sender, s.refusal)
		return
	case s.exists && (s.last > 0 || s.busy()):
		s.refuse(sender, RefusedExists, "a session of this id exists already", 0)
		return
	}
	s.make(m.Metadata)
	if len(m.Items) > 0 {
		s.takeItems(m.Turn, m.Items, s.created, s.last+2)
	}
	s.messages += len(m.Items)
	s.appendMade(m.Items, m.Turn, &made{sender: sender, answer: s.description()})
}

// appendMade writes the session's creation down.
func (s *session) appendMade(items []agent.Message, turn string, m *made) {
	b := store.Batch{Events: []store.Event{{Kind: journalCreated, At: s.created, Data: s.metadata}}, Open: s.busy()}
	if len(items) > 0 {
		data, err := encode(&itemsRecord{items})
		if err != nil {
			panic("actors: items that were read do not marshal: " + err.Error())
		}
		b.Events = append(b.Events, store.Event{Kind: journalItems, Turn: turn, At: s.created, Data: data})
	}
	b.Head = s.head(s.last + uint64(len(b.Events)))
	s.append(b, nil, func(err error) any {
		m.err = err
		return m
	})
}

// made: the session's creation is kept.
func (s *session) made(m *made) {
	if m.err != nil {
		s.failedWrite(m.err)
		s.unmake()
		s.refuse(m.sender, RefusedUnavailable, "the session could not be stored", time.Second)
		return
	}
	s.kept = true
	s.respond(m.sender, m.answer)
}

// unmake forgets a session that could not be written down.
func (s *session) unmake() {
	if s.kept || len(s.flight) > 0 {
		return
	}
	s.state = &state{epoch: s.epoch, generation: s.generation}
}

// failedWrite learns from a failure of the journal. When another owner has taken
// the session, or it was deleted or replaced, what is known here is out of date:
// everything ends, and the next message reads the journal anew.
func (s *session) failedWrite(err error) {
	if s.refusal != nil || !errors.Is(err, store.ErrFenced) {
		return
	}
	s.refusal = &Refusal{Code: RefusedUnavailable, Message: "another owner has taken the session", RetryAfter: time.Second, moved: true}
	s.owed = nil
	s.asking = true
	s.ask(&keptState{fenced: true})
}

// leave makes room, once nothing runs, for an actor that reads the journal anew.
func (s *session) leave() {
	if s.refusal == nil || !s.refusal.moved || s.asking || s.busy() || s.gone {
		return
	}
	s.gone = true
	s.watched = 0
	s.log.end(s.refusal.Message)
	s.system.registry.retire(s.entry)
}

func (s *session) describe(sender *actor.PID) {
	if !s.known(sender) {
		return
	}
	s.respond(sender, s.description())
}

func (s *session) description() *Description {
	d := &Description{
		Name: s.entry.key.Name, Created: s.created, Updated: s.updated, Metadata: s.metadata,
		Queue: make([]string, 0, len(s.queue)), Turns: s.turns, Messages: s.messages,
		PromptTokens: s.usage.Prompt, CompletionTokens: s.usage.Completion,
		Watchers: s.watched, Model: s.model, Epoch: s.log.epoch, Seq: s.log.position(),
	}
	if s.current != nil {
		d.Running = s.current.Turn
		d.Model = cmp.Or(s.current.Model, s.model)
		d.Watchers += s.current.watched
	}
	for _, t := range s.queue {
		d.Queue = append(d.Queue, t.Turn)
		d.Watchers += t.watched
	}
	if d.Updated.IsZero() {
		d.Updated = d.Created
	}
	return d
}

func (s *session) readMessages(sender *actor.PID) {
	if !s.known(sender) {
		return
	}
	open, epoch, seq := s.unsettled(), s.log.epoch, s.log.position()
	if s.whole() {
		s.respond(sender, &Conversation{Items: append(s.items[:len(s.items):len(s.items)], open...), Epoch: epoch, Seq: seq})
		return
	}
	if !s.system.background(func() {
		c, err := ReadConversation(s.system.life, s.system.options.Journal, s.entry.key)
		if err != nil {
			s.refuse(sender, RefusedUnavailable, "the session's journal cannot be read", time.Second)
			return
		}
		for _, item := range open { // unless it was settled meanwhile
			if !slices.ContainsFunc(c.Items, func(i Item) bool { return i.Open == "" && i.Turn == item.Turn }) {
				c.Items = append(c.Items, item)
			}
		}
		c.Epoch, c.Seq = epoch, seq
		s.respond(sender, c)
	}) {
		s.refuse(sender, RefusedDraining, "the gateway is shutting down", time.Second)
	}
}

// unsettled is what was accepted and has not ended, in the order in which it runs,
// with the running answer so far.
func (s *session) unsettled() (items []Item) {
	for _, t := range append([]*turn{s.current}, s.queue...) {
		if t == nil || t.phase < phaseQueued || t.phase > phaseRunning || t.end != 0 {
			continue
		}
		open := OpenQueued
		if t.phase == phaseRunning {
			open = OpenRunning
		}
		for _, m := range t.said {
			items = append(items, Item{Message: m, Turn: t.Turn, At: t.accepted, Open: open})
		}
		if t.phase == phaseRunning && t.spoke {
			answer := t.answer.Message()
			answer.Text = s.heard(t, answer.Text)
			items = append(items, Item{Message: answer, Turn: t.Turn, At: time.Now(), Open: open})
		}
	}
	return items
}

// heard is as much of a turn's answer as its watchers can have heard: deltas that
// wait behind an end which is not written yet come after the position that is told.
func (s *session) heard(t *turn, text string) string {
	for _, e := range s.log.since(nil, s.log.position(), t.Turn) {
		var part string
		if json.Unmarshal(e.Content(), &part) == nil {
			text = text[:max(0, len(text)-len(part))]
		}
	}
	return text
}

// known refuses what is asked of a session that is not there.
func (s *session) known(sender *actor.PID) bool {
	switch {
	case s.refusal != nil:
		s.respond(sender, s.refusal)
	case !s.exists:
		s.refuse(sender, RefusedNotFound, "there is no such session", 0)
	default:
		return true
	}
	return false
}

// delete cancels what runs and waits and forgets the session.
func (s *session) delete(m *DeleteSession, sender *actor.PID) {
	if !s.known(sender) {
		return
	}
	if m.Unused && (s.busy() || s.watched > 0) {
		s.refuse(sender, RefusedBusy, "the session is in use", 0)
		return
	}
	s.refusal = &Refusal{Code: RefusedNotFound, Message: "the session was deleted"}
	s.deleter = sender
	s.deleting = true
	s.cutOff(ReasonDeleted)
	s.forget()
}

// forget removes the journal once no turn is left that would write to it.
func (s *session) forget() {
	if !s.deleting || s.busy() {
		return
	}
	s.deleting = false
	self := s.self
	if !s.system.background(func() {
		err := s.system.options.Journal.Delete(s.system.life, s.entry.key.id())
		s.system.tell(self, &deleted{err})
	}) {
		s.deleted(&deleted{context.Canceled})
	}
}

// deleted: the journal has forgotten the session. A new one may take its name.
func (s *session) deleted(m *deleted) {
	deleter := s.deleter
	s.deleter = nil
	if m.err != nil {
		s.refusal = nil
		s.refuse(deleter, RefusedUnavailable, "the session could not be deleted", time.Second)
		return
	}
	s.watched = 0
	s.log.end(s.refusal.Message)
	s.system.registry.retire(s.entry)
	s.respond(deleter, &Deleted{})
}
