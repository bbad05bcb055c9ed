// Package actors holds the conversations: each is an actor whose mailbox puts
// all messages, from whatever door, in one order.
//
// A [System] owns everything: the actors, the goroutines that call the agent,
// and the journal's use. Start puts a message to a session, which accepts or
// refuses it; what then happens is read from the session's [Log] through a
// [Subscription]. A session that nobody uses is passivated and comes back from
// its journal with the next message.
//
// The life of a message: accepted, written to the journal, queued behind the
// turns before it, admitted to the gateway's running turns, answered by the
// agent in a goroutine of its own whose deltas return through the mailbox, its
// end written to the journal, and one [Fate] counted.
//
// All methods of System are safe for use by many goroutines.
package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"agentzero/agent"
	"agentzero/store"
)

// Options are the settings of a [System].
type Options struct {
	// Agent answers the conversations. Required.
	Agent agent.Agent
	// Journal keeps the sessions; nil is one in memory with its own defaults.
	Journal store.Journal
	// Logger takes what operators should know; nil discards it.
	Logger *slog.Logger
	// Observer and Deliveries hear of what metrics count; nil is nobody.
	Observer   Observer
	Deliveries DeliveryObserver
	// Channels are those of the configuration. The Journal must be a
	// [store.Inbox] too where there are any.
	Channels []ChannelOptions
	// MaxRunning is how many turns may run at once; 0 is 10,000.
	MaxRunning int
	// MaxWaiting is how many sessions may wait for a place to run; 0 is MaxRunning.
	MaxWaiting int
	// MaxLive is how many sessions stay in memory before the least recently
	// used idle ones are passivated; 0 is 100,000.
	MaxLive int
	// IdleTimeout is when an idle session is passivated; 0 is 10 minutes.
	IdleTimeout time.Duration
	// CancelTimeout is how long a cancelled agent may take to return before it
	// is given up; 0 is 5 seconds.
	CancelTimeout time.Duration
	// Resumes tells that the journal outlives the process: what waits when the
	// system is shut down is left for the next one's Resume.
	Resumes bool
	// SaveEvery is how long what a running turn of a session has said waits at
	// most to be written to the journal; 0 is 800 ms.
	SaveEvery time.Duration
	// LogWindow is how many bytes of events a session keeps for its watchers;
	// 0 is 1 MiB.
	LogWindow int
	// MaxIdempotent bounds the bytes of finished answers kept for retries; 0 is
	// 64 MiB.
	MaxIdempotent int
	// Live is what may change while the system runs.
	Live Live
}

// Observer hears of what happens to turns. Its methods are called by actors and
// must not block.
type Observer interface {
	// FirstDelta tells how long after its acceptance a turn began to speak.
	FirstDelta(after time.Duration)
	// Deltas tells that n deltas were logged.
	Deltas(n int)
	// TurnEnded tells a turn's fate and how long after its acceptance it came.
	TurnEnded(fate Fate, after time.Duration)
}

type nobody struct{}

func (nobody) FirstDelta(time.Duration)      {}
func (nobody) Deltas(int)                    {}
func (nobody) TurnEnded(Fate, time.Duration) {}

func (o *Options) setDefaults() {
	setDefault(&o.MaxRunning, 10_000)
	setDefault(&o.MaxWaiting, o.MaxRunning)
	setDefault(&o.MaxLive, 100_000)
	setDefault(&o.IdleTimeout, 10*time.Minute)
	setDefault(&o.CancelTimeout, 5*time.Second)
	setDefault(&o.SaveEvery, defaultSaveEvery)
	setDefault(&o.LogWindow, 1<<20)
	setDefault(&o.MaxIdempotent, 64<<20)
	if o.Journal == nil {
		o.Journal = store.NewMemory(store.MemoryOptions{})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Deliveries == nil {
		o.Deliveries = nobody{}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// System runs the sessions of a gateway.
type System struct {
	options    Options
	actors     *actor.ActorSystem
	root       *actor.RootContext
	registry   *registry
	admission  *admission
	idempotent *idempotent
	ledger     ledger
	channels   channelSet
	inbox      store.Inbox
	live       atomic.Pointer[Live]

	draining atomic.Bool
	stopped  atomic.Bool
	life     context.Context // ends when the last turn must end
	end      context.CancelFunc
	arriving atomic.Int64  // messages that are not accepted or refused yet
	rest     chan struct{} // receives when a message has arrived or a turn has ended while draining
	helpers  helpers
	scratch  sync.Pool // of *[]Event

	replyTimeout time.Duration
}

// NewSystem starts a system. It must be shut down.
func NewSystem(o Options) *System {
	o.setDefaults()
	s := &System{options: o, admission: newAdmission(o.MaxRunning, o.MaxWaiting), rest: make(chan struct{}, 1), replyTimeout: defaultReplyTimeout}
	s.Reload(o.Live)
	s.life, s.end = context.WithCancel(context.Background())
	s.idempotent = newIdempotent(o.MaxIdempotent)
	// protoactor's own notes (dead letters of clients that left late, start and
	// stop) matter to its developers only.
	quiet := slog.New(debugOnly{o.Logger.Handler()})
	s.actors = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(10*time.Millisecond), // a goroutine waits it out
	)
	// A session that fails is restarted whatever it did: its neighbours do not
	// notice, and a message that makes it fail is not tried again.
	s.root = s.actors.Root.WithGuardian(actor.NewRestartingStrategy())
	s.registry = newRegistry(s)
	s.background(s.keepHouse)
	s.watchJournal()
	s.channels.byName = make(map[string]*channelEntry)
	s.inbox, _ = o.Journal.(store.Inbox)
	s.ReloadChannels(o.Channels)
	return s
}

// debugOnly lowers the level of a library's log.
type debugOnly struct{ slog.Handler }

func (h debugOnly) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h debugOnly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h debugOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return debugOnly{h.Handler.WithAttrs(attrs)}
}

func (h debugOnly) WithGroup(name string) slog.Handler {
	return debugOnly{h.Handler.WithGroup(name)}
}

func (s *System) tell(to *actor.PID, message any) { s.root.Send(to, message) }

// errNoAnswer tells that an actor has not answered in time.
var errNoAnswer = &Refusal{Code: RefusedUnavailable, Message: "the session does not answer", RetryAfter: time.Second}

// defaultReplyTimeout is how long an actor may take to answer. It never waits for a
// model, only for its journal.
const defaultReplyTimeout = 30 * time.Second

// ask sends a message and waits for the reply. A [Refusal] comes back as error.
func ask[Reply any](s *System, to *actor.PID, message any) (*Reply, error) {
	answer, err := s.root.RequestFuture(to, message, s.replyTimeout).Result()
	if err != nil {
		return nil, errNoAnswer
	}
	switch answer := answer.(type) {
	case *Reply:
		return answer, nil
	case *Refusal:
		return nil, answer
	default:
		return nil, fmt.Errorf("actors: unexpected reply %T", answer)
	}
}

// Started is a turn that was accepted.
type Started struct {
	Accepted
	// Session is the session's name, "" for a conversation without one.
	Session string
	// Replayed tells that an earlier message with the same idempotency key is
	// the one that counts; the turn is that one's.
	Replayed bool
	// Events watches the turn from its beginning; nil unless it was asked for.
	// The caller closes it.
	Events *Subscription
}

// Start puts a message to the session of this key, which is made if there is
// none; a key without a name is a conversation of its own that ends with its
// answer. With idem not nil the same key and body start one turn only. The error
// is a [*Refusal].
func (s *System) Start(key Key, m StartTurn, idem *Idempotency) (*Started, error) {
	if idem != nil {
		return s.startOnce(key, m, idem)
	}
	m.Turn = NewID("turn_")
	e, sub, accepted, err := s.begin(key, &m)
	if err != nil {
		return nil, err
	}
	return s.started(e, sub, accepted), nil
}

// begin finds the session's actor and puts the message to it. One that finds out
// by it that its journal has gone on or was forgotten makes room for another.
func (s *System) begin(key Key, m *StartTurn) (*entry, *Subscription, *Accepted, error) {
	const tries = 3 // that find it out, its actor on its way out, and the next
	for n := 1; ; n++ {
		e, sub, accepted, err := s.try(key, m)
		var refusal *Refusal
		if n == tries || !errors.As(err, &refusal) || !refusal.moved {
			return e, sub, accepted, err
		}
	}
}

// try puts a message to the session's present actor. The watcher is there before
// the message, so that nothing can pass it by.
func (s *System) try(key Key, m *StartTurn) (*entry, *Subscription, *Accepted, error) {
	s.arriving.Add(1)
	defer s.arrived()
	e := s.enter(key, m.IdempotencyKey != "")
	if e == nil {
		return nil, nil, nil, errDraining
	}
	defer s.registry.unlease(e)
	var sub *Subscription
	if m.Watch {
		sub = e.log.follow(m.Turn, m.Whole)
	}
	accepted, err := ask[Accepted](s, e.pid, m)
	if err == nil {
		return e, sub, accepted, nil
	}
	if sub != nil {
		sub.Close()
	}
	if errors.Is(err, errNoAnswer) {
		s.tell(e.pid, &lostTurn{m.Turn, m.Watch})
	}
	return nil, nil, nil, err
}

var errDraining = &Refusal{Code: RefusedDraining, Message: "the gateway is shutting down", RetryAfter: time.Second}

// enter leases the entry for a message, or returns nil when none is let in. again
// tells that the same message may come again.
func (s *System) enter(key Key, again bool) *entry {
	switch {
	case s.draining.Load():
		return nil
	case key.Name == "":
		return s.registry.ephemeral(key.Owner, again)
	default:
		return s.registry.lease(key)
	}
}

func (s *System) started(e *entry, sub *Subscription, accepted *Accepted) *Started {
	if sub != nil {
		s.watching(e, sub, accepted.Follow)
	}
	return &Started{Accepted: *accepted, Session: e.key.Name, Events: sub}
}

// watching binds a subscription to a turn of a session whose actor counts the
// watcher already.
func (s *System) watching(e *entry, sub *Subscription, turn string) {
	if sub.turn != turn {
		sub.Follow(turn)
	}
	sub.onClose = func() { s.tell(e.pid, &unwatch{turn}) }
}

// Subscribe watches a session. The caller closes the subscription.
func (s *System) Subscribe(key Key, m Subscribe) (*Subscription, error) {
	e := s.registry.lease(key)
	if e == nil {
		return nil, errDraining
	}
	defer s.registry.unlease(e)
	subscribed, err := ask[Subscribed](s, e.pid, &m)
	if err != nil {
		if errors.Is(err, errNoAnswer) {
			s.tell(e.pid, &lostWatch{&m})
		}
		return nil, err
	}
	sub := e.log.subscribe(subscribed.After, "")
	sub.onClose = func() { s.tell(e.pid, &unwatch{}) }
	return sub, nil
}

// Cancel cancels a turn of a session, or with "" all that run and wait.
func (s *System) Cancel(key Key, turn string) (*Cancelled, error) {
	return request[Cancelled](s, key, &CancelTurn{Turn: turn, Reason: ReasonCancelled})
}

// Create makes a session; metadata is a JSON value or nil.
func (s *System) Create(key Key, metadata json.RawMessage) (*Description, error) {
	return request[Description](s, key, &CreateSession{Metadata: metadata})
}

// CreateWith makes a session whose conversation begins with items.
func (s *System) CreateWith(key Key, m CreateSession) (*Description, error) {
	return request[Description](s, key, &m)
}

// Describe tells of a session.
func (s *System) Describe(key Key) (*Description, error) {
	return request[Description](s, key, &Describe{})
}

// Messages reads what was said in a session.
func (s *System) Messages(key Key) (*Conversation, error) {
	return request[Conversation](s, key, &ReadMessages{})
}

// Delete ends a session and forgets it.
func (s *System) Delete(key Key) error {
	_, err := request[Deleted](s, key, &DeleteSession{})
	return err
}

func request[Reply any](s *System, key Key, message any) (*Reply, error) {
	e := s.registry.lease(key)
	if e == nil {
		return nil, errDraining
	}
	defer s.registry.unlease(e)
	return ask[Reply](s, e.pid, message)
}

// List names the sessions of an owner, the newest first, past the one named by
// after.
func (s *System) List(ctx context.Context, owner, after string, limit int) ([]Listed, error) {
	infos, err := s.options.Journal.List(ctx, owner, store.ID{Owner: owner, Name: after}, limit)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, &Refusal{Code: RefusedNotFound, Message: "there is no session " + after + " to list after"}
	case err != nil:
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	listed := make([]Listed, len(infos))
	for i, info := range infos {
		listed[i] = Listed{Name: info.ID.Name, Created: info.Created, Updated: info.Updated}
	}
	return listed, nil
}

// Ping tells whether messages can be kept.
func (s *System) Ping(ctx context.Context) error { return s.options.Journal.Ping(ctx) }

// Counts reads the ledger of messages.
func (s *System) Counts() Counts { return s.ledger.counts() }

// Live is how many sessions are in memory.
func (s *System) Live() int { return s.registry.count() }

// ended counts a turn's fate and keeps its answer for retries.
func (s *System) ended(log *Log, t *turn) {
	s.ledger.queued.Add(-1)
	s.ledger.ended[t.fate].Add(1)
	s.options.Observer.TurnEnded(t.fate, time.Since(t.accepted))
	if len(t.keys) > 0 && t.fate == FateAnswered {
		s.idempotent.answered(t.keys, t.Turn, log)
	}
	s.rested()
}
