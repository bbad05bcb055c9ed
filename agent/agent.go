// Package agent is what a session actor calls: something that answers a
// conversation, piece by piece.
//
// An [Agent] takes a [Request] (a conversation and how to answer it) and emits
// [Delta]s while the answer grows, then returns a [Result]. The providers of
// this package (openai, anthropic, ollama, demo) are Agents; a [Router] is the
// Agent that picks one of them by the model's name.
//
// The common tongue inside is OpenAI's chat completions API, because that is
// what clients and most model servers speak: conversations, deltas and whole
// answers are kept in its JSON form, so that fields nobody here knows pass
// unharmed from end to end, and a delta is copied but never decoded and encoded
// again.
//
// Agents are safe for use by many goroutines at once. A call belongs to the
// goroutine that makes it and leaves none behind when it returns.
package agent

import (
	"context"
	"encoding/json"
	"time"
)

// Agent answers conversations.
type Agent interface {
	// Run answers req. It calls emit, from the calling goroutine, with the
	// deltas that have arrived together, in order, and returns when the answer
	// is whole. The slice and all bytes it refers to are valid during the call
	// of emit only. emit may block while the reader of the deltas is behind.
	//
	// When ctx ends, Run ends its upstream call and returns promptly with
	// ctx's error (or one wrapping it). Every other failure is an [*Error].
	// Deltas emitted before an error are the partial answer.
	Run(ctx context.Context, req *Request, emit func([]Delta)) (Result, error)
}

// Lister is an Agent that can tell which models it serves.
type Lister interface {
	// Models asks the provider. It does not cache.
	Models(ctx context.Context) ([]Model, error)
}

// Request is one conversation to be answered. Agents do not change it.
type Request struct {
	// Model as the client named it; empty means the provider's default.
	Model string
	// Messages is the whole conversation, oldest first, a system message
	// included where there is one.
	Messages []Message
	// Params is a JSON object with the other fields of the client's chat
	// completions request (tools, temperature, response_format, ...), or nil.
	// It never holds model, messages, stream or stream_options.
	Params json.RawMessage
	// Whole asks for the complete answer as one chat.completion object in
	// Result.Completion, for clients that do not stream. Deltas may then come
	// all at once.
	Whole bool
}

// Delta is one piece of an answer.
type Delta struct {
	// Chunk is the piece as the members of an OpenAI chat.completion.chunk
	// object without braces and without id, object, created and usage, such as
	//	"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]
	// It is one line, valid JSON between braces, and valid UTF-8.
	Chunk []byte
	// Content is the text this piece adds to the first choice, as the JSON
	// string literal found in Chunk, quotes included; nil where the piece adds
	// none (role, tool calls, reasoning, finish reason).
	Content []byte
}

// Result tells how an answer ended.
type Result struct {
	// FinishReason is OpenAI's: stop, length, tool_calls, content_filter.
	FinishReason string
	// Model is the model that answered, as the upstream calls it.
	Model string
	// Usage is OpenAI's usage object as the upstream gave it, or nil.
	Usage json.RawMessage
	// Completion is the whole chat.completion object of a Request with Whole
	// set, else nil. Its id, object and created are the caller's to replace.
	Completion json.RawMessage
}

// Model is one entry of a provider's model list.
type Model struct {
	ID      string
	Created int64 // Unix seconds, 0 where the provider does not tell
	OwnedBy string
}

// Kind tells what went wrong in a call, in the terms a metric or a client's
// retry needs.
type Kind string

// The kinds of failure.
const (
	KindUnavailable Kind = "unavailable" // no agent is configured
	KindConnect     Kind = "connect"     // refused, unreachable, TLS or DNS failed
	KindStatus      Kind = "status"      // the upstream answered with an error status
	KindTimeout     Kind = "timeout"     // connect, first-byte or idle timeout
	KindCut         Kind = "cut"         // the answer broke off
	KindMalformed   Kind = "malformed"   // the upstream sent what it must not
	KindNotFound    Kind = "not_found"   // no such model or provider
	KindInvalid     Kind = "invalid"     // the request cannot be put to this provider
)

// Error is a failed call.
type Error struct {
	Kind Kind
	// Provider is the configured name of the provider, "" where none was chosen.
	Provider string
	// Status is the upstream's HTTP status, 0 where there was none.
	Status int
	// Message is for people; it holds no secret.
	Message string
	// UpstreamType and UpstreamCode are the upstream's own words, if any.
	UpstreamType, UpstreamCode string
	// RetryAfter is how long the upstream asked to be left alone, 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause, or nil.
	Err error
}

func (e *Error) Error() string {
	if e.Provider != "" {
		return "provider " + e.Provider + ": " + e.Message
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }
