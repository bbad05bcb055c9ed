package config

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config is a complete and valid configuration, as [Load] returns it.
type Config struct {
	// File is the absolute path of the file that was read, "" if there was none.
	File string
	// DataDir is the absolute path of the directory of the gateway's state. It
	// need not exist yet: see [EnsureDataDir].
	DataDir string

	Gateway Gateway
	Agent   Agent
	// Providers holds the tables [providers.NAME] by their names.
	Providers map[string]Provider
	// Channels holds the tables [channels.NAME] by their names.
	Channels map[string]Channel
	Sessions Sessions
	Store    Store
	Log      Log

	// origins holds the values that are not defaults, by key.
	origins map[string]Origin
	// places are where values and tables of providers and channels were written.
	places map[string]place
}

// Gateway is the table [gateway]: the HTTP front end.
type Gateway struct {
	// Host is an IP address without brackets, or a host name.
	Host string
	// Port is 0 to 65535; 0 lets the system choose.
	Port int
	// RequirePairing is false only on a loopback host.
	RequirePairing bool
	// AllowPublicBind permits a Host other machines can reach.
	AllowPublicBind bool
	// MaxBodyBytes bounds a request's body.
	MaxBodyBytes int64
	// CORSAllowedOrigins are lower-case origins (scheme://host[:port], without
	// the scheme's default port), or "*", which allows every origin whatever
	// else is listed.
	CORSAllowedOrigins []string
	// RateLimitMax is the number of requests in one RateLimitWindow; 0 turns
	// the limit off.
	RateLimitMax    int
	RateLimitWindow time.Duration
	// TrustedProxies may tell a client's address; a single address is a prefix
	// of full length.
	TrustedProxies []netip.Prefix
	// AllowedHosts are lower-case names or addresses, without port, that a
	// request's Host may have besides loopback and the bound address.
	AllowedHosts   []string
	MaxConnections int

	ReadTimeout    time.Duration
	StatusWait     time.Duration
	KeepAlive      time.Duration
	DrainTimeout   time.Duration
	WriteTimeout   time.Duration
	WSPingInterval time.Duration
	WSPongTimeout  time.Duration // longer than WSPingInterval
	WSIdleTimeout  time.Duration

	NodeControl NodeControl

	// BearerToken is the fixed token of AGENTZERO_GATEWAY_BEARER_TOKEN, unset
	// without it. It is no key of the file.
	BearerToken Secret
}

// Address is Host and Port as net.Listen takes them.
func (g Gateway) Address() string {
	return net.JoinHostPort(g.Host, strconv.Itoa(g.Port))
}

// Loopback tells whether Host is reached from this machine only: an address of
// the loopback networks, or localhost. Any other name counts as public,
// because what it resolves to can change.
func (g Gateway) Loopback() bool {
	if g.Host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(g.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

// NodeControl is the table [gateway.node_control].
type NodeControl struct {
	Enabled bool
	// AuthToken is set where Enabled is.
	AuthToken Secret
	// NodeID is this gateway's own id; "" means the machine's host name.
	NodeID string
	// AllowedNodeIDs are the nodes that may be acted on; none means all.
	AllowedNodeIDs []string
}

// Agent is the table [agent]: who answers.
type Agent struct {
	// Provider is "" (none), "auto", "demo", or a key of Config.Providers.
	Provider     string
	Model        string
	SystemPrompt string
	// DemoDelay is the demo provider's pause between two deltas.
	DemoDelay time.Duration
	// LocalServers are http or https URLs without trailing slash and /v1.
	LocalServers  []string
	DiscoverEvery time.Duration
}

// Provider is one table [providers.NAME]: a model server.
type Provider struct {
	// Kind is "openai", "anthropic" or "ollama".
	Kind string
	// BaseURL is an http or https URL without trailing slash, never empty.
	BaseURL          string
	APIKey           Secret
	DefaultModel     string
	ConnectTimeout   time.Duration
	FirstByteTimeout time.Duration
	IdleTimeout      time.Duration
	MaxRetries       int
	IncludeUsage     bool
	// Headers are sent with every request, by the names they were given.
	Headers map[string]Secret
}

// Channel is one table [channels.NAME]: a way for webhooks in and answers out.
// What a kind needs of these is the channels package's to say.
type Channel struct {
	// Kind is one of those that package channels knows.
	Kind              string
	Secret            Secret
	PublicKey         string
	Token             Secret
	APIURL            string
	Text              string
	Prompt            string
	SessionKey        string
	DeliveryID        string
	Events            []string
	Tolerance         time.Duration
	SignatureHeader   string
	SignaturePrefix   string
	SignatureEncoding string // "hex" or "base64"
	TimestampHeader   string
	// Reply is "", "platform", "url" or "none".
	Reply        string
	ReplyURL     string
	ReplySecret  Secret
	Stream       bool
	AllowPrivate bool
	Model        string
	Concurrency  int
	QueueLimit   int
	MaxTries     int
	ReplyTries   int
	Backoff      time.Duration
	KeepFor      time.Duration
	Keep         int
}

// Sessions is the table [sessions]: conversations and their turns.
type Sessions struct {
	// BusyPolicy is "queue", "reject", "interrupt", "rollback" or "collect".
	BusyPolicy      string
	QueueLimit      int
	MaxRunningTurns int
	// TurnTimeout bounds one turn; 0 means no limit.
	TurnTimeout     time.Duration
	IdleTimeout     time.Duration
	DisconnectGrace time.Duration
	LogWindowBytes  int64
	MaxLive         int
	// ContextMessages and ContextTokens bound what a model is given; 0 is no
	// limit.
	ContextMessages int
	ContextTokens   int
}

// Store is the table [store]: what keeps the conversations.
type Store struct {
	Kind string // "sqlite", "postgres" or "memory"
	// Path is sqlite's file, absolute, never empty.
	Path string
	// URL is set where Kind is postgres.
	URL Secret
	// MaxAge, MaxSessions and MaxBytes say what is kept; 0 is no limit.
	MaxAge      time.Duration
	MaxSessions int
	MaxBytes    int64
}

// Log is the table [log].
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}
