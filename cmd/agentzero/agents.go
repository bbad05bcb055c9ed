package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"agentzero/agent"
	"agentzero/agent/discovery"
	"agentzero/config"
	"agentzero/transport"
)

// The names under which the built-in agent, and the best of this machine's model
// servers, are chosen and counted.
const (
	demoName = "demo"
	autoName = "auto"
)

// liveAgent is the agent of a gateway whose providers a reload can exchange.
// Calls in flight end with the providers they began with.
type liveAgent struct {
	metrics *transport.Metrics
	log     *slog.Logger
	own     string // the host:port of this gateway
	current atomic.Pointer[providers]
}

// providers are those of one configuration.
type providers struct {
	router   *agent.Router
	catalog  *agent.Catalog
	auto     *discovery.Auto // nil unless it is the default provider
	settings map[string]config.Provider
	closers  []interface{ Close() }
}

func newLiveAgent(c *config.Config, m *transport.Metrics, log *slog.Logger, own string) *liveAgent {
	a := &liveAgent{metrics: m, log: log, own: own}
	a.current.Store(a.providers(c))
	return a
}

// Run implements agent.Agent.
func (a *liveAgent) Run(ctx context.Context, req *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	return a.current.Load().router.Run(ctx, req, emit)
}

// Models implements transport.Models.
func (a *liveAgent) Models(ctx context.Context) ([]agent.Model, error) {
	return a.current.Load().catalog.Models(ctx)
}

// Ready tells whether the default provider answers.
func (a *liveAgent) Ready(ctx context.Context) error {
	return a.current.Load().router.Ready(ctx)
}

// replace takes the providers of another configuration.
func (a *liveAgent) replace(c *config.Config) {
	a.current.Swap(a.providers(c)).close()
}

func (a *liveAgent) close() { a.current.Load().close() }

func (p *providers) close() {
	for _, c := range p.closers {
		c.Close()
	}
}

func (a *liveAgent) providers(c *config.Config) *providers {
	m := a.metrics
	p := &providers{settings: c.Providers}
	agents := make(map[string]agent.Agent, len(c.Providers)+1)
	for name, settings := range c.Providers {
		provider := newProvider(name, settings, m)
		p.closers = append(p.closers, provider)
		agents[name] = agent.Observe(name, provider, m)
	}
	if c.Agent.Provider == demoName {
		agents[demoName] = agent.Observe(demoName, agent.NewDemo(agent.DemoOptions{Delay: c.Agent.DemoDelay}), m)
	}
	if c.Agent.Provider == autoName {
		p.auto = a.discover(c)
		p.closers = append(p.closers, p.auto)
		agents[autoName] = agent.Observe(autoName, p.auto, m)
	}
	p.router = agent.NewRouter(agent.RouterOptions{Agents: agents, Default: c.Agent.Provider, DefaultModel: c.Agent.Model})
	options := agent.CatalogOptions{}
	if p.auto != nil {
		options.TTL = time.Second // what was found last is told without asking again
	}
	p.catalog = agent.NewCatalog(p.router, options)
	return p
}

// provider is a model server as the configuration names it.
type provider interface {
	agent.Provider
	Close()
}

// minWhole is how long an answer that is not streamed may take to come, however
// short the time to the first byte of a stream is.
const minWhole = 10 * time.Minute

func newProvider(name string, p config.Provider, m *transport.Metrics) provider {
	headers := make(map[string]string, len(p.Headers))
	for header, value := range p.Headers {
		headers[header] = value.Reveal()
	}
	timeouts := agent.Timeouts{
		Connect: p.ConnectTimeout, FirstByte: p.FirstByteTimeout, Whole: max(p.FirstByteTimeout, minWhole), Idle: p.IdleTimeout,
	}
	retry := agent.Retry{Max: p.MaxRetries}
	if p.MaxRetries == 0 {
		retry.Max = -1 // 0 means the default there
	}
	switch p.Kind {
	case "anthropic":
		return agent.NewAnthropic(agent.AnthropicOptions{
			Name: name, BaseURL: p.BaseURL, APIKey: p.APIKey.Reveal(), DefaultModel: p.DefaultModel,
			Headers: headers, Timeouts: timeouts, Retry: retry, Observer: m,
		})
	case "ollama":
		return agent.NewOllama(agent.OllamaOptions{
			Name: name, BaseURL: p.BaseURL, APIKey: p.APIKey.Reveal(), DefaultModel: p.DefaultModel,
			Headers: headers, Timeouts: timeouts, Retry: retry, Observer: m,
		})
	default: // the configuration knows no fourth kind
		return agent.NewOpenAI(agent.OpenAIOptions{
			Name: name, BaseURL: p.BaseURL, APIKey: p.APIKey.Reveal(), DefaultModel: p.DefaultModel,
			NoStreamUsage: !p.IncludeUsage, Headers: headers, Timeouts: timeouts, Retry: retry, Observer: m,
		})
	}
}
