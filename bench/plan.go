package bench

import (
	"fmt"
	"time"

	"agentzero/bench/upstream"
)

// Door is the way into a server.
type Door string

const (
	// Completions posts to /v1/chat/completions and reads the stream.
	Completions Door = "completions"
	// WebSocket sends a text message on /ws/chat and reads deltas until "done".
	WebSocket Door = "ws"
	// IdleWebSocket opens /ws/chat and says nothing.
	IdleWebSocket Door = "idle-ws"
	// Chat posts to /api/chat, which answers in one piece.
	Chat Door = "chat"
	// Webhook posts deliveries to a channel, which answers that it took them.
	Webhook Door = "webhook"
)

var doors = []Door{Completions, WebSocket, IdleWebSocket, Chat, Webhook}

// Sessions says which conversation an answer belongs to.
type Sessions string

const (
	Stateless         Sessions = ""       // none
	SessionEachClient Sessions = "client" // one that grows
	SessionEachAnswer Sessions = "answer" // a fresh one every time
)

// Plan is what the clients of one run do. Only Door, Duration and either Clients
// or Rate must be set.
type Plan struct {
	Door     Door     `json:"door" toml:"door"`
	Sessions Sessions `json:"sessions,omitempty" toml:"sessions"`
	Channel  string   `json:"channel,omitempty" toml:"channel"` // of the webhook

	// Clients is the number of clients in a closed loop: each asks, reads its
	// answer to the end, pauses, and asks again. With a Rate it is the most that
	// may be open at once.
	Clients int `json:"clients" toml:"clients"`
	// Rate is the number of answers begun each second in an open loop, whether or
	// not the server keeps up. Times are reckoned from when an answer should have
	// begun, so a server that stalls cannot hide it.
	Rate float64 `json:"rate,omitempty" toml:"rate"`

	Ramp     time.Duration `json:"ramp" toml:"ramp"`         // over which closed-loop clients begin
	Warmup   time.Duration `json:"warmup" toml:"warmup"`     // after the ramp, not measured
	Duration time.Duration `json:"duration" toml:"duration"` // measured
	Answers  int64         `json:"answers,omitempty" toml:"answers"`
	Pause    time.Duration `json:"pause,omitempty" toml:"pause"`     // of a client between two answers
	Timeout  time.Duration `json:"timeout,omitempty" toml:"timeout"` // of silence within an answer; 0 means 60 s

	// HangUpAfter makes a client cut its answer after so many deltas. 0: never.
	HangUpAfter int `json:"hang_up_after,omitempty" toml:"hang_up_after"`
	// Reconnect makes each answer use a connection of its own.
	Reconnect bool `json:"reconnect,omitempty" toml:"reconnect"`
	// SlowShare of the clients read only SlowBytes a second. Their times are not
	// measured: what counts is what they do to the others.
	SlowShare float64 `json:"slow_share,omitempty" toml:"slow_share"`
	SlowBytes int     `json:"slow_bytes,omitempty" toml:"slow_bytes"`

	// Answer is what is asked of the mock upstream, in the model's name. A Model
	// takes its place.
	Answer upstream.Behaviour `json:"answer" toml:"answer"`
	Model  string             `json:"model,omitempty" toml:"model"`
	// Prompt is the length of the question, in bytes.
	Prompt int `json:"prompt,omitempty" toml:"prompt"`
}

// The limits of a plan. They keep a slip of the finger from becoming an attack
// and stay within what one process may have open.
const (
	MaxClients  = 19_000
	MaxRate     = 100_000
	MaxDuration = 2 * time.Hour
	maxPrompt   = 8 << 20
)

// Validate names the first thing that is wrong with a plan.
func (p *Plan) Validate() error {
	known := false
	for _, d := range doors {
		known = known || d == p.Door
	}
	switch {
	case !known:
		return fmt.Errorf("door is %q, but must be one of %v", p.Door, doors)
	case p.Sessions != Stateless && p.Sessions != SessionEachClient && p.Sessions != SessionEachAnswer:
		return fmt.Errorf("sessions is %q, but must be empty, %q or %q", p.Sessions, SessionEachClient, SessionEachAnswer)
	case p.Door == Webhook && p.Channel == "":
		return fmt.Errorf("channel is missing: the door %q needs one", Webhook)
	case p.Clients < 1 || p.Clients > MaxClients:
		return fmt.Errorf("clients is %d, but must be between 1 and %d", p.Clients, MaxClients)
	case !(p.Rate >= 0 && p.Rate <= MaxRate):
		return fmt.Errorf("rate is %v, but must be between 0 and %d a second", p.Rate, MaxRate)
	case p.Rate > 0 && p.Door == IdleWebSocket:
		return fmt.Errorf("rate does not go with the door %q, whose clients stay", IdleWebSocket)
	case p.Duration <= 0:
		return fmt.Errorf("duration is %v, but a run needs some", p.Duration)
	case p.Ramp < 0 || p.Warmup < 0 || p.Pause < 0 || p.Timeout < 0:
		return fmt.Errorf("ramp, warmup, pause and timeout must not be negative")
	case p.Ramp+p.Warmup+p.Duration > MaxDuration:
		return fmt.Errorf("the run would take %v, but %v is the most", p.Ramp+p.Warmup+p.Duration, MaxDuration)
	case p.Answers < 0 || p.HangUpAfter < 0 || p.SlowBytes < 0:
		return fmt.Errorf("answers, hang_up_after and slow_bytes must not be negative")
	case !(p.SlowShare >= 0 && p.SlowShare <= 1):
		return fmt.Errorf("slow_share is %v, but is a share between 0 and 1", p.SlowShare)
	case p.SlowShare > 0 && p.SlowBytes == 0:
		return fmt.Errorf("slow_bytes is missing: what do the slow ones read in a second?")
	case p.Prompt < 0 || p.Prompt > maxPrompt:
		return fmt.Errorf("prompt is %d, but must be between 0 and %d bytes", p.Prompt, maxPrompt)
	}
	if err := p.Answer.Validate(); err != nil {
		return fmt.Errorf("answer.%w", err)
	}
	return nil
}

// model is the name of the model that is asked for.
func (p *Plan) model() string {
	if p.Model != "" {
		return p.Model
	}
	return p.Answer.Model()
}

func (p *Plan) timeout() time.Duration {
	if p.Timeout == 0 {
		return time.Minute
	}
	return p.Timeout
}
