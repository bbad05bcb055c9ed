package config

import (
	"fmt"
	"slices"
	"strings"
)

// fault is what is wrong with a key's value, seen together with others.
type fault struct {
	key, text string
	// other is the key to look at where key itself has its default, or "".
	other string
}

// validate checks what no single value can tell.
func validate(c *Config) []fault {
	var faults []fault
	add := func(key, format string, args ...any) {
		faults = append(faults, fault{key: key, text: fmt.Sprintf(format, args...)})
	}
	g := c.Gateway
	if !g.Loopback() && !g.AllowPublicBind {
		add("gateway.host", "%q can be reached from other machines, and gateway.allow_public_bind is false: set that to true if this is meant, or use 127.0.0.1", g.Host)
	}
	if !g.Loopback() && !g.RequirePairing {
		add("gateway.require_pairing", "false is for a loopback host only, because whoever reaches %q could use the gateway: set it to true, or gateway.host to 127.0.0.1", g.Host)
	}
	if g.WSPongTimeout <= g.WSPingInterval {
		add("gateway.ws_pong_timeout", "got %s, want longer than gateway.ws_ping_interval, which is %s",
			formatDuration(g.WSPongTimeout), formatDuration(g.WSPingInterval))
		faults[len(faults)-1].other = "gateway.ws_ping_interval"
	}
	if g.NodeControl.Enabled && !g.NodeControl.AuthToken.IsSet() {
		add("gateway.node_control.enabled", "true needs a token of its own: set gateway.node_control.auth_token, for example to \"env:NODE_TOKEN\"")
		faults[len(faults)-1].other = "gateway.node_control.auth_token"
	}
	if c.Store.Kind == "postgres" && !c.Store.URL.IsSet() {
		add("store.kind", `"postgres" needs a database: set store.url, for example to "env:DATABASE_URL"`)
	}
	for _, name := range c.providerNames() {
		if c.Providers[name].Kind == "" {
			add(joinKey([]string{providersTable, name, "kind"}), "is missing, want %s", oneOf(providerKinds()).want)
		}
	}
	for _, name := range c.channelNames() {
		if c.Channels[name].Kind == "" {
			add(joinKey([]string{channelsTable, name, "kind"}), "is missing, want %s", oneOf(channelKinds()).want)
		}
	}
	if text := agentProviderFault(c); text != "" {
		add("agent.provider", "%s", text)
	}
	return faults
}

func agentProviderFault(c *Config) string {
	chosen := c.Agent.Provider
	if _, ok := c.Providers[chosen]; ok || chosen == "" || chosen == "demo" || chosen == "auto" {
		return ""
	}
	configured := c.providerNames()
	if len(configured) == 0 {
		return fmt.Sprintf(`no provider %s is configured: add a table [providers.%s], or use "demo"`, quote(chosen), quoteKey(chosen))
	}
	near := closest(chosen, configured)
	if near != "" {
		near = quote(near)
	}
	return fmt.Sprintf("no provider %s is configured, want %s or \"demo\"%s", quote(chosen), quoteAll(configured), didYouMean(near))
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

// nameFault says why a provider or a channel cannot have this name, or "".
func nameFault(table, name string) string {
	what := "provider"
	if table == channelsTable {
		what = "channel"
	}
	if table == providersTable && slices.Contains([]string{"demo", "auto"}, name) {
		return "the name is reserved, choose another"
	}
	valid := name != "" && len(name) <= 64 && name[0] != '-' && name[0] != '_'
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			valid = false
		}
	}
	if !valid {
		return "not a name for a " + what + ", want 1 to 64 lower-case letters, digits, _ and -, and a letter or digit first"
	}
	return ""
}
