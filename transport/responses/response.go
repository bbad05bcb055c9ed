package responses

import (
	"encoding/json"
	"time"

	"agentzero/actors"
	"agentzero/agent"
)

// The states of a response.
const (
	StatusQueued     = "queued"
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
	StatusFailed     = "failed"
	StatusIncomplete = "incomplete"
	StatusCancelled  = "cancelled"
)

// Response is the object of the API.
type Response struct {
	ID         string      `json:"id"`
	Object     string      `json:"object"` // response
	CreatedAt  int64       `json:"created_at"`
	Status     string      `json:"status"`
	Error      *Failure    `json:"error"`
	Incomplete *Incomplete `json:"incomplete_details"`
	Settings
	Output []any  `json:"output"`
	Usage  *Usage `json:"usage"`
}

// Failure is why there is no answer.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Incomplete is why an answer is not whole.
type Incomplete struct {
	// Reason is one of the API's, or "" where it has none for it.
	Reason string `json:"reason,omitempty"`
	// Message says it in words.
	Message string `json:"message,omitempty"`
}

// Usage is what an answer has cost.
type Usage struct {
	Input        int64       `json:"input_tokens"`
	InputDetails inputUsage  `json:"input_tokens_details"`
	Output       int64       `json:"output_tokens"`
	OutputDetail outputUsage `json:"output_tokens_details"`
	Total        int64       `json:"total_tokens"`
}

type inputUsage struct {
	Cached     int64 `json:"cached_tokens"`
	CacheWrite int64 `json:"cache_write_tokens"`
}

type outputUsage struct {
	Reasoning int64 `json:"reasoning_tokens"`
}

// New is the response that a turn begins with.
func New(id string, created time.Time, s Settings) Response {
	r := Response{ID: id, Object: "response", CreatedAt: created.Unix(), Status: StatusInProgress, Settings: s, Output: []any{}}
	if s.Background {
		r.Status = StatusQueued
	}
	return r
}

// usageOf puts a chat completion's usage in the terms of responses; nil where there
// is none.
func usageOf(raw json.RawMessage) *Usage {
	var u struct {
		Prompt        int64 `json:"prompt_tokens"`
		Completion    int64 `json:"completion_tokens"`
		Total         int64 `json:"total_tokens"`
		PromptDetails struct {
			Cached     int64 `json:"cached_tokens"`
			CacheWrite int64 `json:"cache_write_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionDetails struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	}
	if raw == nil || json.Unmarshal(raw, &u) != nil {
		return nil
	}
	if u.Total == 0 {
		u.Total = u.Prompt + u.Completion
	}
	return &Usage{
		u.Prompt, inputUsage{u.PromptDetails.Cached, u.PromptDetails.CacheWrite},
		u.Completion, outputUsage{u.CompletionDetails.Reasoning}, u.Total,
	}
}

// end puts the end of the turn into the response, and returns the name of the
// event that tells it.
func (r *Response) end(e *actors.Event) (name string) {
	var t actors.TurnEvent
	if err := json.Unmarshal(e.Data, &t); err != nil {
		t = actors.TurnEvent{Failure: &actors.Failure{Kind: actors.KindInternal, Message: "the end of this response cannot be read"}}
	}
	r.Usage = usageOf(t.Usage)
	if t.Model != "" {
		r.Model = t.Model
	}
	switch {
	case e.Kind == actors.EventCompleted && t.FinishReason == "length":
		r.Status, r.Incomplete = StatusIncomplete, &Incomplete{Reason: "max_output_tokens"}
	case e.Kind == actors.EventCompleted && t.FinishReason == "content_filter":
		r.Status, r.Incomplete = StatusIncomplete, &Incomplete{Reason: "content_filter"}
	case e.Kind == actors.EventCompleted:
		r.Status = StatusCompleted
		return "response.completed"
	case e.Kind == actors.EventInterrupted:
		r.interrupted(t.Reason)
	default:
		r.Status, r.Error = StatusFailed, failureOf(t.Failure)
		return "response.failed"
	}
	return "response.incomplete"
}

// interrupted tells a cancellation. The API has no event for it.
func (r *Response) interrupted(reason string) {
	r.Status = StatusIncomplete
	words := map[string]string{
		actors.ReasonCancelled:    "it was cancelled",
		actors.ReasonInterrupted:  "another message interrupted it",
		actors.ReasonRolledBack:   "another message took its place",
		actors.ReasonDisconnected: "nobody was there to read it",
		actors.ReasonShutdown:     "the gateway was shut down",
		actors.ReasonCrashed:      "the gateway ended while it answered",
		actors.ReasonDeleted:      "its conversation was deleted",
		actors.ReasonMoved:        "another gateway took its conversation",
	}[reason]
	switch reason {
	case actors.ReasonCancelled, actors.ReasonRolledBack, actors.ReasonDeleted:
		r.Status = StatusCancelled
	}
	if words == "" {
		words = reason
	}
	r.Incomplete = &Incomplete{Message: words}
}

func failureOf(f *actors.Failure) *Failure {
	if f == nil {
		return &Failure{"server_error", "the response failed"}
	}
	code := "server_error"
	switch {
	case f.Status == 429:
		code = "rate_limit_exceeded"
	case f.Kind == agent.KindInvalid, f.Status == 400, f.Status == 422:
		code = "invalid_prompt"
	}
	return &Failure{code, f.Message}
}
