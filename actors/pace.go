package actors

import (
	"context"
	"time"

	"agentzero/agent"
)

// pace keeps a burst from pushing events out of the log's window which a watcher
// is about to read: the agent waits for its readers, in its own goroutine, for a
// second in all of a turn. A watcher that is slower has a gap, and holds up nobody.
type pace struct {
	log      *Log
	turn     string
	pipe     int           // bytes that the pipe can hold beside the log
	unasked  int           // bytes since the log was looked at
	patience time.Duration // that is left
}

// maxPatience is how long a turn waits for its readers, in all.
const maxPatience = time.Second

// pass returns when deltas may go on.
func (p *pace) pass(ctx context.Context, deltas []agent.Delta) {
	for i := range deltas {
		p.unasked += len(deltas[i].Chunk) + eventOverhead
	}
	if p.unasked < p.log.limit/8 || p.patience <= 0 {
		return
	}
	wanted := p.unasked + p.log.limit/8 + p.pipe
	p.unasked = 0
	read := p.log.overrun(p.turn, wanted)
	if read == nil {
		return
	}
	began := time.Now()
	limit := time.NewTimer(p.patience)
	defer limit.Stop()
	defer func() { p.patience -= time.Since(began) }()
	for read != nil {
		select {
		case <-read:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
		read = p.log.overrun(p.turn, wanted)
	}
}

// overrun tells whether n more bytes would push out what a watcher of the turn has
// not read and still can; then the channel is closed when one has read.
func (l *Log) overrun(turn string, n int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.bytes + n
	lost := l.lost
	for i := 0; i < len(l.events) && rest-l.events[i].bytes() >= l.limit; i++ {
		rest -= l.events[i].bytes()
		lost = l.events[i].Seq
	}
	for _, s := range l.subs {
		if s.whole || s.turn != "" && s.turn != turn || s.cursor < l.lost || s.cursor >= lost {
			continue
		}
		if l.reading == nil {
			l.reading = make(chan struct{})
		}
		return l.reading
	}
	return nil
}

// hasRead lets those go on who wait for readers; the caller holds mu.
func (l *Log) hasRead() {
	if l.reading != nil {
		close(l.reading)
		l.reading = nil
	}
}
