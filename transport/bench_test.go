package transport

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"testing"

	"agentzero/actors"
	"agentzero/agent"
)

// stream is an agent that emits deltas one by one, and lets its client catch up
// every now and then, so that none falls out of the log.
type streaming struct {
	deltas int
	seen   chan struct{} // a value for every breath deltas that the client has got
}

const breath = 64

func (a *streaming) Run(_ context.Context, _ *agent.Request, emit func([]agent.Delta)) (agent.Result, error) {
	one := []agent.Delta{delta("token ")}
	for i := 1; i <= a.deltas; i++ {
		emit(one)
		if i%breath == 0 {
			<-a.seen
		}
	}
	return finished, nil
}

// BenchmarkStreamDelta is the way of a delta from the agent to its client's
// socket.
func BenchmarkStreamDelta(b *testing.B) {
	a := &streaming{deltas: b.N, seen: make(chan struct{}, 1)}
	system := actors.NewSystem(actors.Options{Agent: a})
	server := New(Options{Sessions: system, Auth: newTokens(), Metrics: NewMetrics("bench")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := c.Write([]byte(request11("POST", "/v1/chat/completions", helloStream, "Connection: close"))); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(c)
	got := 0
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte(`data: {`)) {
			if got++; got%breath == 0 {
				a.seen <- struct{}{}
			}
		}
	}
	b.StopTimer()
	if got != b.N {
		b.Errorf("%d deltas of %d came", got, b.N)
	}
	_ = c.Close()
	_ = server.Shutdown(b.Context())
	<-served
	system.Shutdown(b.Context())
}

// BenchmarkFrames is the writing of one delta in each form of a stream.
func BenchmarkFrames(b *testing.B) {
	d := delta("token ")
	e := actors.Event{Seq: 1000, Kind: actors.EventDelta, Turn: actors.NewID("turn_"), Data: d.Chunk}
	for name, f := range map[string]frames{
		"chunks":          &chunkFrames{head: []byte(`data: {"id":"chatcmpl-0123456789abcdefghjkmnpq","object":"chat.completion.chunk","created":1767225600,`)},
		"chunks with ids": &chunkFrames{epoch: "3f9k2m0q", head: []byte(`data: {"id":"chatcmpl-0123456789abcdefghjkmnpq","object":"chat.completion.chunk","created":1767225600,`)},
		"events":          &eventFrames{epoch: "3f9k2m0q"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1<<10)
			for b.Loop() {
				buf, _ = f.append(buf[:0], &e)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}
