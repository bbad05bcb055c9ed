package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentzero/agent"
	"agentzero/agent/discovery"
	"agentzero/config"
	"agentzero/daemon"
)

// discover makes the agent that answers with the best model server there is.
func (a *liveAgent) discover(c *config.Config) *discovery.Auto {
	options := discovery.Options{Addresses: c.Agent.LocalServers, Skip: []string{a.own}}
	return discovery.NewAuto(discovery.AutoOptions{
		Find:   func(ctx context.Context) []discovery.Server { return discovery.Find(ctx, options) },
		Open:   func(s discovery.Server) discovery.Provider { return a.open(s) },
		Every:  c.Agent.DiscoverEvery,
		Logger: a.log,
	})
}

// open makes the agent of a server that was found. Its errors and its retries
// bear the name auto: a metric has no place for what comes and goes.
func (a *liveAgent) open(s discovery.Server) provider {
	if s.Kind == discovery.Ollama {
		return agent.NewOllama(agent.OllamaOptions{Name: autoName, BaseURL: s.Address, Observer: a.metrics})
	}
	return agent.NewOpenAI(agent.OpenAIOptions{Name: autoName, BaseURL: s.Address + "/v1", Observer: a.metrics})
}

// describeAgent says who answers, in one line.
func (g *gateway) describeAgent() string {
	auto := g.agent.current.Load().auto
	if auto == nil {
		return describeAgent(g.config)
	}
	servers := auto.Servers()
	if len(servers) == 0 {
		return "auto: no local model server answers yet; one that is started is used"
	}
	text := "auto: " + describeServer(servers[0])
	return text + ", model " + firstOf(g.config.Agent.Model, servers[0].Default())
}

// otherServers are those that were found besides, a line each.
func (g *gateway) otherServers() []string {
	auto := g.agent.current.Load().auto
	if auto == nil {
		return nil
	}
	var lines []string
	for i, s := range auto.Servers() {
		if i > 0 {
			lines = append(lines, "also found: "+describeServer(s)+", "+countModels(len(s.Models)))
		}
	}
	return lines
}

func describeServer(s discovery.Server) string {
	name := string(s.Kind)
	if s.Version != "" {
		name += " " + s.Version
	}
	return name + " at " + s.Address
}

func countModels(n int) string {
	if n == 1 {
		return "1 model"
	}
	return fmt.Sprintf("%d models", n)
}

func newDiscoverCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "Show the model servers on this machine",
		Long: `Show the model servers that answer on this machine, the best first: the one that
agent.provider = "auto" would use. The well-known ports of Ollama, LM Studio,
llama.cpp, LocalAI, vLLM, SGLang and Jan are asked, and the addresses of
agent.local_servers, all at once and for one second at most. The exit code is 0
whether any is found or not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			servers := discovery.Find(cmd.Context(), discovery.Options{Addresses: c.Agent.LocalServers, Skip: ownAddresses(c)})
			if asJSON {
				return writeJSON(a.stdout, serversJSON(servers))
			}
			return a.printServers(c, servers)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// ownAddresses are where this machine's gateway listens or would.
func ownAddresses(c *config.Config) []string {
	own := []string{net.JoinHostPort(c.Gateway.Host, strconv.Itoa(c.Gateway.Port))}
	if found, err := daemon.Look(c.DataDir); err == nil && found.Running {
		if u, err := url.Parse(found.State.Address); err == nil && u.Host != "" {
			own = append(own, u.Host)
		}
	}
	return own
}

type serverJSON struct {
	discovery.Server
	LatencyMS float64 `json:"latency_ms"`
}

func serversJSON(servers []discovery.Server) []serverJSON {
	list := make([]serverJSON, len(servers))
	for i, s := range servers {
		list[i] = serverJSON{s, float64(s.Latency.Microseconds()) / 1000}
	}
	return list
}

// shownModels is how many models a line of the table names.
const shownModels = 3

func (a *app) printServers(c *config.Config, servers []discovery.Server) error {
	if len(servers) == 0 {
		_, err := fmt.Fprintln(a.stdout, "No model server answers on this machine.\n"+
			"Start one (for example: ollama serve), or name its address in agent.local_servers.")
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVER\tADDRESS\tVERSION\tLATENCY\tMODELS")
	for _, s := range servers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Kind, s.Address, firstOf(s.Version, "-"), s.Latency.Round(100*time.Microsecond), namedModels(s))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if c.Agent.Provider != autoName && servers[0].Usable() {
		_, err := fmt.Fprintf(a.stdout, "\nTo use the first: agent.provider = \"auto\" in the configuration, or AGENTZERO_AGENT__PROVIDER=auto.\n")
		return err
	}
	return nil
}

func namedModels(s discovery.Server) string {
	if s.NeedsKey {
		return "asks for a key: configure it as [providers.NAME]"
	}
	if len(s.Models) == 0 {
		return "none"
	}
	var names []string
	for _, m := range s.Models[:min(len(s.Models), shownModels)] {
		names = append(names, m.ID)
	}
	text := strings.Join(names, ", ")
	if more := len(s.Models) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
