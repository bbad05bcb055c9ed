package transport

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"agentzero/agent"
)

// scripted is an agent whose calls are played by the test. With answer set it
// plays them itself.
type scripted struct {
	t      testing.TB
	calls  chan *call
	answer atomic.Pointer[func(*agent.Request) (string, error)]
	models atomic.Pointer[error] // why models cannot be listed
}

func newScripted(t testing.TB) *scripted { return &scripted{t: t, calls: make(chan *call, 64)} }

// always lets the agent answer by itself.
func (a *scripted) always(text string) {
	f := func(*agent.Request) (string, error) { return text, nil }
	a.answer.Store(&f)
}

// fails lets every call fail.
func (a *scripted) fails(err error) {
	f := func(*agent.Request) (string, error) { return "", err }
	a.answer.Store(&f)
}

// next is the call that is made next.
func (a *scripted) next() *call {
	a.t.Helper()
	return receive(a.t, "a call of the agent", a.calls)
}

func (a *scripted) Run(ctx context.Context, req *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	if f := a.answer.Load(); f != nil {
		text, err := (*f)(req)
		if err != nil {
			return agent.Result{}, err
		}
		emit([]agent.Delta{delta(text)})
		return finished, nil
	}
	c := &call{t: a.t, request: req, say: make(chan agent.Delta), end: make(chan outcome, 1), cancelled: make(chan struct{})}
	a.calls <- c
	for {
		select {
		case d := <-c.say:
			emit([]agent.Delta{d})
		case o := <-c.end:
			return o.result, o.err
		case <-ctx.Done():
			close(c.cancelled)
			return agent.Result{}, ctx.Err()
		}
	}
}

func (a *scripted) Models(context.Context) ([]agent.Model, error) {
	if err := a.models.Load(); err != nil {
		return nil, *err
	}
	return []agent.Model{{ID: "m", OwnedBy: "tests"}, {ID: "house/m 2", Created: 7}}, nil
}

// call is one call of the agent.
type call struct {
	t         testing.TB
	request   *agent.Request
	say       chan agent.Delta
	end       chan outcome
	cancelled chan struct{} // closed when the call was told to stop
}

type outcome struct {
	result agent.Result
	err    error
}

var finished = agent.Result{FinishReason: "stop", Model: "m", Usage: json.RawMessage(`{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`)}

// says emits one delta for each text.
func (c *call) says(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		c.emits(delta(text))
	}
}

func (c *call) emits(deltas ...agent.Delta) {
	c.t.Helper()
	for _, d := range deltas {
		select {
		case c.say <- d:
		case <-c.cancelled:
			c.t.Fatal("the call was cancelled while it spoke")
		}
	}
}

func (c *call) finish()        { c.end <- outcome{result: finished} }
func (c *call) fail(err error) { c.end <- outcome{err: err} }
func (c *call) mustBeCancelled() {
	c.t.Helper()
	closes(c.t, "the agent's call is cancelled", c.cancelled)
}

// last is the newest thing that the client has said.
func (c *call) last() string { return c.request.Messages[len(c.request.Messages)-1].Text }

func delta(text string) agent.Delta {
	literal, _ := json.Marshal(text)
	return agent.Delta{
		Chunk:   []byte(`"model":"m","choices":[{"index":0,"delta":{"content":` + string(literal) + `},"finish_reason":null}]`),
		Content: literal,
	}
}
