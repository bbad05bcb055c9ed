package actors

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"agentzero/agent"
)

// enqueue puts a delivery where its state says that work is left.
func (c *channel) enqueue(d *delivery) {
	v := c.conversations[d.session]
	if v == nil {
		v = &thread{session: d.session}
		c.conversations[d.session] = v
	}
	d.conversation = v
	if d.state == DeliveryReplying {
		v.outbox = append(v.outbox, d)
		c.send(v)
		return
	}
	v.queue = append(v.queue, d)
	c.list(v)
}

// list makes a conversation wait for its turn, if it has something to run.
func (c *channel) list(v *thread) {
	if v.listed || v.resting || v.running != nil || len(v.queue) == 0 {
		return
	}
	if wait := time.Until(v.queue[0].record.Next); wait > 0 {
		c.rest(v, wait)
		return
	}
	v.listed = true
	c.ready = append(c.ready, v)
}

// rest lets a conversation wait for its first delivery's next try.
func (c *channel) rest(v *thread, wait time.Duration) {
	v.resting = true
	self := c.self
	v.timer = time.AfterFunc(wait, func() { c.system.tell(self, &due{v}) })
}

func (c *channel) due(m *due) {
	m.conversation.resting = false
	c.list(m.conversation)
	c.advance()
}

// advance runs what may run. While the platform takes no answers, no further
// ones are made.
func (c *channel) advance() {
	for !c.closed && !c.loading && c.running < c.options.Concurrency && len(c.ready) > 0 && c.replying < c.options.QueueLimit {
		if c.system.draining.Load() {
			return // it is left to the next process
		}
		v := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		v.listed = false
		c.run(v)
	}
}

// run asks the agent for the answer to a conversation's next delivery.
func (c *channel) run(v *thread) {
	d := v.queue[0]
	v.queue = v.queue[1:]
	v.running = d
	c.running++
	d.state = DeliveryRunning
	d.record.Tries++
	d.record.Next = time.Time{}
	d.record.Rewrite = len(d.record.Sent) > 0
	r := &deliveryRun{self: c.self, system: c.system, options: c.options, delivery: d, name: c.name,
		session: d.session, id: d.id, record: d.record, live: len(v.outbox) == 0}
	c.system.background(func() {
		outcome := r.do(c.system.life)
		c.system.tell(r.self, &ran{d, outcome})
	})
}

// runOutcome is what a run has come to.
type runOutcome struct {
	left      bool // nothing came of it: the gateway shuts down
	answered  bool
	turn      string
	answer    string
	failure   string
	permanent bool
	after     time.Duration // before another try; 0 is the channel's own
	sent      []string
	postedAt  time.Time
	began     time.Time
}

// deliveryRun puts one delivery to its session and watches the turn. It works
// beside the actor and touches none of its state.
type deliveryRun struct {
	self     pid
	system   *System
	options  ChannelOptions
	delivery *delivery // only passed on
	name     string
	session  string
	id       string
	record   deliveryRecord
	live     bool // the answer may be shown while it grows
}

func (r *deliveryRun) do(ctx context.Context) runOutcome {
	began := time.Now()
	started, err := r.start()
	if err != nil {
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Code == RefusedDraining || ctx.Err() != nil {
			return runOutcome{left: true}
		}
		o := runOutcome{failure: err.Error(), began: began}
		if refusal != nil {
			o.failure, o.after = refusal.Message, refusal.RetryAfter
		}
		return o
	}
	defer started.Events.Close()
	show := r.show(ctx)
	outcome := r.watch(ctx, started, show)
	outcome.sent, outcome.postedAt = show.end()
	outcome.began = began
	return outcome
}

// start begins the turn, once for all tries and all processes: the key is the
// delivery's.
func (r *deliveryRun) start() (*Started, error) {
	idem := &Idempotency{
		Key:         strings.Join([]string{"channel", r.name, r.id, strconv.Itoa(r.record.Replays)}, "\x00"),
		Fingerprint: sha256.Sum256([]byte(r.session + "\x00" + r.record.Text)),
	}
	return r.system.Start(Key{Owner: ChannelOwner, Name: r.session}, StartTurn{
		Input: []agent.Message{{Role: "user", Text: r.record.Text}}, Model: r.options.Model, Busy: BusyQueue,
		Class: ClassWebhook, Disconnect: Disconnect{Continue: true}, Watch: true,
	}, idem)
}

// watch reads the turn to its end.
func (r *deliveryRun) watch(ctx context.Context, started *Started, show *growing) runOutcome {
	var (
		assembler agent.Assembler
		events    []Event
		follow    = started.Follow
	)
	for {
		select {
		case <-started.Events.Wake():
		case <-ctx.Done():
			return runOutcome{left: true}
		}
		var err error
		if events, err = started.Events.Read(events[:0], 256); err != nil {
			return r.lookUp(err, follow)
		}
		for i := range events {
			e := &events[i]
			var told TurnEvent
			if e.Kind.Ends() {
				if err := json.Unmarshal(e.Data, &told); err != nil {
					return runOutcome{failure: "the turn ended in a way that cannot be read"}
				}
			}
			switch e.Kind {
			case EventDelta:
				assembler.Add(agent.Delta{Chunk: e.Data, Content: e.Content()})
				show.grow(e.Content())
			case EventMerged:
				follow = told.Into
				started.Events.Follow(follow)
			case EventCompleted:
				return runOutcome{answered: true, turn: follow, answer: assembler.Text()}
			case EventFailed:
				return failedRun(follow, told.Failure)
			case EventInterrupted:
				return interruptedRun(follow, told.Reason)
			}
		}
	}
}

// lookUp finds an answer whose events passed by unread.
func (r *deliveryRun) lookUp(cause error, turn string) runOutcome {
	c, err := r.system.Messages(Key{Owner: ChannelOwner, Name: r.session})
	if err != nil {
		return runOutcome{failure: cause.Error()}
	}
	for i := range c.Items {
		if item := &c.Items[i]; item.Turn == turn && item.Message.Role == "assistant" && !item.Interrupted {
			return runOutcome{answered: true, turn: turn, answer: item.Message.Text}
		}
	}
	return runOutcome{failure: cause.Error()} // another try attaches to the turn, if it runs
}

func failedRun(turn string, f *Failure) runOutcome {
	o := runOutcome{turn: turn, failure: "the turn failed"}
	if f != nil {
		o.failure, o.after, o.permanent = f.Message, f.RetryAfter, f.Kind == agent.KindInvalid
	}
	return o
}

func interruptedRun(turn, reason string) runOutcome {
	switch reason {
	case ReasonShutdown:
		return runOutcome{left: true}
	case ReasonMoved, ReasonCrashed, ReasonDisconnected:
		return runOutcome{turn: turn, failure: "the turn was cut short: " + reason}
	default: // somebody wanted it so
		return runOutcome{turn: turn, failure: "the turn was cut short: " + reason, permanent: true}
	}
}

// ran: the agent has answered, or not. What follows in the conversation can go on.
func (c *channel) ran(m *ran) {
	d, o := m.delivery, &m.outcome
	v := d.conversation
	if v == nil || v.running != d {
		return // of an incarnation before this one
	}
	v.running = nil
	c.running--
	c.count(d, -1)
	d.record.Sent, d.notBefore = o.sent, o.postedAt.Add(c.options.Channel.Pace().Edit)
	if o.turn != "" {
		d.record.Turn = o.turn
	}
	switch {
	case o.left:
		d.record.Tries--
		d.state = DeliveryQueued
		v.queue = append([]*delivery{d}, v.queue...)
		c.count(d, 1)
		return // nothing changes on the disk, and nothing runs any more
	case o.answered:
		c.observe(time.Since(o.began))
		d.record.Answer, d.record.Answered, d.record.Reason = o.answer, time.Now(), ""
		d.state = DeliveryAnswered
		if d.record.Target != nil && strings.TrimSpace(o.answer) != "" {
			d.state = DeliveryReplying
			c.count(d, 1)
		}
	case o.permanent || d.record.Tries >= c.options.MaxTries:
		d.record.Reason = o.failure
		d.state = DeliveryFailed
		if d.record.Turn == "" {
			c.system.deadLettered()
		}
		c.log().Error("delivery was given up", slog.String("delivery_id", d.id), slog.Int("tries", d.record.Tries), slog.String("error", o.failure))
	default:
		wait := max(o.after, backoff(d.record.Tries, c.options.Backoff, c.options.MaxBackoff))
		d.record.Reason, d.record.Next = o.failure, time.Now().Add(wait)
		d.state = DeliveryQueued
		v.queue = append([]*delivery{d}, v.queue...)
		c.count(d, 1)
		c.log().Warn("delivery will be tried again", slog.String("delivery_id", d.id), slog.Duration("after", wait), slog.String("error", o.failure))
	}
	if d.state == DeliveryReplying {
		d.safe = false
		v.outbox = append(v.outbox, d)
	}
	c.note(d, nil)
	c.list(v)
	c.advance()
}

// backoff is how long to wait after n tries: each time twice as long, give or
// take a fifth, so that what failed together does not come back together.
func backoff(n int, first, most time.Duration) time.Duration {
	wait := most
	if shift := n - 1; shift < 30 && first<<shift>>shift == first {
		wait = min(first<<shift, most)
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

// observe keeps a moving mean of the runs' times, for Retry-After.
func (c *channel) observe(took time.Duration) {
	if c.mean == 0 {
		c.mean = took
	}
	c.mean += (took - c.mean) / 4
}

// note writes down what has become of a delivery.
func (c *channel) note(d *delivery, renew pid) {
	d.updated = time.Now()
	self := c.self
	c.system.inbox.Update(d.stored(c.name), func(err error) {
		c.system.tell(self, &deliveryNoted{d, err, renew})
	})
}

// noted: it is on the disk.
func (c *channel) noted(m *deliveryNoted) {
	d := m.delivery
	if c.deliveries[d.id] != d {
		return
	}
	if m.err != nil {
		c.log().Error("delivery's state could not be stored", slog.String("delivery_id", d.id), slog.Any("error", m.err))
		if m.renew != nil {
			c.count(d, -1)
			delete(c.deliveries, d.id)
			c.refuse(m.renew, RefusedUnavailable, "the delivery could not be stored", time.Second)
			return
		}
		if c.system.life.Err() == nil {
			c.later(inboxRetry, &noteAgain{d}) // what was answered is not run again
		}
		return
	}
	if m.renew != nil {
		c.enqueue(d)
		c.advance()
		c.system.answer(m.renew, &Delivered{ID: d.id})
		return
	}
	switch {
	case !d.state.Open():
		c.finished(d)
		c.tellWaiters(d)
		c.tidy(d.conversation)
	case d.state == DeliveryReplying:
		c.tellWaiters(d)
		d.safe = true
		c.send(d.conversation)
	}
}

// finished counts a delivery that is over.
func (c *channel) finished(d *delivery) {
	delete(c.deliveries, d.id)
	c.gauge.end(d.state)
	c.system.options.Deliveries.DeliveryEnded(c.name, string(d.state), time.Since(d.accepted))
}

// tidy forgets a conversation that has nothing left to do.
func (c *channel) tidy(v *thread) {
	if v != nil && len(v.queue) == 0 && len(v.outbox) == 0 && v.running == nil && !v.resting && !v.listed && c.conversations[v.session] == v {
		delete(c.conversations, v.session)
	}
}

var digestEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// shortName makes a name as short as a session's may be.
func shortName(name string) string {
	if len(name) <= MaxNameLength {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	end := "=~" + digestEncoding.EncodeToString(digest[:])
	return name[:MaxNameLength-len(end)] + end
}
