package actors

import (
	"bytes"
	"sync"

	"agentzero/agent"
)

// maxPipe is how many bytes of deltas may wait in a pipe before the agent is
// made to wait for its actor.
const maxPipe = 256 << 10

// pipe carries deltas from the goroutine that calls the agent to the session's
// actor when that has other things to do; otherwise they are handed to it as
// they are (see call.run). Whatever arrives while the actor is busy is taken by
// it at once, so that a burst costs one message. Two pairs of buffers change
// places, so that a stream that flows allocates nothing here.
type pipe struct {
	max    int // bytes
	mu     sync.Mutex
	room   sync.Cond
	filled chunks
	spare  chunks
	taken  []agent.Delta // of the last take
	posted bool          // the actor was told and has not looked yet
	closed bool          // nobody will look any more
}

// chunks is a run of deltas; their bytes lie one behind the other.
type chunks struct {
	bytes []byte
	ends  []mark
}

// mark tells where a delta ends in the bytes and where its content lies in it.
type mark struct {
	end                   int
	contentAt, contentLen uint32
}

// newPipe returns a pipe of no more than a quarter of a log's window.
func newPipe(window int) *pipe {
	p := &pipe{max: min(maxPipe, window/4)}
	p.room.L = &p.mu
	return p
}

// put adds deltas and reports whether the actor must be told. It waits while
// the pipe is full.
func (p *pipe) put(deltas []agent.Delta) (tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.filled.bytes)+eventOverhead*len(p.filled.ends) >= p.max && !p.closed {
		p.room.Wait()
	}
	if p.closed {
		return false
	}
	for i := range deltas {
		p.filled.add(&deltas[i])
	}
	tell = !p.posted
	p.posted = true
	return tell
}

func (c *chunks) add(d *agent.Delta) {
	c.bytes = append(c.bytes, d.Chunk...)
	m := mark{end: len(c.bytes)}
	m.contentAt, m.contentLen = contentOf(d)
	c.ends = append(c.ends, m)
}

// contentOf tells where a delta's content lies in its chunk. Only the bytes
// matter, so any place that holds them will do.
func contentOf(d *agent.Delta) (at, length uint32) {
	if len(d.Content) == 0 {
		return 0, 0
	}
	i := bytes.Index(d.Chunk, d.Content)
	if i < 0 {
		return 0, 0
	}
	return uint32(i), uint32(len(d.Content))
}

// take empties the pipe. What it returns is valid until the next take.
func (p *pipe) take() []agent.Delta {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posted = false
	full := p.filled
	p.filled = chunks{bytes: p.spare.bytes[:0], ends: p.spare.ends[:0]}
	p.spare = full
	p.room.Signal()
	p.taken = p.taken[:0]
	start := 0
	for _, m := range full.ends {
		d := agent.Delta{Chunk: full.bytes[start:m.end:m.end]}
		if m.contentLen > 0 {
			d.Content = d.Chunk[m.contentAt : m.contentAt+m.contentLen]
		}
		p.taken = append(p.taken, d)
		start = m.end
	}
	return p.taken
}

// close lets the agent run on without a reader.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.room.Broadcast()
}
