package main

import (
	"context"

	"agentzero/agent/discovery"
	"agentzero/transport"
)

// Providers implements transport.Providers: what is configured is asked, and what
// was found on this machine is told as the last search has found it.
func (a *liveAgent) Providers(ctx context.Context) []transport.Provider {
	p := a.current.Load()
	var list []transport.Provider
	for _, h := range p.router.Health(ctx) {
		t := transport.Provider{Name: h.Name, Default: h.Default, Took: h.Took}
		switch settings, configured := p.settings[h.Name]; {
		case configured:
			t.Source, t.Kind, t.BaseURL = "configured", settings.Kind, settings.BaseURL
		default:
			t.Source, t.Kind = "built-in", h.Name
		}
		for _, m := range h.Models {
			t.Models = append(t.Models, m.ID)
		}
		if h.Err != nil {
			t.Fault = h.Err.Error()
		}
		list = append(list, t)
	}
	if p.auto != nil {
		for _, s := range p.auto.Servers() {
			list = append(list, discovered(s))
		}
	}
	return list
}

func discovered(s discovery.Server) transport.Provider {
	t := transport.Provider{
		Name: string(s.Kind) + " " + s.Address, Kind: string(s.Kind), BaseURL: s.Address, Source: "discovered", Version: s.Version, Took: s.Latency,
	}
	for _, m := range s.Models {
		t.Models = append(t.Models, m.ID)
	}
	switch {
	case s.NeedsKey:
		t.Fault = "it asks for a key: configure it as a provider"
	case len(s.Models) == 0:
		t.Fault = "it serves no model: load one there"
	}
	return t
}
