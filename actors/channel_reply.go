package actors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"agentzero/channels"
)

// send sends a conversation's oldest answer, if none is on its way.
func (c *channel) send(v *thread) {
	if v.sending || v.pausing || len(v.outbox) == 0 || !v.outbox[0].safe || c.closed {
		return
	}
	d := v.outbox[0]
	if wait := time.Until(d.record.Next); wait > 0 {
		v.pausing = true
		c.later(wait, &sendDue{v})
		return
	}
	v.sending = true
	self, system, sender, pause := c.self, c.system, c.options.Channel, time.Until(d.notBefore)
	text, target, sent := strings.TrimSpace(d.record.Answer), d.record.Target, d.record.Sent
	post := channels.Post{Rewrite: d.record.Rewrite, Delivery: d.id, Session: d.session}
	system.background(func() {
		m := &replied{delivery: d, sent: sent}
		if m.err = sleep(system.life, pause); m.err == nil {
			m.sent, m.err = sender.Put(system.life, target, text, sent, post)
		}
		system.tell(self, m)
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replied: the platform has taken the answer, or it will be tried again.
func (c *channel) replied(m *replied) {
	d := m.delivery
	v := d.conversation
	if v == nil || len(v.outbox) == 0 || v.outbox[0] != d {
		return // of an incarnation before this one
	}
	v.sending = false
	d.record.Sent = m.sent
	var failure *channels.ReplyError
	switch {
	case m.err == nil:
		d.state, d.record.Reason, d.record.Next = DeliveryReplied, "", time.Time{}
		c.system.options.Deliveries.ReplySent(c.name, "sent")
	case c.system.life.Err() != nil && !errors.As(m.err, &failure):
		return // the next process sends it
	default:
		c.replyFailed(d, m.err)
	}
	if d.state != DeliveryReplying {
		v.outbox = v.outbox[1:]
		c.replying--
	}
	c.note(d, nil)
	c.send(v)
	c.advance()
}

func (c *channel) replyFailed(d *delivery, err error) {
	d.record.ReplyTries++
	d.record.Reason = "the answer could not be sent: " + err.Error()
	var failure *channels.ReplyError
	permanent, after := false, time.Duration(0)
	if errors.As(err, &failure) {
		permanent, after = failure.Permanent, failure.RetryAfter
	}
	if permanent || d.record.ReplyTries >= c.options.ReplyTries {
		d.state, d.record.Next = DeliveryDead, time.Time{}
		c.system.options.Deliveries.ReplySent(c.name, "dead")
		c.log().Error("answer was given up", slog.String("delivery_id", d.id), slog.Int("tries", d.record.ReplyTries), slog.Any("error", err))
		return
	}
	wait := max(after, backoff(d.record.ReplyTries, c.options.Backoff, c.options.MaxBackoff))
	d.record.Next = time.Now().Add(wait)
	c.system.options.Deliveries.ReplySent(c.name, "retried")
	c.log().Warn("answer will be sent again", slog.String("delivery_id", d.id), slog.Duration("after", wait), slog.Any("error", err))
}

// posted: the answer stands on the platform in part. After a crash the same
// messages are filled in.
func (c *channel) posted(m *posted) {
	d := m.delivery
	if v := d.conversation; v == nil || v.running != d {
		return
	}
	d.record.Sent = m.sent
	stored := d.stored(c.name)
	stored.Updated = time.Now()
	c.system.inbox.Update(stored, func(error) {}) // without it an answer might be posted twice after a crash
}

// growing shows an answer on the platform while it is made.
type growing struct {
	mu      sync.Mutex
	text    []byte // JSON string literals' insides are decoded when they are shown
	pieces  [][]byte
	cancel  context.CancelFunc
	ended   chan struct{} // nil where nothing is shown
	sent    []string
	lastPut time.Time
}

// firstShown is how long an answer is gathered before its beginning is shown.
const firstShown = time.Second

// show begins to show the run's answer, where the platform can.
func (r *deliveryRun) show(ctx context.Context) *growing {
	g := &growing{sent: r.record.Sent}
	pace := r.options.Channel.Pace()
	if !r.live || r.record.Target == nil || pace == (channels.Pace{}) {
		return g
	}
	ended := make(chan struct{})
	ctx, g.cancel = context.WithCancel(ctx)
	if r.system.background(func() {
		defer close(ended)
		r.keepShowing(ctx, g, pace)
	}) {
		g.ended = ended
	}
	return g
}

// grow takes a piece of the answer, a JSON string literal.
func (g *growing) grow(literal []byte) {
	if g.ended == nil || len(literal) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pieces = append(g.pieces, literal)
}

// shown is the text so far.
func (g *growing) shown() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, literal := range g.pieces {
		if text, err := decode[string](literal); err == nil {
			g.text = append(g.text, text...)
		}
	}
	g.pieces = nil
	return strings.TrimSpace(string(g.text))
}

// end stops showing, after the call that is on its way, and returns in which
// messages the answer stands.
func (g *growing) end() (sent []string, lastPut time.Time) {
	if g.ended != nil {
		g.cancel()
		<-g.ended
	}
	return g.sent, g.lastPut
}

// keepShowing calls the platform at its pace until ctx ends. A call that has begun
// is ended: what it posts must be known.
func (r *deliveryRun) keepShowing(ctx context.Context, g *growing, pace channels.Pace) {
	call := context.WithoutCancel(ctx) // each is bounded in time
	log := r.system.options.Logger
	edit, working := make(<-chan time.Time), make(<-chan time.Time)
	if pace.Edit > 0 {
		timer := time.NewTimer(firstShown)
		defer timer.Stop()
		edit = timer.C
	}
	if pace.Working > 0 {
		ticker := time.NewTicker(pace.Working)
		defer ticker.Stop()
		working = ticker.C
		if err := r.options.Channel.Working(call, r.record.Target); err != nil {
			log.Debug("working could not be shown", slog.String("channel", r.name), slog.Any("error", err))
		}
	}
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-working:
			if len(g.sent) > 0 {
				continue // the answer itself shows it
			}
			if err := r.options.Channel.Working(call, r.record.Target); err != nil {
				log.Debug("working could not be shown", slog.String("channel", r.name), slog.Any("error", err))
			}
		case <-edit:
			next := pace.Edit
			if text := g.shown(); text != "" && text != last {
				before := len(g.sent)
				var err error
				g.sent, err = r.options.Channel.Put(call, r.record.Target, text, slices.Clone(g.sent),
					channels.Post{Rewrite: r.record.Rewrite, Delivery: r.id, Session: r.session})
				g.lastPut = time.Now()
				if len(g.sent) > before {
					r.system.tell(r.self, &posted{r.delivery, slices.Clone(g.sent)})
				}
				var failure *channels.ReplyError
				if errors.As(err, &failure) {
					log.Debug("answer could not be shown", slog.String("channel", r.name), slog.String("delivery_id", r.id), slog.Any("error", err))
					if failure.Permanent {
						return
					}
					next = max(next, failure.RetryAfter)
					g.lastPut = g.lastPut.Add(failure.RetryAfter)
				} else if err == nil {
					last = text
				}
			}
			edit = time.After(next)
		}
	}
}
