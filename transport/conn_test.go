package transport

import (
	"io"
	"net"
	"strings"
	"testing"
)

// pair is a connection of the gateway's and its client's end.
func pair(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return &conn{Conn: server, all: new(connections)}, client
}

func TestWatchingReadsNothingAway(t *testing.T) {
	c, client := pair(t)
	text := strings.Repeat("0123456789", 20_000) // more than is held
	go func() { _, _ = io.WriteString(client, text) }()
	var got strings.Builder
	for got.Len() < len(text) {
		stop := c.watch(func() { t.Error("the client is there") })
		stop()
		stop() // once more does no harm
		part := make([]byte, 777)
		n, err := c.Read(part)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		got.Write(part[:n])
	}
	if got.String() != text {
		t.Error("the bytes are not those that were sent")
	}
	gone := make(chan struct{})
	stop := c.watch(func() { close(gone) })
	_ = client.Close()
	closes(t, "the client is seen to be gone", gone)
	stop()
}

func TestAWatcherThatIsStoppedSaysNothing(t *testing.T) {
	c, _ := pair(t)
	for range 100 {
		c.watch(func() { t.Error("the client is there") })()
	}
}

func TestWhatWasBufferedIsTakenBackInOrder(t *testing.T) {
	c, client := pair(t)
	c.held = []byte("second ")
	between := &hijacked{Conn: c, first: strings.NewReader("first ")}
	c.takeBack(between)
	if _, err := io.WriteString(client, "third"); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if all, err := io.ReadAll(c); err != nil || string(all) != "first second third" {
		t.Errorf("%q, %v", all, err)
	}
}

// hijacked reads ahead as fasthttp does.
type hijacked struct {
	net.Conn
	first io.Reader
}

func (h *hijacked) Read(p []byte) (int, error) {
	if n, _ := h.first.Read(p); n > 0 {
		return n, nil
	}
	return h.Conn.Read(p)
}

func TestAConnectionIsTakenOrAbandoned(t *testing.T) {
	abandoned := 0
	c, _ := pair(t)
	taken := c.handOver(func() { abandoned++ })
	_ = c.Close()
	_ = c.Close()
	if taken() || abandoned != 1 {
		t.Errorf("taken after it was closed, or abandoned %d times", abandoned)
	}
	c, _ = pair(t)
	taken = c.handOver(func() { abandoned++ })
	if !taken() {
		t.Error("it cannot be taken")
	}
	_ = c.Close()
	if abandoned != 1 {
		t.Error("abandoned though it was taken")
	}
}

func TestAPanicInAStreamIsItsOwn(t *testing.T) {
	r := newRig(t)
	q := &request{server: r.server, route: unmatched}
	if err := q.guard(func() error { panic("a fault") }); errorOf(err).Code != CodeInternal {
		t.Errorf("%v", err)
	}
	if err := q.guard(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestTheEndClosesConnectionsThatNeverAsked(t *testing.T) {
	cs := new(connections)
	early, _ := pair(t)
	late, _ := pair(t)
	asked, client := pair(t)
	for _, c := range []*conn{early, late, asked} {
		c.all = cs
		cs.open.Add(1)
	}
	early.await(0, 0)
	asked.await(0, 0)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := asked.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cs.end()
	late.await(0, 0)
	if !early.closed.Load() || !late.closed.Load() || asked.closed.Load() {
		t.Errorf("closed: early %v, late %v, one that has asked %v", early.closed.Load(), late.closed.Load(), asked.closed.Load())
	}
	if open := cs.open.Load(); open != 1 {
		t.Errorf("%d are counted as open", open)
	}
}
