package actors

import (
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/channels"
	"agentzero/store"
)

// ChannelOptions are the settings of one channel. Zero values mean the defaults.
type ChannelOptions struct {
	// Channel speaks with the platform. Required.
	Channel *channels.Channel
	// Model answers; "" is the default one.
	Model string
	// Concurrency is how many conversations are worked on at once; 0 is 1.
	Concurrency int
	// QueueLimit is how many deliveries may wait; 0 is 10,000.
	QueueLimit int
	// QueueBytes bounds what those take in memory; 0 is 64 MiB.
	QueueBytes int
	// MaxTries is how often the agent is asked for an answer, ReplyTries how
	// often that is sent, before either is given up; 0 is 6 and 12.
	MaxTries, ReplyTries int
	// Backoff is the wait before the second try; each further one is twice as
	// long, up to MaxBackoff. 0 is 5 seconds and an hour.
	Backoff, MaxBackoff time.Duration
	// KeepFor and Keep say how long and how many finished deliveries are kept;
	// a delivery's id is known as long. 0 is 7 days and 100,000.
	KeepFor time.Duration
	Keep    int
}

func (o *ChannelOptions) setDefaults() {
	setDefault(&o.Concurrency, 1)
	setDefault(&o.QueueLimit, 10_000)
	setDefault(&o.QueueBytes, 64<<20)
	setDefault(&o.MaxTries, 6)
	setDefault(&o.ReplyTries, 12)
	setDefault(&o.Backoff, 5*time.Second)
	setDefault(&o.MaxBackoff, time.Hour)
	setDefault(&o.KeepFor, 7*24*time.Hour)
	setDefault(&o.Keep, 100_000)
}

// ChannelOwner is whose the sessions of channels are.
const ChannelOwner = "default"

// channel is the actor of one webhook channel: it puts the deliveries of all
// senders in one order, works through them, and sees to it that answers are sent.
// The disk, the agent and the platform are waited for elsewhere.
type channel struct {
	system  *System
	name    string
	gauge   *channelGauge
	self    *actor.PID
	options ChannelOptions
	closed  bool // the configuration has it no more

	loading       bool
	early         []*delivery // accepted while the inbox was read
	deliveries    map[string]*delivery
	conversations map[string]*thread
	ready         []*thread // with something to run, in the order they became so
	running       int       // conversations that are being worked on
	arriving      int       // deliveries on their way to the disk
	waiting       int       // for the agent, or with it
	replying      int
	bytes         int             // of those that wait and arrive
	doubts        map[string]bool // ids whose acceptance failed, though it may be on the disk
	mean          time.Duration   // of a run
}

// thread is what a channel has to do in one session, in order.
type thread struct {
	session string
	queue   []*delivery // to be run
	running *delivery
	outbox  []*delivery // to be sent
	sending bool
	pausing bool // the first of the outbox waits for another try
	listed  bool // among the channel's ready
	resting bool // its first waits for another try
	timer   *time.Timer
}

const maxDoubts = 10_000

// Receive reads as the list of what a channel can be told.
func (c *channel) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.self = ctx.Self()
		c.deliveries, c.conversations, c.doubts = make(map[string]*delivery), make(map[string]*thread), make(map[string]bool)
		c.loading = true
		c.readInbox()
	case *actor.Stopping, *actor.Restarting:
		c.stopTimers()
	case *readInbox:
		c.readInbox()
	case *inboxRead:
		c.inboxRead(m)
	case *configure:
		c.configure(m)

	case *deliver:
		c.deliver(m, ctx.Sender())
	case *deliveryKept:
		c.kept(m)
	case *doubtful:
		c.adopt(m.delivery)
	case *awaitDelivery:
		c.await(m, ctx.Sender())
	case *replayDelivery:
		c.replay(m, ctx.Sender())
	case *describeChannel:
		c.describe(ctx.Sender())

	case *due:
		c.due(m)
	case *sendDue:
		m.conversation.pausing = false
		c.send(m.conversation)
	case *ran:
		c.ran(m)
	case *deliveryNoted:
		c.noted(m)
	case *noteAgain:
		c.note(m.delivery, nil)
	case *posted:
		c.posted(m)
	case *replied:
		c.replied(m)
	case *channelDrains:
		c.letGo()
	}
	c.gauge.set(c)
}

// readInbox reads what an earlier process has left, until which nothing runs.
func (c *channel) readInbox() {
	self, inbox, name := c.self, c.system.inbox, c.name
	c.system.background(func() {
		m := &inboxRead{}
		q := store.DeliveryQuery{Channel: name, Unfinished: true, Limit: 500}
		for {
			page, err := inbox.Deliveries(c.system.life, q)
			if m.err = err; err != nil || len(page) == 0 {
				break
			}
			m.kept = append(m.kept, page...)
			q.After = page[len(page)-1].ID
		}
		c.system.tell(self, m)
	})
}

// inboxRetry is how long a channel waits to read its inbox, or to write to it,
// again.
const inboxRetry = time.Second

func (c *channel) later(after time.Duration, message any) {
	self := c.self
	time.AfterFunc(after, func() { c.system.tell(self, message) })
}

func (c *channel) inboxRead(m *inboxRead) {
	if m.err != nil {
		if c.system.life.Err() == nil {
			c.log().Error("channel's deliveries cannot be read", slog.Any("error", m.err))
			c.later(inboxRetry, &readInbox{})
		}
		return
	}
	early := c.early
	c.loading, c.early = false, nil
	for i := range m.kept {
		d, err := restoreDelivery(&m.kept[i])
		if err != nil {
			c.log().Error("delivery cannot be read", slog.String("delivery_id", d.id), slog.Any("error", err))
			continue
		}
		if known := c.deliveries[d.id]; known != nil {
			d = known // accepted while the inbox was read
			early = remove(early, d)
		} else {
			c.deliveries[d.id] = d
			c.count(d, 1)
		}
		c.enqueue(d)
	}
	for _, d := range early {
		c.enqueue(d)
	}
	c.advance()
}

func remove(list []*delivery, d *delivery) []*delivery {
	for i := range list {
		if list[i] == d {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// configure takes other settings. Without any, what waits is left alone until
// the channel is there again.
func (c *channel) configure(m *configure) {
	c.closed = m.options == nil
	if m.options != nil {
		c.options = *m.options
		c.options.setDefaults()
		for _, conversation := range c.conversations {
			c.send(conversation)
		}
		c.advance()
	}
}

// deliver keeps a message, unless the queue is full.
func (c *channel) deliver(m *deliver, sender *actor.PID) {
	message := m.message
	now := time.Now()
	d := &delivery{
		id: message.ID, session: m.session, state: DeliveryQueued, accepted: now, updated: now,
		record: deliveryRecord{Text: message.Text, Target: message.Target, Reason: message.Ignored},
	}
	if d.id == "" {
		d.id = newDeliveryID()
	}
	if message.Ignored != "" {
		d.state = DeliveryIgnored
		d.record.Target = nil
	}
	switch {
	case c.closed:
		c.refuse(sender, RefusedNotFound, "there is no channel of this name", 0)
		return
	case c.system.draining.Load():
		c.system.answer(sender, errDraining)
		return
	case c.deliveries[d.id] != nil:
		c.system.answer(sender, &Delivered{ID: d.id, Duplicate: true})
		return
	case d.state.Open() && (c.waiting+c.arriving >= c.options.QueueLimit || c.bytes+d.bytes() > c.options.QueueBytes && c.waiting+c.arriving > 0):
		c.refuse(sender, RefusedQueueFull, "the channel's queue is full", c.retryAfter())
		return
	}
	c.arriving++
	c.bytes += d.bytes()
	self := c.self
	c.system.inbox.Accept(d.stored(c.name), func(fresh bool, err error) {
		c.system.tell(self, &deliveryKept{d, sender, fresh, err})
	})
}

// kept: the delivery is on the disk. Only now its sender hears of it.
func (c *channel) kept(m *deliveryKept) {
	d := m.delivery
	c.arriving--
	c.bytes -= d.bytes()
	switch {
	case m.err != nil:
		if len(c.doubts) < maxDoubts {
			c.doubts[d.id] = true
		}
		c.log().Error("delivery could not be stored", slog.String("delivery_id", d.id), slog.Any("error", m.err))
		c.refuse(m.sender, RefusedUnavailable, "the delivery could not be stored", time.Second)
		return
	case !m.fresh:
		c.system.answer(m.sender, &Delivered{ID: d.id, Duplicate: true})
		if c.doubts[d.id] {
			c.lookUp(d.id)
		}
		return
	}
	delete(c.doubts, d.id)
	c.gauge.accepted.Add(1)
	if d.state == DeliveryIgnored {
		c.finished(d)
	} else {
		c.adopt(d)
	}
	c.system.answer(m.sender, &Delivered{ID: d.id, Ignored: d.record.Reason})
}

// lookUp finds a delivery that was kept although its acceptance failed: its
// sender tries again, and would be told of a duplicate that nobody runs.
func (c *channel) lookUp(id string) {
	self, inbox, name := c.self, c.system.inbox, c.name
	delete(c.doubts, id)
	c.system.background(func() {
		stored, err := inbox.Delivery(c.system.life, name, id)
		if err != nil || !stored.Open {
			return
		}
		if d, err := restoreDelivery(&stored); err == nil {
			c.system.tell(self, &doubtful{d})
		}
	})
}

// adopt takes a kept delivery into the channel's work.
func (c *channel) adopt(d *delivery) {
	if c.deliveries[d.id] != nil {
		return
	}
	c.deliveries[d.id] = d
	c.count(d, 1)
	if c.loading {
		c.early = append(c.early, d)
		return
	}
	c.enqueue(d)
	c.advance()
}

// count adds a delivery to the sums of its state, or takes it out.
func (c *channel) count(d *delivery, by int) {
	if d.state == DeliveryReplying {
		c.replying += by
		return
	}
	c.waiting += by
	c.bytes += by * d.bytes()
}

// await replies when a delivery's run has ended.
func (c *channel) await(m *awaitDelivery, sender *actor.PID) {
	d := c.deliveries[m.id]
	switch {
	case d == nil:
		c.system.answer(sender, &deliveryKnown{})
	case d.state == DeliveryReplying, c.system.draining.Load():
		c.system.answer(sender, &deliveryKnown{d.told(c.name), true})
	default:
		d.waiters = append(d.waiters, sender)
	}
}

// tellWaiters answers those who wait for a delivery's run.
func (c *channel) tellWaiters(d *delivery) {
	for _, pid := range d.waiters {
		c.system.answer(pid, &deliveryKnown{d.told(c.name), true})
	}
	d.waiters = nil
}

// letGo ends the waits: the gateway shuts down.
func (c *channel) letGo() {
	for _, d := range c.deliveries {
		c.tellWaiters(d)
	}
}

// replay begins a delivery anew: one whose answer could not be sent is sent
// again, any other asks the agent again.
func (c *channel) replay(m *replayDelivery, sender *actor.PID) {
	d := m.delivery
	switch {
	case c.closed:
		c.refuse(sender, RefusedNotFound, "there is no channel of this name", 0)
		return
	case c.system.draining.Load():
		c.system.answer(sender, errDraining)
		return
	case c.deliveries[d.id] != nil, c.loading:
		c.refuse(sender, RefusedBusy, "the delivery is still being worked on", 0)
		return
	case d.record.Text == "":
		c.refuse(sender, RefusedBusy, "the delivery has no text to answer", 0)
		return
	case c.waiting+c.arriving >= c.options.QueueLimit:
		c.refuse(sender, RefusedQueueFull, "the channel's queue is full", c.retryAfter())
		return
	}
	r := &d.record
	if d.state == DeliveryDead {
		d.state, r.ReplyTries = DeliveryReplying, 0
	} else {
		d.state = DeliveryQueued
		*r = deliveryRecord{Text: r.Text, Target: r.Target, Replays: r.Replays + 1}
	}
	r.Reason, r.Next = "", time.Time{}
	c.deliveries[d.id] = d
	c.count(d, 1)
	c.gauge.accepted.Add(1)
	c.note(d, sender)
}

func (c *channel) describe(sender *actor.PID) {
	description := &ChannelDescription{Name: c.name, Kind: string(c.options.Channel.Kind()), Queued: c.waiting - c.running, Running: c.running, Replying: c.replying}
	for _, conversation := range c.conversations {
		if conversation.running != nil {
			description.RunningIDs = append(description.RunningIDs, conversation.running.id)
		}
	}
	c.system.answer(sender, description)
}

// retryAfter guesses when the queue will have room.
func (c *channel) retryAfter() time.Duration {
	guess := c.mean / time.Duration(c.options.Concurrency)
	return min(max(guess, time.Second), time.Minute)
}

func (c *channel) refuse(to *actor.PID, code RefusalCode, message string, after time.Duration) {
	c.system.answer(to, &Refusal{Code: code, Message: message, RetryAfter: after})
}

func (c *channel) log() *slog.Logger {
	return c.system.options.Logger.With(slog.String("channel", c.name))
}

func (c *channel) stopTimers() {
	for _, conversation := range c.conversations {
		if conversation.timer != nil {
			conversation.timer.Stop()
		}
	}
}

// answer replies to who asked; nil is nobody.
func (s *System) answer(to *actor.PID, message any) {
	if to != nil {
		s.tell(to, message)
	}
}

// sessionOf is the name of the session for a conversation of a channel. Whatever
// the key holds, two keys never share a name: what a session's name cannot hold is
// written as = and two hexadecimal digits, and what becomes too long ends in a
// digest.
func sessionOf(channel, key string) string {
	if key == "" {
		return channel
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(channel + ":")
	for _, c := range []byte(key) {
		if _, err := ParseName("x" + string(rune(c))); err == nil && c < 0x80 && c != '=' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', hex[c>>4], hex[c&15]})
		}
	}
	return shortName(b.String())
}
