// Package transport is the front end: it speaks HTTP, server-sent events and
// WebSocket with clients and knows the conversations only through [Sessions].
//
// A request passes the middleware (request id, Host and Origin, token, rate
// limit; see serve), then one handler. A handler that starts a turn waits for
// the turn's first events while it watches the connection, so that an early
// failure keeps its status and a client that hangs up is noticed; then it
// answers, or takes the connection over and streams (see stream). After a
// stream the connection serves further requests.
//
// What can change while the server runs is in [Live]; everything else is in
// [Options].
package transport

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// Sessions is what the front end needs of the conversations.
type Sessions interface {
	Start(key actors.Key, m actors.StartTurn, idem *actors.Idempotency) (*actors.Started, error)
	Subscribe(key actors.Key, m actors.Subscribe) (*actors.Subscription, error)
	Cancel(key actors.Key, turn string) (*actors.Cancelled, error)
	Create(key actors.Key, metadata json.RawMessage) (*actors.Description, error)
	CreateWith(key actors.Key, m actors.CreateSession) (*actors.Description, error)
	Update(key actors.Key, metadata json.RawMessage) (*actors.Description, error)
	AddItems(key actors.Key, m actors.AddItems) error
	RemoveItem(key actors.Key, m actors.RemoveItem) error
	Turn(key actors.Key, turn string, place uint64, watch bool) (*actors.ToldTurn, error)
	Hide(key actors.Key, m actors.HideTurn) error
	Describe(key actors.Key) (*actors.Description, error)
	Messages(key actors.Key) (*actors.Conversation, error)
	Delete(key actors.Key) error
	List(ctx context.Context, owner, after string, limit int) ([]actors.Listed, error)
	Overview(ctx context.Context, owner string, after actors.Key, limit int) ([]actors.Glance, error)
	Ping(ctx context.Context) error
	Counts() actors.Counts
	Live() int
}

// Models lists what can be asked for.
type Models interface {
	Models(ctx context.Context) ([]agent.Model, error)
}

// Identity is who a token stands for.
type Identity struct {
	// TokenID names the token; it is no secret.
	TokenID string
	Owner   string
	// Chat, Webhook and Admin are the token's scopes.
	Chat, Webhook, Admin bool
}

// PairError refuses a pairing.
type PairError struct {
	Message string
	// Locked tells that no code is accepted for RetryAfter.
	Locked     bool
	RetryAfter time.Duration
}

func (e *PairError) Error() string { return e.Message }

// Auth checks tokens and makes them.
type Auth interface {
	// Verify returns whom a token stands for. It may be called at any rate.
	Verify(token []byte) (Identity, bool)
	// OnRevoke calls f when the token is revoked, until cancel is called. A
	// token that is revoked already is told at once.
	OnRevoke(tokenID string, f func()) (cancel func())
	// Pair changes a code for a token, or fails with a [*PairError].
	Pair(code, name string) (token string, err error)
	// IssueTicket makes a one-use stand-in for a token.
	IssueTicket(Identity) string
	// RedeemTicket returns whom a ticket stands for, once.
	RedeemTicket(ticket string) (Identity, bool)
	// Tokens lists the tokens, oldest first.
	Tokens() []Token
	// CreateToken makes a token, which is told this once, or fails with a
	// [*TokenError].
	CreateToken(NewToken) (secret string, t Token, err error)
	// RevokeToken ends a token and what it has open, or fails with a
	// [*TokenError].
	RevokeToken(id string) error
}

// Options are the settings of a [Server].
type Options struct {
	Sessions Sessions
	Models   Models
	// Channels take webhooks; nil is none.
	Channels Channels
	// Providers tells of the model servers; nil of none.
	Providers Providers
	Auth      Auth
	Metrics   *Metrics
	// Logger takes the access log and what operators should know.
	Logger *slog.Logger
	// Version is told by the dashboard and /openapi.json.
	Version string

	// RequirePairing is false where everybody who can connect may do everything.
	RequirePairing bool
	// Loopback tells that the gateway is bound to this machine only, so that
	// only this machine's names are good in Host.
	Loopback bool
	// TrustedProxies may tell a client's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// AgentReady makes /health/ready ask whether there is an agent that answers; nil
	// asks nobody.
	AgentReady func(context.Context) error

	// MaxBodyBytes is the largest request body; 0 is 10 MiB.
	MaxBodyBytes int
	// MaxConnections is how many connections are served at once; 0 is 16,384.
	MaxConnections int
	// ReadTimeout bounds the reading of a request; 0 is 30 s.
	ReadTimeout time.Duration
	// WriteTimeout is how long a client may take nothing at all; 0 is 60 s.
	WriteTimeout time.Duration
	// StatusWait is how long a stream's status waits for the model; 0 is 10 s,
	// below 0 not at all.
	StatusWait time.Duration
	// KeepAlive is the silence after which a stream says that it is alive; 0 is 15 s.
	KeepAlive time.Duration
	// DisconnectGrace is how long a durable session's turn runs on without a
	// watcher; 0 is 30 s, below 0 not at all.
	DisconnectGrace time.Duration
	// PingInterval, PongTimeout and WebSocketIdle are those of WebSockets; 0 is
	// 30 s, 60 s and 5 min.
	PingInterval, PongTimeout, WebSocketIdle time.Duration
	// Node turns node control on; nil is off.
	Node *NodeControl
	// Live is what may change while the server runs.
	Live Live
}

// Live is the part of the settings that Reload changes.
type Live struct {
	// CORSOrigins may use the gateway from a browser, besides its own pages.
	CORSOrigins []string
	// AllowedHosts are good in Host besides the names of this machine.
	AllowedHosts []string
	// RateLimit is how many requests a token or address may make in
	// RateWindow; 0 is no limit.
	RateLimit  int
	RateWindow time.Duration
}

func (o *Options) setDefaults() {
	setDefault(&o.MaxBodyBytes, 10<<20)
	setDefault(&o.MaxConnections, 16_384)
	setDefault(&o.ReadTimeout, 30*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.StatusWait, 10*time.Second)
	setDefault(&o.KeepAlive, 15*time.Second)
	setDefault(&o.DisconnectGrace, 30*time.Second)
	setDefault(&o.PingInterval, 30*time.Second)
	setDefault(&o.PongTimeout, time.Minute)
	setDefault(&o.WebSocketIdle, 5*time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is the front end of a gateway.
type Server struct {
	options   Options
	fast      *fasthttp.Server
	limiter   *Limiter
	live      atomic.Pointer[access]
	began     time.Time
	draining  atomic.Bool
	drain     sync.Mutex // over changes of draining
	stopping  bool       // draining for good
	document  []byte     // of /openapi.json
	dashboard dashboard
	monitor   *monitor
	// life is what asks the store and the providers on behalf of requests; a
	// request's own context is used again for another.
	life context.Context
	end  context.CancelFunc

	connections connections

	mu           sync.Mutex
	streams      map[*lifeline]struct{}
	streamsEnded bool
	busy         sync.WaitGroup // of streams and WebSockets

	webSocketBuffers sync.Pool
}

// idleTimeout is how long a connection waits for a further request. It is longer
// than proxies usually keep theirs, so that they do not ask on one that ends.
const idleTimeout = 2 * time.Minute

// New makes a server. It serves with Serve and must be shut down.
func New(o Options) *Server {
	o.setDefaults()
	s := &Server{options: o, began: time.Now(), streams: make(map[*lifeline]struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.document = openAPIOf(o.Version)
	s.limiter = NewLimiter(LimiterOptions{Max: o.Live.RateLimit, Window: o.Live.RateWindow})
	s.live.Store(newAccess(o.Live, o.Loopback))
	s.fast = &fasthttp.Server{
		Handler:        s.newRouter(),
		ErrorHandler:   s.unreadable,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expect,
		// The listener bounds the connections. fasthttp does not count those
		// that stream, and counts what is being closed.
		Concurrency:        2 * o.MaxConnections,
		MaxRequestBodySize: o.MaxBodyBytes,
		ReadTimeout:        o.ReadTimeout,
		WriteTimeout:       o.WriteTimeout,
		IdleTimeout:        idleTimeout,
		// A request's header must fit in here.
		ReadBufferSize:        8 << 10,
		CloseOnShutdown:       true,
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		// Nothing here takes forms, which would be parsed into files.
		DisablePreParseMultipartForm: true,
		// Streams and WebSockets close their connections themselves.
		KeepHijackedConns: true,
		Logger:            fastLogger{o.Logger},
	}
	o.Metrics.bind(s)
	s.monitor = startMonitor(s)
	return s
}

// fastLogger puts what fasthttp says (broken requests, mostly) on the debug level.
// What it was about is left out: fasthttp shows the bytes it could not read, and
// a token may be among them.
type fastLogger struct{ *slog.Logger }

func (l fastLogger) Printf(format string, _ ...any) {
	l.Debug("http", slog.String("detail", format))
}

// Reload changes what can be changed while the server runs.
func (s *Server) Reload(l Live) {
	s.live.Store(newAccess(l, s.options.Loopback))
	s.limiter.SetLimit(l.RateLimit, l.RateWindow)
}

// Serve answers the connections of l until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	counted := &listener{
		Listener: l, all: &s.connections, most: int64(s.options.MaxConnections),
		refuse: func() []byte {
			s.options.Metrics.failed(CodeQueueFull)
			return tooManyConnections()
		},
	}
	if !s.connections.from(counted) {
		return counted.Close()
	}
	err := s.fast.Serve(counted)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Drain makes /health say so and refuses new turns. Connections and other
// requests are still served.
func (s *Server) Drain() {
	s.drain.Lock()
	defer s.drain.Unlock()
	s.stopping = true
	s.draining.Store(true)
}

// setDrained drains for an operator, or takes work again. It returns false where
// the server is on its way to its end.
func (s *Server) setDrained(drained bool) bool {
	s.drain.Lock()
	defer s.drain.Unlock()
	if s.stopping {
		return drained
	}
	s.draining.Store(drained)
	return true
}

// Shutdown ends the server: it stops accepting, ends the streams that are left
// (their turns should have ended before), and waits for all requests or ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.endStreams()
	s.monitor.end()
	defer s.end()
	s.connections.end()
	err := s.fast.ShutdownWithContext(ctx)
	done := make(chan struct{})
	go func() {
		s.busy.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
