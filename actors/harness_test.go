package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentzero/agent"
)

// patience is how long a test waits for what must happen. It only bounds a
// failure; nothing waits for it to pass.
const patience = 20 * time.Second

// scripted is an agent whose every call does what the test tells it, step by
// step.
type scripted struct{ calls chan *scriptedCall }

// scriptedCall is one call of a scripted agent.
type scriptedCall struct {
	t        testing.TB
	ctx      context.Context
	request  *agent.Request
	steps    chan func(emit func([]agent.Delta)) (agent.Result, error, bool)
	stubborn chan struct{} // closed: the call does not mind its context
}

func newScripted() *scripted { return &scripted{calls: make(chan *scriptedCall, 4096)} }

func (a *scripted) Run(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	c := &scriptedCall{
		ctx: ctx, request: r, stubborn: make(chan struct{}),
		steps: make(chan func(func([]agent.Delta)) (agent.Result, error, bool)),
	}
	a.calls <- c
	done := ctx.Done()
	stubborn := c.stubborn
	for {
		select {
		case step := <-c.steps:
			if result, err, end := step(emit); end {
				return result, err
			}
		case <-done:
			select {
			case <-c.stubborn:
				done = nil
				continue
			default:
			}
			return agent.Result{}, ctx.Err()
		case <-stubborn:
			stubborn, done = nil, nil
		}
	}
}

// next waits for the agent to be called.
func (a *scripted) next(t testing.TB) *scriptedCall {
	t.Helper()
	c := receive(t, a.calls, "a call of the agent")
	c.t = t
	return c
}

// idle fails if the agent has been called.
func (a *scripted) idle(t testing.TB) {
	t.Helper()
	select {
	case c := <-a.calls:
		t.Fatalf("the agent was called for %q", last(c.request))
	default:
	}
}

func (c *scriptedCall) step(f func(emit func([]agent.Delta)) (agent.Result, error, bool)) {
	c.t.Helper()
	send(c.t, c.steps, f)
}

// say emits deltas.
func (c *scriptedCall) say(words ...string) {
	c.t.Helper()
	c.step(func(emit func([]agent.Delta)) (r agent.Result, err error, end bool) {
		emit(deltasOf(words...))
		return
	})
}

// finish ends the answer well.
func (c *scriptedCall) finish(words ...string) {
	c.t.Helper()
	c.end(agent.Result{FinishReason: "stop"}, nil, words...)
}

func (c *scriptedCall) end(result agent.Result, failure error, words ...string) {
	c.t.Helper()
	c.step(func(emit func([]agent.Delta)) (agent.Result, error, bool) {
		emit(deltasOf(words...))
		return result, failure, true
	})
}

// stay makes the call ignore that it is cancelled.
func (c *scriptedCall) stay() { close(c.stubborn) }

func (c *scriptedCall) panic() {
	c.step(func(func([]agent.Delta)) (agent.Result, error, bool) { panic("scripted") })
}

func deltasOf(words ...string) []agent.Delta {
	deltas := make([]agent.Delta, len(words))
	for i, w := range words {
		deltas[i] = deltaOf(w)
	}
	return deltas
}

func deltaOf(word string) agent.Delta {
	content, _ := json.Marshal(word)
	chunk := fmt.Appendf(nil, `"model":"m","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]`, content)
	at := bytes.Index(chunk, content)
	return agent.Delta{Chunk: chunk, Content: chunk[at : at+len(content)]}
}

// agentFunc is an agent that needs no script.
type agentFunc func(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error)

func (f agentFunc) Run(ctx context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	return f(ctx, r, emit)
}

// echo answers with what was said last.
var echo = agentFunc(func(_ context.Context, r *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	emit(deltasOf("re ", last(r)))
	return agent.Result{FinishReason: "stop", Usage: json.RawMessage(`{"prompt_tokens":2,"completion_tokens":3}`)}, nil
})

// last is the text of a request's newest message.
func last(r *agent.Request) string { return r.Messages[len(r.Messages)-1].Text }

// texts are the messages of a request as "role: text".
func texts(messages []agent.Message) []string {
	list := make([]string, len(messages))
	for i, m := range messages {
		list[i] = m.Role + ": " + m.Text
	}
	return list
}

// testSystem starts a system and at the end of the test shuts it down and does
// the sum of the fates.
func testSystem(t testing.TB, o Options) *System {
	t.Helper()
	s := NewSystem(o)
	t.Cleanup(func() {
		s.Shutdown(ended())
		atRest(t, s)
	})
	return s
}

func scriptedSystem(t testing.TB, o Options) (*System, *scripted) {
	t.Helper()
	a := newScripted()
	o.Agent = a
	return testSystem(t, o), a
}

// ended is a context that leaves no time.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func atRest(t testing.TB, s *System) {
	t.Helper()
	c := s.Counts()
	if c.InFlight() != 0 || c.Running != 0 || c.Queued != 0 {
		t.Errorf("at rest, accepted %d, ended %v, running %d, queued %d", c.Accepted, c.Ended, c.Running, c.Queued)
	}
}

var chat = Key{Owner: "ann", Name: "chat"}

func user(text string) []agent.Message { return []agent.Message{{Role: "user", Text: text}} }

// message is one that runs on without a watcher.
func message(text string) StartTurn {
	return StartTurn{Input: user(text), Disconnect: Disconnect{Continue: true}}
}

// watched is a message whose sender watches, to the end if told so.
func watched(text string) StartTurn {
	m := message(text)
	m.Watch = true
	return m
}

func with(m StartTurn, busy BusyPolicy) StartTurn {
	m.Busy = busy
	return m
}

func start(t testing.TB, s *System, key Key, m StartTurn) *Started {
	t.Helper()
	started, err := s.Start(key, m, nil)
	if err != nil {
		t.Fatalf("start %q: %v", m.Input[0].Text, err)
	}
	if started.Events != nil {
		t.Cleanup(started.Events.Close)
	}
	return started
}

func refused(t testing.TB, err error, code RefusalCode) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("got %v, want a refusal with %s", err, code)
	}
	return r
}

func subscribe(t testing.TB, s *System, key Key, m Subscribe) *Subscription {
	t.Helper()
	sub, err := s.Subscribe(key, m)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(sub.Close)
	return sub
}

// until reads events up to one that stop accepts, which is the last returned.
func until(t testing.TB, sub *Subscription, stop func(*Event) bool) []Event {
	t.Helper()
	var all []Event
	for {
		events, err := sub.Read(nil, 1)
		if err != nil {
			t.Fatalf("read: %v after %v", err, story(all))
		}
		if len(events) == 0 {
			receive(t, sub.Wake(), "an event, after "+strings.Join(story(all), " "))
			continue
		}

		for i := range events {
			all = append(all, events[i])
			if stop(&events[i]) {
				return all
			}
		}
	}
}

func kind(k EventKind) func(*Event) bool { return func(e *Event) bool { return e.Kind == k } }

func endOf(turn string) func(*Event) bool {
	return func(e *Event) bool { return e.Turn == turn && e.Kind.Ends() }
}

// rest reads what comes until the turn's end.
func rest(t testing.TB, started *Started) []Event {
	t.Helper()
	return until(t, started.Events, endOf(started.Follow))
}

// outcome reads to the turn's end and tells what it was.
func outcome(t testing.TB, started *Started) TurnEvent {
	t.Helper()
	return tellingOf(t, rest(t, started))
}

func tellingOf(t testing.TB, events []Event) (e TurnEvent) {
	t.Helper()
	if err := json.Unmarshal(events[len(events)-1].Data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// story tells events in short: the kind, or of deltas the text.
func story(events []Event) []string {
	list := make([]string, len(events))
	for i := range events {
		list[i] = events[i].Kind.String()
		if events[i].Kind == EventDelta {
			list[i] = string(events[i].Content())
		}
	}
	return list
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// conversation is what a session remembers, as "role: text", with a mark where
// it was interrupted.
func conversation(t testing.TB, s *System, key Key) []string {
	t.Helper()
	c, err := s.Messages(key)
	if err != nil {
		t.Fatalf("messages: %v", err)
	}
	list := make([]string, len(c.Items))
	for i, item := range c.Items {
		list[i] = item.Message.Role + ": " + item.Message.Text
		if item.Interrupted {
			list[i] += " (interrupted)"
		}
	}
	return list
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case v := <-from:
		return v
	case <-limit.C:
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func send[T any](t testing.TB, to chan<- T, v T) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case to <- v:
	case <-limit.C:
		t.Fatal("nobody takes the next step")
	}
}

// peek watches a session's log without its actor knowing, and so without keeping
// it alive.
func peek(t testing.TB, s *System, key Key) *Subscription {
	t.Helper()
	e := s.registry.lease(key)
	defer s.registry.unlease(e)
	sub := e.log.subscribe(e.log.position(), "")
	t.Cleanup(sub.Close)
	return sub
}

// gone waits for the actor behind a log to end.
func gone(t testing.TB, sub *Subscription) {
	t.Helper()
	for {
		if _, err := sub.Read(nil, 100); errors.Is(err, ErrLogClosed) {
			return
		}
		receive(t, sub.Wake(), "the end of an actor")
	}
}

// observer tells the test of the turns that end, and can make the actor fail.
type observer struct {
	ends       chan Fate
	firstDelta func()
}

func newObserver() *observer { return &observer{ends: make(chan Fate, 4096), firstDelta: func() {}} }

func (o *observer) FirstDelta(time.Duration)             { o.firstDelta() }
func (o *observer) Deltas(int)                           {}
func (o *observer) TurnEnded(fate Fate, _ time.Duration) { o.ends <- fate }

// askToGo tells a session's actor to passivate now, as the registry does when
// there are too many.
func askToGo(s *System, key Key) {
	e := s.registry.lease(key)
	s.registry.unlease(e)
	s.tell(e.pid, &idleCheck{now: true})
}
