package actors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/channels"
	"agentzero/store"
)

type pid = *actor.PID

// DeliveryObserver hears of what metrics count of deliveries. Its methods are
// called by actors and must not block.
type DeliveryObserver interface {
	// DeliveryEnded tells the state in which a delivery is over, and how long
	// after its acceptance.
	DeliveryEnded(channel, state string, after time.Duration)
	// ReplySent tells that an answer was "sent", will be "retried" or is "dead".
	ReplySent(channel, outcome string)
}

func (nobody) DeliveryEnded(string, string, time.Duration) {}
func (nobody) ReplySent(string, string)                    {}

// channelSet is the channels of a system.
type channelSet struct {
	mu     sync.RWMutex
	byName map[string]*channelEntry
	serial uint64
}

// channelEntry is a channel's place, and what outlives its actor's incarnations.
type channelEntry struct {
	name    string
	pid     *actor.PID
	options atomic.Pointer[ChannelOptions] // nil: the configuration has it no more
	gauge   channelGauge
}

// channelGauge is what can be read of a channel without asking it.
type channelGauge struct {
	accepted                  atomic.Int64
	queued, running, replying atomic.Int64
	ended                     sync.Map // DeliveryState to *atomic.Int64
}

func (g *channelGauge) set(c *channel) {
	g.queued.Store(int64(c.waiting - c.running))
	g.running.Store(int64(c.running))
	g.replying.Store(int64(c.replying))
}

func (g *channelGauge) end(state DeliveryState) {
	n, _ := g.ended.LoadOrStore(state, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// ChannelCounts is a reading of a channel's counters since the system began.
// Accepted is the sum of those that have ended, are queued, running and replying,
// less those that an earlier process has left.
type ChannelCounts struct {
	Name                      string
	Accepted                  int64
	Queued, Running, Replying int64
}

// ReloadChannels takes the channels of a configuration: new ones begin, those
// that are not among them end, and the others work on with their new settings.
func (s *System) ReloadChannels(list []ChannelOptions) {
	set := &s.channels
	set.mu.Lock()
	defer set.mu.Unlock()
	wanted := make(map[string]bool, len(list))
	for _, o := range list {
		o.setDefaults()
		name := o.Channel.Name()
		wanted[name] = true
		e := set.byName[name]
		if e == nil {
			e = &channelEntry{name: name}
			e.options.Store(&o)
			set.serial++
			e.pid = s.spawnChannel(e, set.serial)
			set.byName[name] = e
			continue
		}
		e.options.Store(&o)
		s.tell(e.pid, &configure{&o})
	}
	for name, e := range set.byName {
		if !wanted[name] && e.options.Swap(nil) != nil {
			s.tell(e.pid, &configure{})
		}
	}
}

func (s *System) spawnChannel(e *channelEntry, serial uint64) *actor.PID {
	props := actor.PropsFromProducer(func() actor.Actor {
		c := &channel{system: s, name: e.name, gauge: &e.gauge}
		if o := e.options.Load(); o != nil {
			c.options = *o
		} else {
			c.closed = true
		}
		return c
	})
	pid, err := s.root.SpawnNamed(props, "channel/"+e.name+"/"+strconv.FormatUint(serial, 36))
	if err != nil {
		panic("actors: the number of an actor's name was used before: " + err.Error())
	}
	return pid
}

// channel finds a channel that the configuration has.
func (s *System) channel(name string) (*channelEntry, *ChannelOptions, error) {
	s.channels.mu.RLock()
	e := s.channels.byName[name]
	s.channels.mu.RUnlock()
	if e != nil {
		if o := e.options.Load(); o != nil {
			return e, o, nil
		}
	}
	return nil, nil, errNoChannel
}

var errNoChannel = &Refusal{Code: RefusedNotFound, Message: "there is no channel of this name"}

func (s *System) allChannels() []*channelEntry {
	s.channels.mu.RLock()
	defer s.channels.mu.RUnlock()
	list := make([]*channelEntry, 0, len(s.channels.byName))
	for _, e := range s.channels.byName {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *channelEntry) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return list
}

// Channel is how a channel speaks with its platform.
func (s *System) Channel(name string) (*channels.Channel, error) {
	_, o, err := s.channel(name)
	if err != nil {
		return nil, err
	}
	return o.Channel, nil
}

// Channels describes all channels, by their names.
func (s *System) Channels() []ChannelDescription {
	var list []ChannelDescription
	for _, e := range s.allChannels() {
		if e.options.Load() == nil {
			continue
		}
		if d, err := ask[ChannelDescription](s, e.pid, &describeChannel{}); err == nil {
			list = append(list, *d)
		}
	}
	return list
}

// ChannelCounts reads the counters of all channels.
func (s *System) ChannelCounts() []ChannelCounts {
	var list []ChannelCounts
	for _, e := range s.allChannels() {
		g := &e.gauge
		list = append(list, ChannelCounts{
			Name: e.name, Accepted: g.accepted.Load(), Queued: g.queued.Load(), Running: g.running.Load(), Replying: g.replying.Load(),
		})
	}
	return list
}

// Deliver keeps a message of a channel and returns when it is on the disk. The
// error is a [*Refusal].
func (s *System) Deliver(name string, m *channels.Message) (*Delivered, error) {
	e, _, err := s.channel(name)
	if err != nil {
		return nil, err
	}
	return ask[Delivered](s, e.pid, &deliver{message: m, session: sessionOf(name, m.Conversation)})
}

// Await waits for a delivery's run to end, at most for a while, and returns what
// is known of it then.
func (s *System) Await(ctx context.Context, name, id string, most time.Duration) (Delivery, error) {
	e, _, err := s.channel(name)
	if err != nil {
		return Delivery{}, err
	}
	answer, err := s.root.RequestFuture(e.pid, &awaitDelivery{id}, most).Result()
	if known, ok := answer.(*deliveryKnown); err == nil && ok && known.here {
		return known.delivery, nil
	}
	return s.Delivery(ctx, name, id)
}

// Delivery reads a delivery.
func (s *System) Delivery(ctx context.Context, name, id string) (Delivery, error) {
	d, err := s.readDelivery(ctx, name, id)
	if err != nil {
		return Delivery{}, err
	}
	list := []Delivery{d.told(name)}
	s.markRunning(name, list)
	return list[0], nil
}

func (s *System) readDelivery(ctx context.Context, name, id string) (*delivery, error) {
	if _, _, err := s.channel(name); err != nil {
		return nil, err
	}
	stored, err := s.inbox.Delivery(ctx, name, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Refusal{Code: RefusedNotFound, Message: "the channel has no delivery of this id"}
	}
	if err != nil {
		return nil, errInbox
	}
	return restoreDelivery(&stored)
}

var errInbox = &Refusal{Code: RefusedUnavailable, Message: "the deliveries cannot be read", RetryAfter: time.Second}

// Deliveries lists deliveries of a channel, the newest first, past the one named
// by after; of some states only where states names them.
func (s *System) Deliveries(ctx context.Context, name string, states []DeliveryState, after string, limit int) ([]Delivery, error) {
	if _, _, err := s.channel(name); err != nil {
		return nil, err
	}
	list, err := ReadDeliveries(ctx, s.inbox, name, states, after, limit)
	if err != nil {
		return nil, err
	}
	s.markRunning(name, list)
	return list, nil
}

// ReadDeliveries lists deliveries as System.Deliveries does, of a store that a
// system may be using; those with the agent are queued there.
func ReadDeliveries(ctx context.Context, inbox store.Inbox, name string, states []DeliveryState, after string, limit int) ([]Delivery, error) {
	q := store.DeliveryQuery{Channel: name, After: after, Limit: limit}
	for _, state := range states {
		if state == DeliveryRunning {
			state = DeliveryQueued // as it is kept
		}
		q.States = append(q.States, string(state))
	}
	stored, err := inbox.Deliveries(ctx, q)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, &Refusal{Code: RefusedNotFound, Message: "there is no delivery " + after + " to list after"}
	case err != nil:
		return nil, errInbox
	}
	list := make([]Delivery, 0, len(stored))
	for i := range stored {
		d, err := restoreDelivery(&stored[i])
		if err != nil {
			return nil, err
		}
		list = append(list, d.told(name))
	}
	return list, nil
}

// markRunning sets the state of those that are with the agent, which is in the
// channel's memory alone.
func (s *System) markRunning(name string, list []Delivery) {
	if !slices.ContainsFunc(list, func(d Delivery) bool { return d.State == DeliveryQueued }) {
		return
	}
	e, _, err := s.channel(name)
	if err != nil {
		return
	}
	d, err := ask[ChannelDescription](s, e.pid, &describeChannel{})
	if err != nil {
		return
	}
	for i := range list {
		if list[i].State == DeliveryQueued && slices.Contains(d.RunningIDs, list[i].ID) {
			list[i].State = DeliveryRunning
		}
	}
}

// CountDeliveries counts the deliveries kept of a channel by their states.
func (s *System) CountDeliveries(ctx context.Context, name string) (map[string]int, error) {
	counts, err := s.inbox.CountDeliveries(ctx, name)
	if err != nil {
		return nil, errInbox
	}
	return counts, nil
}

// Replay begins a delivery anew that is over.
func (s *System) Replay(ctx context.Context, name, id string) error {
	e, _, err := s.channel(name)
	if err != nil {
		return err
	}
	d, err := s.readDelivery(ctx, name, id)
	if err != nil {
		return err
	}
	if d.state.Open() {
		return &Refusal{Code: RefusedBusy, Message: "the delivery is still being worked on"}
	}
	_, err = ask[Delivered](s, e.pid, &replayDelivery{d})
	return err
}

// sweepChannels forgets the deliveries that need not be kept.
func (s *System) sweepChannels(ctx context.Context) {
	for _, e := range s.allChannels() {
		o := e.options.Load()
		if o == nil {
			continue
		}
		for {
			n, err := s.inbox.ForgetDeliveries(ctx, e.name, time.Now().Add(-o.KeepFor), o.Keep)
			if err != nil && ctx.Err() == nil {
				s.options.Logger.Warn("deliveries that are kept too long cannot be removed", slog.String("channel", e.name), slog.Any("error", err))
			}
			if err != nil || n < store.MaxForget {
				break
			}
		}
	}
}

// drainChannels lets go of those who wait for answers.
func (s *System) drainChannels() {
	for _, e := range s.allChannels() {
		s.tell(e.pid, &channelDrains{})
	}
}

// closeChannels stops the channels' actors.
func (s *System) closeChannels() {
	for _, e := range s.allChannels() {
		_ = s.root.StopFuture(e.pid).Wait() // a timeout leaves an actor that holds nothing
		if o := e.options.Load(); o != nil {
			o.Channel.CloseIdle()
		}
	}
}

// deadLettered counts a message that was given up before it became a turn.
func (s *System) deadLettered() {
	s.ledger.accepted.Add(1)
	s.ledger.ended[FateDeadLettered].Add(1)
}
