package config

import (
	"log/slog"
	"net/netip"
	"time"
)

const (
	providersTable  = "providers"
	providerSection = providersTable + "." + anyName
	channelsTable   = "channels"
	channelSection  = channelsTable + "." + anyName
)

// allKeys is the key table: the one place where a key's name, type, limits,
// default and meaning are written down.
func allKeys() []key {
	var keys []key
	for _, section := range [][]key{
		topKeys(), gatewayKeys(), nodeControlKeys(), agentKeys(), providerKeys(), channelKeys(), sessionKeys(), storeKeys(), logKeys(),
	} {
		keys = append(keys, section...)
	}
	return keys
}

func topKeys() []key {
	return []key{
		define("data_dir", text("the path of a directory"), "~/.agentzero",
			func(c *Config) *string { return &c.DataDir },
			"Directory of the gateway's state, made with mode 0700. A relative path starts at this file's directory. Flag --data-dir."),
	}
}

func gatewayKeys() []key {
	timeout := duration(time.Millisecond, time.Hour)
	return []key{
		define("gateway.host", host(), "127.0.0.1",
			func(c *Config) *string { return &c.Gateway.Host },
			"Address or name to listen on. One that other machines can reach needs allow_public_bind."),
		define("gateway.port", integer(0, 65535), 42617,
			func(c *Config) *int { return &c.Gateway.Port },
			"Port to listen on; 0 lets the system choose."),
		define("gateway.require_pairing", boolean(), true,
			func(c *Config) *bool { return &c.Gateway.RequirePairing },
			"Whether a client needs a token, which it gets by pairing. Can be false on a loopback host only."),
		define("gateway.allow_public_bind", boolean(), false,
			func(c *Config) *bool { return &c.Gateway.AllowPublicBind },
			"Whether host may be one that other machines can reach."),
		define("gateway.max_body_bytes", byteCount(1<<10, 1<<30), 10485760,
			func(c *Config) *int64 { return &c.Gateway.MaxBodyBytes },
			"Largest request body; a larger one is answered 413."),
		live(define("gateway.cors_allowed_origins", listOf(origin()), []string{},
			func(c *Config) *[]string { return &c.Gateway.CORSAllowedOrigins },
			"Web origins besides the gateway's own that may call it from a browser. \"*\" allows every one, whatever else is listed.")),
		live(define("gateway.rate_limit_max", integer(0, 1_000_000), 600,
			func(c *Config) *int { return &c.Gateway.RateLimitMax },
			"Requests in one window per token, or per address where there is no token; 0 turns the limit off.")),
		live(define("gateway.rate_limit_window_secs", seconds(1, 86400), time.Minute,
			func(c *Config) *time.Duration { return &c.Gateway.RateLimitWindow },
			"Length of the window of rate_limit_max, in seconds.")),
		define("gateway.trusted_proxies", listOf(proxy()), []netip.Prefix{},
			func(c *Config) *[]netip.Prefix { return &c.Gateway.TrustedProxies },
			"Proxies whose X-Forwarded-For is believed."),
		live(define("gateway.allowed_hosts", listOf(host()), []string{},
			func(c *Config) *[]string { return &c.Gateway.AllowedHosts },
			"Host names that requests may carry besides loopback's and the bound address.")),
		define("gateway.max_connections", integer(1, 1_000_000), 16384,
			func(c *Config) *int { return &c.Gateway.MaxConnections },
			"Connections open at once; further ones are refused."),
		define("gateway.read_timeout", timeout, 30*time.Second,
			func(c *Config) *time.Duration { return &c.Gateway.ReadTimeout },
			"Time a client has to send a whole request."),
		define("gateway.write_timeout", timeout, time.Minute,
			func(c *Config) *time.Duration { return &c.Gateway.WriteTimeout },
			"Time without progress after which a slow reader is cut off."),
		define("gateway.status_wait", duration(0, time.Hour), 10*time.Second,
			func(c *Config) *time.Duration { return &c.Gateway.StatusWait },
			"How long a stream's headers wait for the upstream's first bytes, so that its early failure keeps its HTTP status."),
		define("gateway.keep_alive", timeout, 15*time.Second,
			func(c *Config) *time.Duration { return &c.Gateway.KeepAlive },
			"Silence on an event stream after which a comment keeps it open."),
		define("gateway.drain_timeout", duration(0, time.Hour), 30*time.Second,
			func(c *Config) *time.Duration { return &c.Gateway.DrainTimeout },
			"Time that open streams have to finish at shutdown."),
		define("gateway.ws_ping_interval", timeout, 30*time.Second,
			func(c *Config) *time.Duration { return &c.Gateway.WSPingInterval },
			"Time between two pings of a WebSocket."),
		define("gateway.ws_pong_timeout", timeout, time.Minute,
			func(c *Config) *time.Duration { return &c.Gateway.WSPongTimeout },
			"Time without a pong after which a WebSocket is closed; longer than ws_ping_interval."),
		define("gateway.ws_idle_timeout", duration(time.Millisecond, 7*24*time.Hour), 5*time.Minute,
			func(c *Config) *time.Duration { return &c.Gateway.WSIdleTimeout },
			"Time without a message after which a WebSocket is closed."),
	}
}

func nodeControlKeys() []key {
	return []key{
		define("gateway.node_control.enabled", boolean(), false,
			func(c *Config) *bool { return &c.Gateway.NodeControl.Enabled },
			"Whether nodes can be listed and drained by POST /api/node-control. Needs auth_token."),
		define("gateway.node_control.auth_token", secret(), Secret{},
			func(c *Config) *Secret { return &c.Gateway.NodeControl.AuthToken },
			"Token of node control; no other token opens it, and it opens nothing else."),
		define("gateway.node_control.node_id", text("an id, or \"\" for the machine's host name"), "",
			func(c *Config) *string { return &c.Gateway.NodeControl.NodeID },
			"Id of this gateway among the nodes; \"\" means the machine's host name."),
		define("gateway.node_control.allowed_node_ids", listOf(nonEmpty("a node's id")), []string{},
			func(c *Config) *[]string { return &c.Gateway.NodeControl.AllowedNodeIDs },
			"Nodes that node control may act on; an empty list means all."),
	}
}

func agentKeys() []key {
	return []key{
		live(define("agent.provider", text("\"\", \"auto\", \"demo\", or the name of a table [providers.NAME]"), "",
			func(c *Config) *string { return &c.Agent.Provider },
			"Who answers: \"auto\" (the best model server found on this machine), \"demo\" (built in), or the NAME of a table [providers.NAME]. Without one, requests are answered 503.")),
		live(define("agent.model", text("a model's name"), "",
			func(c *Config) *string { return &c.Agent.Model },
			"Model for requests that name none; \"\" means the provider's default_model.")),
		live(define("agent.system_prompt", text("a string"), "",
			func(c *Config) *string { return &c.Agent.SystemPrompt },
			"System message put before conversations that have none.")),
		live(define("agent.demo_delay", duration(0, time.Minute), 30*time.Millisecond,
			func(c *Config) *time.Duration { return &c.Agent.DemoDelay },
			"Pause between two words of the demo provider.")),
		live(define("agent.local_servers", listOf(serverAddress()), []string{},
			func(c *Config) *[]string { return &c.Agent.LocalServers },
			"Model servers that \"auto\" looks at first, besides the well-known ports of this machine: host:port or URL.")),
		live(define("agent.discover_every", duration(time.Second, 24*time.Hour), 10*time.Second,
			func(c *Config) *time.Duration { return &c.Agent.DiscoverEvery },
			"Time between two searches of \"auto\" for model servers.")),
	}
}

func providerKeys() []key {
	timeout := duration(time.Millisecond, time.Hour)
	return []key{
		withExample(`"openai"`, defineProvider("kind", oneOf(providerKinds()), "",
			func(p *Provider) *string { return &p.Kind },
			"Which API the server speaks. Required.")),
		withExample(`"https://api.openai.com/v1"`, defineProvider("base_url", baseURL(), "",
			func(p *Provider) *string { return &p.BaseURL },
			"Address of the API; for openai as OpenAI's clients mean it, ending in /v1. \"\" means https://api.openai.com/v1, https://api.anthropic.com or http://127.0.0.1:11434, by kind.")),
		withExample(`"env:OPENAI_API_KEY"`, defineProvider("api_key", secret(), Secret{},
			func(p *Provider) *Secret { return &p.APIKey },
			"Key of the API.")),
		defineProvider("default_model", text("a model's name"), "",
			func(p *Provider) *string { return &p.DefaultModel },
			"Model where neither the request nor agent.model names one."),
		defineProvider("connect_timeout", timeout, 10*time.Second,
			func(p *Provider) *time.Duration { return &p.ConnectTimeout },
			"Time to connect, TLS included."),
		defineProvider("first_byte_timeout", timeout, 2*time.Minute,
			func(p *Provider) *time.Duration { return &p.FirstByteTimeout },
			"Time from the request to a streamed answer's first byte. One that is not streamed has at least 10 minutes, because it comes when it is whole."),
		defineProvider("idle_timeout", timeout, 2*time.Minute,
			func(p *Provider) *time.Duration { return &p.IdleTimeout },
			"Silence within an answer after which it counts as broken off."),
		defineProvider("max_retries", integer(0, 10), 2,
			func(p *Provider) *int { return &p.MaxRetries },
			"Further tries of a call that failed before its first byte."),
		defineProvider("include_usage", boolean(), true,
			func(p *Provider) *bool { return &p.IncludeUsage },
			"Whether to ask for the token usage of streamed answers."),
		defineProvider("headers", headers(), map[string]Secret{},
			func(p *Provider) *map[string]Secret { return &p.Headers },
			"Further request headers; each value may be a secret's reference."),
	}
}

func sessionKeys() []key {
	return []key{
		live(define("sessions.busy_policy", oneOf([]string{"queue", "reject", "interrupt", "rollback", "collect"}), "queue",
			func(c *Config) *string { return &c.Sessions.BusyPolicy },
			"What a message does that meets a running turn, where its request does not say: wait, be refused, cancel the turn and keep its partial answer, cancel and remove it, or be merged with others that wait.")),
		live(define("sessions.queue_limit", integer(1, 100_000), 20,
			func(c *Config) *int { return &c.Sessions.QueueLimit },
			"Messages that may wait in one session; further ones are answered 429.")),
		define("sessions.max_running_turns", integer(1, 1_000_000), 10000,
			func(c *Config) *int { return &c.Sessions.MaxRunningTurns },
			"Turns that run at once in the whole gateway."),
		live(define("sessions.turn_timeout", duration(0, 24*time.Hour), 10*time.Minute,
			func(c *Config) *time.Duration { return &c.Sessions.TurnTimeout },
			"Longest turn; 0 means no limit.")),
		define("sessions.idle_timeout", duration(time.Millisecond, 30*24*time.Hour), 10*time.Minute,
			func(c *Config) *time.Duration { return &c.Sessions.IdleTimeout },
			"Time without work and watchers after which a session leaves the memory."),
		define("sessions.disconnect_grace", duration(0, time.Hour), 30*time.Second,
			func(c *Config) *time.Duration { return &c.Sessions.DisconnectGrace },
			"How long a turn goes on when its last watcher is gone."),
		define("sessions.log_window_bytes", size(4<<10, 1<<30), 1<<20,
			func(c *Config) *int64 { return &c.Sessions.LogWindowBytes },
			"Events kept for each session, from which a reader can resume."),
		live(define("sessions.context_messages", integer(0, 1_000_000), 200,
			func(c *Config) *int { return &c.Sessions.ContextMessages },
			"Messages of a session that the model is given at most, the newest; the oldest turns are left out first, the system message never. 0 means no limit.")),
		live(define("sessions.context_tokens", integer(0, 100_000_000), 0,
			func(c *Config) *int { return &c.Sessions.ContextTokens },
			"As context_messages, in tokens, which are estimated at four bytes each. 0 means no limit.")),
		define("sessions.max_live", integer(1, 10_000_000), 100000,
			func(c *Config) *int { return &c.Sessions.MaxLive },
			"Sessions in memory at once."),
	}
}

func storeKeys() []key {
	return []key{
		define("store.kind", oneOf([]string{"sqlite", "postgres", "memory"}), "sqlite",
			func(c *Config) *string { return &c.Store.Kind },
			"What keeps the conversations: one file, a PostgreSQL database (for fleets), or memory, which forgets them at the gateway's end."),
		define("store.path", text("the path of a file"), "",
			func(c *Config) *string { return &c.Store.Path },
			"File of sqlite; \"\" means agentzero.db in the data directory. A relative path starts at this file's directory."),
		define("store.url", secret(), Secret{},
			func(c *Config) *Secret { return &c.Store.URL },
			"Connection string of postgres, such as postgres://user:password@host/database, or better a reference to it."),
		live(define("store.max_age", duration(0, 100*365*24*time.Hour), 0,
			func(c *Config) *time.Duration { return &c.Store.MaxAge },
			"Time after its last message when a session is deleted; 0 means never.")),
		live(define("store.max_sessions", integer(0, 100_000_000), 0,
			func(c *Config) *int { return &c.Store.MaxSessions },
			"Sessions kept; past it the one written longest ago is deleted. 0 means no limit, for memory 10000.")),
		live(define("store.max_bytes", size(0, 1<<40), 0,
			func(c *Config) *int64 { return &c.Store.MaxBytes },
			"Bytes kept of all sessions; past it the one written longest ago is deleted. 0 means no limit, for memory 256MiB.")),
	}
}

func logKeys() []key {
	return []key{
		live(define("log.level", level(), slog.LevelInfo,
			func(c *Config) *slog.Level { return &c.Log.Level },
			"Least level that is logged.")),
		define("log.format", oneOf([]string{"text", "json"}), "text",
			func(c *Config) *string { return &c.Log.Format },
			"Form of a line of the log."),
	}
}

// providerKinds returns the APIs that the agent package speaks.
func providerKinds() []string { return []string{"openai", "anthropic", "ollama"} }

// defaultBaseURL is where a kind of provider is found.
func defaultBaseURL(kind string) string {
	switch kind {
	case "anthropic":
		return "https://api.anthropic.com"
	case "ollama":
		return "http://127.0.0.1:11434"
	default:
		return "https://api.openai.com/v1"
	}
}
