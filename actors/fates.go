package actors

import "sync/atomic"

// Fate is how an accepted message ended. Each has exactly one.
type Fate uint8

// The fates.
const (
	FateAnswered Fate = iota
	FateMerged
	FateRolledBack
	FateCancelled
	FateExpired
	FateFailed
	FateDeadLettered
	fates
)

var fateNames = [fates]string{
	FateAnswered: "answered", FateMerged: "merged", FateRolledBack: "rolled_back", FateCancelled: "cancelled",
	FateExpired: "expired", FateFailed: "failed", FateDeadLettered: "dead_lettered",
}

func (f Fate) String() string { return fateNames[f] }

// Fates lists all fates in a fixed order.
func Fates() []Fate {
	list := make([]Fate, fates)
	for i := range list {
		list[i] = Fate(i)
	}
	return list
}

// ledger counts what was accepted and how it ended. What was accepted is always
// the sum of the fates and of what is in flight.
type ledger struct {
	accepted, running, queued atomic.Int64
	ended                     [fates]atomic.Int64
}

// Counts is a reading of the ledger. Read while turns come and go, its parts
// are of slightly different moments; in a system at rest they add up.
type Counts struct {
	Accepted int64
	// Running turns are calling the model; Queued ones were accepted and wait,
	// for their session or for a place in the gateway.
	Running, Queued int64
	Ended           map[Fate]int64
}

// InFlight is what was accepted and has not ended.
func (c Counts) InFlight() int64 {
	n := c.Accepted
	for _, ended := range c.Ended {
		n -= ended
	}
	return n
}

func (l *ledger) counts() Counts {
	c := Counts{
		Accepted: l.accepted.Load(), Running: l.running.Load(), Queued: l.queued.Load(),
		Ended: make(map[Fate]int64, fates),
	}
	for _, f := range Fates() {
		c.Ended[f] = l.ended[f].Load()
	}
	return c
}
