package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/store"
)

// subscribe lets a watcher in at the position it asks for.
func (s *session) subscribe(m *Subscribe, sender *actor.PID) {
	if m.Create && s.refusal == nil && !s.exists {
		s.make(nil)
		s.append([]store.Event{{Kind: journalCreated, At: s.created}}, func(error) {})
	}
	if !s.known(sender) {
		return
	}
	after := m.After
	switch {
	case m.Live:
		after = s.log.position()
	case m.Epoch != "" && m.Epoch != s.log.epoch, !s.log.holds(after):
		s.refuse(sender, RefusedGap, "the events after this position are no longer kept; read the session's messages", 0)
		return
	}
	s.watched++
	for _, t := range append(slices.Clone(s.queue), s.current) {
		if t != nil && t.grace != nil {
			t.grace.Stop()
			t.grace = nil
		}
	}
	s.respond(sender, &Subscribed{After: after})
}

// watch counts one more watcher of a turn.
func (s *session) watch(id string) {
	if t := s.find(id); t != nil {
		t.watched++
		if t.grace != nil {
			t.grace.Stop()
			t.grace = nil
		}
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
	t.grace = time.AfterFunc(t.Disconnect.Grace, func() { s.system.tell(self, &graceOver{t}) })
}

// graceOver cancels a turn that nobody came back for.
func (s *session) graceOver(t *turn) {
	if t.grace == nil || s.find(t.Turn) != t {
		return
	}
	t.grace = nil
	if t.watched == 0 && s.watched == 0 && t.stopped == "" && t.phase < phaseSettle {
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
	case s.exists:
		s.refuse(sender, RefusedExists, "a session of this id exists already", 0)
		return
	}
	s.make(m.Metadata)
	answer := s.description()
	s.append([]store.Event{{Kind: journalCreated, At: s.created, Data: m.Metadata}}, func(err error) {
		if err != nil {
			s.refuse(sender, RefusedUnavailable, "the session could not be stored", time.Second)
			return
		}
		s.respond(sender, answer)
	})
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
		Queue: make([]string, 0, len(s.queue)), Turns: s.turns, Messages: len(s.items),
		PromptTokens: s.usage.Prompt, CompletionTokens: s.usage.Completion,
		Watchers: s.watched, Epoch: s.log.epoch, Seq: s.log.position(),
	}
	if s.current != nil {
		d.Running = s.current.Turn
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
	s.respond(sender, &Conversation{Items: s.items[:len(s.items):len(s.items)]})
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
func (s *session) delete(sender *actor.PID) {
	if !s.known(sender) {
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
	s.system.background(func() {
		err := s.system.options.Journal.Delete(s.system.life, s.entry.key.id())
		s.system.tell(self, &deleted{err})
	})
}

// deleted: the journal has forgotten the session. A new one may take its name.
func (s *session) deleted(m *deleted) {
	if m.err != nil {
		s.refusal = nil
		s.refuse(s.deleter, RefusedUnavailable, "the session could not be deleted", time.Second)
		return
	}
	s.watched = 0
	s.log.close()
	s.system.registry.retire(s.entry)
	s.respond(s.deleter, &Deleted{})
}
