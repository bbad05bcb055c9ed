package discovery

import (
	"cmp"
	"slices"
	"time"
)

// Kind is the program that serves.
type Kind string

// The kinds that are told apart. A server that lists models as OpenAI's API does
// and is none of them is OpenAI.
const (
	Ollama   Kind = "ollama"
	LMStudio Kind = "lmstudio"
	LlamaCPP Kind = "llama.cpp"
	VLLM     Kind = "vllm"
	SGLang   Kind = "sglang"
	LocalAI  Kind = "localai"
	Jan      Kind = "jan"
	OpenAI   Kind = "openai"
)

// order is the kinds from the best to the least, where nothing else decides: the
// servers that are made to serve many first.
var order = []Kind{VLLM, SGLang, LlamaCPP, Ollama, LMStudio, LocalAI, Jan, OpenAI}

// Server is a model server that answers.
type Server struct {
	Kind Kind `json:"server"`
	// Address is its base URL without /v1.
	Address string `json:"address"`
	// Version is as the server tells it, "" where it does not.
	Version string  `json:"version"`
	Models  []Model `json:"models"`
	// Latency is the time of one question, of which it is asked several.
	Latency time.Duration `json:"-"`
	// NeedsKey tells that it lists its models only to those who have a key; it
	// has to be configured as a provider.
	NeedsKey bool `json:"needs_key"`
	// Own tells that the user has named its address.
	Own bool `json:"configured"`

	place int // among the addresses that were asked
}

// Model is one of a server's.
type Model struct {
	ID string `json:"id"`
	// Loaded tells that it is in memory and answers at once; false where the
	// server does not tell.
	Loaded  bool   `json:"loaded"`
	Created int64  `json:"-"` // Unix seconds, 0 where the server does not tell
	OwnedBy string `json:"-"`
}

// Usable tells that the server can answer now.
func (s Server) Usable() bool { return !s.NeedsKey && len(s.Models) > 0 }

// Default is the model for requests that name none: one that is loaded, else the
// first; "" where there is none.
func (s Server) Default() string {
	for _, m := range s.Models {
		if m.Loaded {
			return m.ID
		}
	}
	if len(s.Models) > 0 {
		return s.Models[0].ID
	}
	return ""
}

// rank sorts servers, the best first: those that can answer, then those the user
// has named, in that order, then by kind, then by address.
func rank(servers []Server) {
	slices.SortStableFunc(servers, func(a, b Server) int {
		return cmp.Or(
			before(a.Usable(), b.Usable()),
			before(a.Own, b.Own),
			ownPlace(a)-ownPlace(b),
			cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)),
			cmp.Compare(a.Address, b.Address),
		)
	})
}

// ownPlace keeps the user's own in the order they were given.
func ownPlace(s Server) int {
	if s.Own {
		return s.place
	}
	return 0
}

func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}
