package transport

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agentzero/actors"
)

// patience is how long a test waits for what must come. It measures nothing.
const patience = 20 * time.Second

// rig is a gateway for one test: real sockets and actors, an agent that says
// what the test lets it say, and tokens that need no file. When the test ends
// it is shut down, and no goroutine may be left.
type rig struct {
	t       testing.TB
	server  *Server
	system  *actors.System
	agent   *scripted
	auth    *tokens
	address string
	down    sync.Once
}

// settings are what a test may change before the rig starts.
type settings struct {
	Options
	actors actors.Options
	// listen wraps the listener, or is nil.
	listen func(net.Listener) net.Listener
}

func newRig(t testing.TB, change ...func(*settings)) *rig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	r := &rig{t: t, agent: newScripted(t), auth: newTokens()}
	s := settings{
		Options: Options{Auth: r.auth, RequirePairing: true, Loopback: true, Version: "test", Metrics: NewMetrics("test"), Models: r.agent},
		actors:  actors.Options{Agent: r.agent},
	}
	for _, f := range change {
		f(&s)
	}
	s.actors.Observer, s.actors.Deliveries = s.Metrics, s.Metrics
	r.system = actors.NewSystem(s.actors)
	if s.Sessions == nil {
		s.Sessions = r.system
	}
	if s.Channels == nil {
		s.Channels = r.system
	}
	r.server = New(s.Options)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	if s.listen != nil {
		l = s.listen(l)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	t.Cleanup(func() {
		r.shutDown()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := goleak.Find(append(background(), before)...); err != nil {
			t.Error(err)
		}
	})
	return r
}

// shutDown ends the rig as the command does: turns first, then connections.
func (r *rig) shutDown() {
	r.down.Do(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		r.server.Drain()
		r.system.Shutdown(now)
		r.shutServer(patience)
	})
}

func (r *rig) shutServer(limit time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		r.t.Errorf("Shutdown: %v", err)
	}
}

// eventually waits for something that no channel tells of.
func (r *rig) eventually(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// receive takes what must come from a channel.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if ok {
			return v
		}
	case <-time.After(patience):
	}
	t.Fatalf("%s never came", what)
	panic("unreachable")
}

// closes waits for a channel to be closed.
func closes(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("it never happened: %s", what)
	}
}
