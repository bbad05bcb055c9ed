package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"agentzero/config"
)

// banner is what a person who has started the gateway wants to know: where it
// is, who answers, and how to get in. It is the only place where a pairing code
// is printed, and goes to standard output, not to the log; without withCode it
// can go to either.
func (g *gateway) banner(withCode bool) string {
	return "agentzero " + readVersion().Version + "\n" + strings.Join(g.bannerLines(withCode), "\n") + "\n"
}

// bannerLines are those of the banner but the first.
func (g *gateway) bannerLines(withCode bool) []string {
	url := baseURL(g.listener.Addr())
	var lines []string
	line := func(name, text string) { lines = append(lines, fmt.Sprintf("  %-10s %s", name, text)) }
	line("address", url)
	line("dashboard", url+"/")
	line("agent", g.describeAgent())
	for _, text := range g.otherServers() {
		line("", text)
	}
	for i, text := range g.describePairing(url, withCode) {
		name := "pairing"
		if i > 0 {
			name = ""
		}
		line(name, text)
	}
	return lines
}

// baseURL is where a client on this machine finds the gateway.
func baseURL(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	host := at.Addr().Unmap()
	if host.IsUnspecified() {
		host = netip.MustParseAddr("127.0.0.1")
	}
	return "http://" + netip.AddrPortFrom(host, at.Port()).String()
}

func describeAgent(c *config.Config) string {
	name := c.Agent.Provider
	var text string
	switch {
	case name == "" && len(c.Providers) == 0:
		return "none: requests are answered 503 until agent.provider is set; --demo starts the built-in one"
	case name == "":
		return "none by default: a request names its provider with the model, as provider/model"
	case name == demoName:
		return "demo, built in (no model behind it; set agent.provider to use one)"
	default:
		p := c.Providers[name]
		text = fmt.Sprintf("%s (%s at %s)", name, p.Kind, p.BaseURL)
		if model := firstOf(c.Agent.Model, p.DefaultModel); model != "" {
			text += ", model " + model
		}
	}
	return text
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// describePairing tells how to get a token, in one line or several.
func (g *gateway) describePairing(url string, withCode bool) []string {
	if !g.config.Gateway.RequirePairing {
		return []string{"off: everybody on this machine may use the gateway"}
	}
	if code, expires, ok := g.keyring.PairingCode(); ok {
		if !withCode {
			return []string{"no client is paired yet; to get a token: agentzero token create --name NAME"}
		}
		return []string{
			fmt.Sprintf("one-time code %s, good for %.0f minutes:", code, time.Until(expires).Minutes()),
			fmt.Sprintf("curl -X POST -H 'X-Pairing-Code: %s' %s/pair", code, url),
		}
	}
	const another = "to add one: agentzero token create --name NAME; --new-pairing revokes all and starts over"
	switch n := len(g.keyring.Tokens()); n {
	case 0:
		return []string{"no client, only the fixed token of the environment; " + another}
	case 1:
		return []string{"1 client is paired; " + another}
	default:
		return []string{fmt.Sprintf("%d clients are paired; %s", n, another)}
	}
}
