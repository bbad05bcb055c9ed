package actors

import (
	"time"

	"agentzero/store"
)

// Live is the part of the settings that Reload changes.
type Live struct {
	// SystemPrompt leads conversations that bring no system message of their
	// own; "" is none.
	SystemPrompt string
	// BusyPolicy of messages that name none; "" is BusyQueue.
	BusyPolicy BusyPolicy
	// QueueLimit is how many turns may wait in a session; 0 is 20.
	QueueLimit int
	// TurnTimeout is the deadline of messages that bring none; 0 is none.
	TurnTimeout time.Duration
	// ContextMessages and ContextTokens bound the conversation that the model is
	// given; tokens are estimated. 0 is no limit.
	ContextMessages, ContextTokens int
	// Retention says which sessions are kept.
	Retention store.Retention
}

func (l *Live) setDefaults() {
	setDefault(&l.BusyPolicy, BusyQueue)
	setDefault(&l.QueueLimit, 20)
}

// Reload changes what can be changed while the system runs. It holds for
// messages that come from now on, and the system prompt for turns that begin
// from now on; what waits already is not turned away by a lower limit.
func (s *System) Reload(l Live) {
	l.setDefaults()
	s.live.Store(&l)
}
