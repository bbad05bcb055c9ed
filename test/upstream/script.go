package upstream

import (
	"encoding/json"
	"time"
)

// Script tells how a model answers. The zero Script answers with an empty text.
type Script struct {
	// Deltas are the pieces of the answer's text, one chunk each.
	Deltas []string
	// Echo answers with the text of the last user message instead of Deltas,
	// cut in pieces of at most EchoPiece bytes (0: 32 KiB; at least 4), never
	// within a character.
	Echo      bool
	EchoPiece int
	// Choices, if set, replaces all that: each is the value of one chunk's
	// "choices" list, sent as it stands. For a call that does not stream,
	// Message is the answer's message object.
	Choices []json.RawMessage
	Message json.RawMessage
	// FinishReason ends the answer; empty means "stop".
	FinishReason string
	// Wait is the time before the first byte, Interval the time between chunks.
	Wait, Interval time.Duration
	// Gate, if set, is waited for before chunk number GateAfter (0: before the
	// first byte; for a call that does not stream, always): until it is closed,
	// or has a value for this call.
	Gate      <-chan struct{}
	GateAfter int
	// Steps, if set, is received from before each chunk of a stream, so that a
	// test says when each of them comes.
	Steps <-chan struct{}
	// Fault is what goes wrong, After how many chunks (only for the faults
	// that strike in the middle of an answer).
	Fault Fault
	After int
	// FaultTimes is how many calls of this model suffer the fault; the calls
	// after that are well. 0 means all.
	FaultTimes int
	// Status, RetryAfter (seconds) and ErrorMessage are FaultStatus's answer.
	Status       int
	RetryAfter   int
	ErrorMessage string
}

// Fault is one way for a model server to fail.
type Fault string

// The faults. A refused connection is [Server.Down].
const (
	FaultNone     Fault = ""
	FaultStatus   Fault = "status"   // answers Status with an error object and Retry-After
	FaultDrop     Fault = "drop"     // closes the connection before the first byte
	FaultCut      Fault = "cut"      // closes the connection in the middle of a chunk, after After of them
	FaultEnd      Fault = "end"      // ends the body properly after After chunks, with no finish reason and no [DONE]
	FaultGarbage  Fault = "garbage"  // sends a chunk that is no JSON after After of them
	FaultSilence  Fault = "silence"  // says nothing more after After chunks until the client hangs up
	FaultHugeLine Fault = "hugeline" // sends one line of 50 MB after After chunks
	FaultError    Fault = "error"    // sends an error object in the stream after After chunks
	FaultHTML     Fault = "html"     // answers 200 with a web page
)

// Count returns n deltas "1 ", "2 ", ... "n ".
func Count(n int) []string {
	deltas := make([]string, n)
	for i := range deltas {
		deltas[i] = itoa(i+1) + " "
	}
	return deltas
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// usage is what every answer claims to have cost.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}
