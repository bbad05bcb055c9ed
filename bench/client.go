package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"agentzero/bench/internal/stamp"
)

// client is one of a run's clients. It is used by one goroutine.
type client struct {
	run    *run
	id     int
	shard  *shard
	slow   bool
	turns  int // answers begun
	deltas int64
	door   door

	// Of the present answer.
	begun time.Time // when it should have begun
	last  int64     // when the last delta came, Unix nanoseconds; 0 for none
	seen  int       // deltas
}

// door asks one question and reads the answer. It tells the client of deltas.
type door interface {
	// ask does one answer.
	ask(ctx context.Context) error
	// close ends the connection, if there is one.
	close()
}

// failure is an error of a known kind.
type failure struct {
	kind string
	err  error
}

func (f *failure) Error() string { return f.kind + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(kind string, format string, args ...any) error {
	return &failure{kind, fmt.Errorf(format, args...)}
}

// errHangUp ends an answer that the plan wants cut.
var errHangUp = errors.New("the client hangs up, as planned")

func (r *run) newClient(id int) *client {
	c := &client{run: r, id: id, shard: &r.recorder.shards[id%len(r.recorder.shards)]}
	c.slow = r.plan.SlowShare > 0 && float64(id%100) < r.plan.SlowShare*100
	switch r.plan.Door {
	case WebSocket, IdleWebSocket:
		c.door = &wsDoor{client: c}
	default:
		c.door = &httpDoor{client: c}
	}
	return c
}

// answer does one answer that should begin at a time, and takes down its fate.
func (c *client) answer(ctx context.Context, begun time.Time) {
	c.begun, c.last, c.seen = begun, 0, 0
	c.turns++
	c.run.recorder.count(c.shard, func(n *Counts) { n.Begun++ })
	c.run.open.Add(1)
	err := c.door.ask(ctx)
	c.run.open.Add(-1)
	if err != nil || c.run.plan.Reconnect {
		c.door.close()
	}
	switch {
	case ctx.Err() != nil: // the run is over; this answer was neither whole nor cut
	case err == nil:
		c.ended(time.Since(begun))
	case errors.Is(err, errHangUp):
		c.run.recorder.count(c.shard, func(n *Counts) { n.HungUp++ })
	default:
		c.run.recorder.fail(c.shard, kindOf(err), words(err))
		c.run.failed.Add(1)
	}
}

func (c *client) ended(took time.Duration) {
	if !c.run.recorder.measuring.Load() {
		return
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.shard.counts.Whole++
	if !c.slow {
		record(c.shard.whole, took)
	}
}

// took takes down the deltas in a piece of an answer that came at a time. A delta
// without a stamp, from a model that is not our mock, is none to it; see spoke.
func (c *client) took(b []byte, now int64) error {
	for {
		sent, rest, ok := stamp.Next(b)
		if !ok {
			return nil
		}
		b = rest
		if err := c.delta(now, time.Duration(now-sent)); err != nil {
			return err
		}
	}
}

// delta takes down one delta; added is how much later it came than it was sent,
// or negative when that is not known.
func (c *client) delta(now int64, added time.Duration) error {
	c.seen++
	if c.run.recorder.measuring.Load() {
		c.deltas++
		s := c.shard
		s.mu.Lock()
		switch {
		case c.slow:
			s.counts.SlowDeltas++
		default:
			s.counts.Deltas++
			if added >= 0 {
				record(s.added, added)
			}
			if c.last == 0 {
				record(s.first, time.Duration(now-c.begun.UnixNano()))
			} else {
				record(s.between, time.Duration(now-c.last))
			}
		}
		s.mu.Unlock()
	}
	c.last = now
	if c.run.plan.HangUpAfter > 0 && c.seen >= c.run.plan.HangUpAfter {
		return errHangUp
	}
	return nil
}

// connected takes a new connection down.
func (c *client) connected(took time.Duration) {
	if !c.run.recorder.measuring.Load() {
		return
	}
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.shard.counts.Connections++
	record(c.shard.connect, took)
}

// session is the name of the conversation that the present answer belongs to.
func (c *client) session() string {
	switch c.run.plan.Sessions {
	case SessionEachClient:
		return fmt.Sprintf("bench-%s-%d", c.run.name, c.id)
	case SessionEachAnswer:
		return fmt.Sprintf("bench-%s-%d-%d", c.run.name, c.id, c.turns)
	}
	return ""
}

// dial opens a connection that the run's end closes.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: c.run.plan.timeout(), KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp", c.run.address.dial)
	if err != nil {
		return nil, &failure{"connect", err}
	}
	c.run.conns.add(nc)
	if c.slow {
		nc = newSlowConn(ctx, nc, c.run.plan.SlowBytes)
	}
	return nc, nil
}

// words are an error's own, without the kind that they stand beside.
func words(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.err.Error()
	}
	return err.Error()
}

// kindOf sorts errors into few kinds.
func kindOf(err error) string {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.kind
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "cut off"
	}
	return "protocol"
}
