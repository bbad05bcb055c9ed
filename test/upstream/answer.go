package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// answer acts out a script for one call.
type answer struct {
	server *Server
	script Script
	req    *Request
	w      http.ResponseWriter
	r      *http.Request
}

func (a *answer) run() {
	if !a.pause(a.script.Wait) {
		return
	}
	if (a.script.GateAfter == 0 || !a.req.Stream) && !a.passGate() {
		return
	}
	switch a.script.Fault {
	case FaultStatus:
		a.fail()
		return
	case FaultDrop:
		panic(http.ErrAbortHandler)
	case FaultHTML:
		a.w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(a.w, "<html><body>A captive portal.</body></html>")
		return
	}
	if a.req.Stream {
		a.stream()
	} else {
		a.whole()
	}
}

// stream writes the answer chunk by chunk, and breaks it where the script says.
func (a *answer) stream() {
	a.w.Header().Set("Content-Type", "text/event-stream")
	a.w.WriteHeader(http.StatusOK)
	chunks := a.choices()
	for i := 0; ; i++ {
		if a.script.Fault != FaultNone && i == min(a.script.After, len(chunks)) {
			a.strike()
			return
		}
		if i == len(chunks) {
			break
		}
		if i > 0 && !a.pause(a.script.Interval) {
			return
		}
		if i > 0 && i == a.script.GateAfter && !a.passGate() {
			return
		}
		if a.script.Steps != nil && !a.pass(a.script.Steps) {
			return
		}
		if !a.chunk(chunks[i], nil) {
			return
		}
	}
	a.server.note(func() { a.req.Said = time.Now() })
	a.chunk(json.RawMessage(fmt.Sprintf(`[{"index":0,"delta":{},"finish_reason":%q}]`, a.finish())), nil)
	if a.wantsUsage() {
		u := a.usage(len(chunks))
		a.chunk(json.RawMessage("[]"), &u)
	}
	fmt.Fprint(a.w, "data: [DONE]\n\n")
	a.flush()
}

// choices is the answer as the "choices" of its chunks, the end excluded.
func (a *answer) choices() []json.RawMessage {
	if a.script.Choices != nil {
		return a.script.Choices
	}
	pieces := a.pieces()
	list := make([]json.RawMessage, len(pieces))
	for i, p := range pieces {
		quoted, _ := json.Marshal(p)
		role := ""
		if i == 0 {
			role = `"role":"assistant",`
		}
		list[i] = json.RawMessage(fmt.Sprintf(`[{"index":0,"delta":{%s"content":%s},"finish_reason":null}]`, role, quoted))
	}
	return list
}

func (a *answer) pieces() []string {
	if !a.script.Echo {
		return a.script.Deltas
	}
	size := max(a.script.EchoPiece, utf8.UTFMax)
	if a.script.EchoPiece == 0 {
		size = 32 << 10
	}
	var list []string
	for rest := a.req.Text; rest != ""; {
		n := min(size, len(rest))
		for n < len(rest) && !utf8.RuneStart(rest[n]) {
			n--
		}
		list = append(list, rest[:n])
		rest = rest[n:]
	}
	return list
}

func (a *answer) whole() {
	message := a.script.Message
	if message == nil {
		message, _ = json.Marshal(Message{Role: "assistant", Content: strings.Join(a.pieces(), "")})
	}
	switch a.script.Fault {
	case FaultSilence:
		a.untilHungUp()
		return
	case FaultCut, FaultEnd:
		a.w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(a.w, `{"id":"chatcmpl-up","object":`)
		a.flush()
		panic(http.ErrAbortHandler)
	case FaultGarbage:
		a.w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(a.w, `{"id":`)
		return
	case FaultError:
		writeError(a.w, http.StatusOK, "server_error", "", a.message())
		return
	}
	// The time a streamed answer takes, a whole one takes too.
	if !a.pause(time.Duration(len(a.script.Deltas)) * a.script.Interval) {
		return
	}
	writeJSON(a.w, http.StatusOK, map[string]any{
		"id": "chatcmpl-up", "object": "chat.completion", "created": created, "model": a.req.Model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": a.finish(), "logprobs": nil}},
		"usage":   a.usage(len(a.script.Deltas)),
	})
}

// strike does the script's fault in the middle of a stream.
func (a *answer) strike() {
	switch a.script.Fault {
	case FaultCut:
		fmt.Fprint(a.w, `data: {"id":"chatcmpl-up","choices":[{"index":0,"del`)
		a.flush()
		panic(http.ErrAbortHandler)
	case FaultGarbage:
		fmt.Fprint(a.w, "data: {not json}\n\n")
	case FaultError:
		fmt.Fprintf(a.w, "data: {\"error\":{\"message\":%q,\"type\":\"server_error\",\"code\":null}}\n\n", a.message())
	case FaultSilence:
		a.flush()
		a.untilHungUp()
	case FaultHugeLine:
		fmt.Fprint(a.w, `data: {"id":"chatcmpl-up","choices":[{"index":0,"delta":{"content":"`)
		block := strings.Repeat("x", 1<<20)
		for range 50 {
			if _, err := fmt.Fprint(a.w, block); err != nil {
				a.left()
				return
			}
		}
		fmt.Fprint(a.w, "\"}}]}\n\n")
	}
	a.flush() // FaultEnd: nothing more comes
}

func (a *answer) fail() {
	status := a.script.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if a.script.RetryAfter > 0 {
		a.w.Header().Set("Retry-After", itoa(a.script.RetryAfter))
	}
	writeError(a.w, status, "upstream_error", "", a.message())
}

func (a *answer) message() string {
	if a.script.ErrorMessage != "" {
		return a.script.ErrorMessage
	}
	return "The upstream was told to fail."
}

// chunk writes one chunk and tells whether the client is still there.
func (a *answer) chunk(choices json.RawMessage, u *usage) bool {
	line, err := json.Marshal(struct {
		ID      string          `json:"id"`
		Object  string          `json:"object"`
		Created int64           `json:"created"`
		Model   string          `json:"model"`
		Choices json.RawMessage `json:"choices"`
		Usage   *usage          `json:"usage,omitempty"`
	}{"chatcmpl-up", "chat.completion.chunk", created, a.req.Model, choices, u})
	if err != nil {
		panic(err) // a script's Choices are no JSON: a fault of the test
	}
	if _, err := fmt.Fprintf(a.w, "data: %s\n\n", line); err != nil || !a.flush() {
		a.left()
		return false
	}
	a.server.note(func() { a.req.Sent++ })
	return true
}

func (a *answer) flush() bool { return http.NewResponseController(a.w).Flush() == nil }

func (a *answer) finish() string {
	if a.script.FinishReason != "" {
		return a.script.FinishReason
	}
	return "stop"
}

func (a *answer) wantsUsage() bool {
	var body struct {
		Options struct {
			Include bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	json.Unmarshal(a.req.Body, &body)
	return body.Options.Include
}

func (a *answer) usage(completion int) usage {
	prompt := len(a.req.Messages())
	return usage{Prompt: prompt, Completion: completion, Total: prompt + completion}
}

// pause waits for d and tells whether the client is still there.
func (a *answer) pause(d time.Duration) bool {
	if a.server.pause(d, a.r.Context().Done()) {
		return true
	}
	a.left()
	return false
}

// passGate waits for the gate and tells whether the client is still there.
func (a *answer) passGate() bool {
	return a.script.Gate == nil || a.pass(a.script.Gate)
}

// pass waits for a value, or the channel's end, and tells whether the client is
// still there.
func (a *answer) pass(gate <-chan struct{}) bool {
	select {
	case <-gate:
		return true
	case <-a.r.Context().Done():
		a.left()
	case <-a.server.closed:
	}
	return false
}

func (a *answer) untilHungUp() {
	select {
	case <-a.r.Context().Done():
		a.left()
	case <-a.server.closed:
	}
}

func (a *answer) left() {
	a.server.note(func() {
		if a.req.HungUp.IsZero() {
			a.req.HungUp = time.Now()
		}
	})
}
