package main

import (
	"net/netip"
	"os"
	"slices"
	"time"

	"agentzero/actors"
	"agentzero/config"
	"agentzero/store"
	"agentzero/transport"
)

// The parts take plain options; here the configuration is put into them.

func systemOptions(c *config.Config, g *gateway) actors.Options {
	return actors.Options{
		Agent:       g.agent,
		Journal:     g.journal,
		Logger:      g.log,
		Observer:    g.metrics,
		Deliveries:  g.metrics,
		Channels:    g.channels,
		MaxRunning:  c.Sessions.MaxRunningTurns,
		MaxLive:     c.Sessions.MaxLive,
		IdleTimeout: c.Sessions.IdleTimeout,
		LogWindow:   int(c.Sessions.LogWindowBytes),
		Resumes:     c.Store.Kind != storeMemory,
		Live:        systemLive(c),
	}
}

func systemLive(c *config.Config) actors.Live {
	return actors.Live{
		SystemPrompt: c.Agent.SystemPrompt,
		BusyPolicy:   actors.BusyPolicy(c.Sessions.BusyPolicy),
		QueueLimit:   c.Sessions.QueueLimit,
		TurnTimeout:  c.Sessions.TurnTimeout,

		ContextMessages: c.Sessions.ContextMessages,
		ContextTokens:   c.Sessions.ContextTokens,
		Retention:       store.Retention{MaxAge: c.Store.MaxAge, MaxSessions: c.Store.MaxSessions, MaxBytes: c.Store.MaxBytes},
	}
}

func serverOptions(c *config.Config, g *gateway) transport.Options {
	h := c.Gateway
	return transport.Options{
		Sessions:        g.system,
		Models:          g.agent,
		Channels:        g.system,
		Providers:       g.agent,
		Auth:            keyringAuth{g.keyring},
		Metrics:         g.metrics,
		Logger:          g.log,
		Version:         readVersion().Version,
		RequirePairing:  h.RequirePairing,
		Loopback:        h.Loopback(),
		TrustedProxies:  h.TrustedProxies,
		AgentReady:      g.agent.Ready,
		MaxBodyBytes:    int(h.MaxBodyBytes),
		MaxConnections:  h.MaxConnections,
		ReadTimeout:     h.ReadTimeout,
		WriteTimeout:    h.WriteTimeout,
		StatusWait:      orNone(h.StatusWait),
		KeepAlive:       h.KeepAlive,
		DisconnectGrace: orNone(c.Sessions.DisconnectGrace),
		PingInterval:    h.WSPingInterval,
		PongTimeout:     h.WSPongTimeout,
		WebSocketIdle:   h.WSIdleTimeout,
		Node:            nodeControl(c.Gateway.NodeControl),
		Live:            serverLive(c),
	}
}

// orNone puts a time that may be none in the parts' words, where 0 means their
// default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func nodeControl(n config.NodeControl) *transport.NodeControl {
	if !n.Enabled {
		return nil
	}
	return &transport.NodeControl{Token: n.AuthToken.Reveal(), ID: nodeID(n), Allowed: n.AllowedNodeIDs}
}

// nodeID is this gateway's name among others.
func nodeID(n config.NodeControl) string {
	if n.NodeID != "" {
		return n.NodeID
	}
	name, _ := os.Hostname() // a machine without a name has a node without one
	return name
}

func serverLive(c *config.Config) transport.Live {
	hosts := slices.Clone(c.Gateway.AllowedHosts)
	if _, err := netip.ParseAddr(c.Gateway.Host); err != nil && !c.Gateway.Loopback() {
		hosts = append(hosts, c.Gateway.Host) // it is bound by its name
	}
	return transport.Live{
		CORSOrigins:  c.Gateway.CORSAllowedOrigins,
		AllowedHosts: hosts,
		RateLimit:    c.Gateway.RateLimitMax,
		RateWindow:   c.Gateway.RateLimitWindow,
	}
}
