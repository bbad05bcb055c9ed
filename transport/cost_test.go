//go:build unix

package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"agentzero/actors"
	"agentzero/agent"
	"agentzero/bench/floor"
)

// The cost of a delta from the upstream's socket to the client's, held by numbers
// that do not depend on the machine: allocations, and CPU time beside that of the
// least gateway there can be.

const (
	// maxDeltaAllocs is what a delta may allocate. It allocates less than one
	// object: a piece of the log for every few.
	maxDeltaAllocs = 2
	// maxDeltaCPU is how many times the floor's CPU a delta may cost, the model's
	// and the client's part, which are the same for both, included. It was
	// measured at 0.9 to 1.3.
	maxDeltaCPU = 2.0
)

func TestADeltaAllocatesNextToNothing(t *testing.T) {
	model := newLockstep(t)
	stream := model.stream(t, gatewayBefore(t, model.addr))
	defer stream.end()
	stream.pass(500)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 5000
	stream.pass(n)
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / n; each > maxDeltaAllocs {
		t.Errorf("a delta allocates %.2f objects, %d bytes; at most %d objects are meant to be", each, (after.TotalAlloc-before.TotalAlloc)/n, maxDeltaAllocs)
	} else {
		t.Logf("a delta allocates %.2f objects, %d bytes", each, (after.TotalAlloc-before.TotalAlloc)/n)
	}
}

func TestADeltaCostsLittleMoreThanTheFloors(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it measures CPU time")
	}
	model := newLockstep(t)
	gateway := model.stream(t, gatewayBefore(t, model.addr))
	defer gateway.end()
	least := model.stream(t, floorBefore(t, model.addr))
	defer least.end()
	const rounds, n = 7, 2000
	var ratios []float64
	for range rounds {
		ours, floors := gateway.cpu(n), least.cpu(n)
		ratios = append(ratios, float64(ours)/float64(floors))
	}
	slices.Sort(ratios)
	t.Logf("a delta costs, times the floor's: %.2f", ratios)
	if ratios[rounds/2] > maxDeltaCPU {
		t.Errorf("a delta costs %.2f times the floor's CPU; at most %.1f is meant to be", ratios[rounds/2], maxDeltaCPU)
	}
}

// gatewayBefore starts a whole gateway, but for its configuration and its disk,
// in front of a model server.
func gatewayBefore(t *testing.T, upstream string) (addr string) {
	provider := agent.NewOpenAI(agent.OpenAIOptions{Name: "model", DefaultModel: "m", BaseURL: "http://" + upstream + "/v1"})
	system := actors.NewSystem(actors.Options{Agent: provider})
	server := New(Options{
		Sessions: system, Auth: newTokens(), RequirePairing: true, Metrics: NewMetrics("test"),
		Live: Live{RateLimit: 1000, RateWindow: time.Minute},
	})
	l := listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Shutdown(t.Context())
		<-served
		system.Shutdown(t.Context())
		provider.Close()
	})
	return l.Addr().String()
}

func floorBefore(t *testing.T, upstream string) (addr string) {
	s, err := floor.New(floor.Hijack, upstream)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-served
	})
	return l.Addr().String()
}

func listenLocal(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lockstep is a model server that says one delta for each that it is asked for,
// and allocates nothing for it.
type lockstep struct {
	addr  string
	asked chan chan int // of the next connection: how many deltas are wanted; closed at the end
}

func newLockstep(t *testing.T) *lockstep {
	l := listenLocal(t)
	m := &lockstep{addr: l.Addr().String(), asked: make(chan chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.answer(c, <-m.asked)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return m
}

const lockstepEvent = `data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1767225600,"model":"m","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}` + "\n\n"

func (m *lockstep) answer(c net.Conn, wanted <-chan int) {
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := []byte(strconv.FormatInt(int64(len(lockstepEvent)), 16) + "\r\n" + lockstepEvent + "\r\n")
	for range wanted {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
	_, _ = io.WriteString(c, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
}

// lockstepStream is a client's stream of such a model's answer.
type lockstepStream struct {
	t      *testing.T
	conn   net.Conn
	wanted chan int
	buf    [4096]byte
	last   byte
}

// stream asks the server at addr for a stream of the model, which has said its
// first delta when it returns.
func (m *lockstep) stream(t *testing.T, addr string) *lockstepStream {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	s := &lockstepStream{t: t, conn: c, wanted: make(chan int)}
	m.asked <- s.wanted
	if _, err := io.WriteString(c, request11("POST", "/v1/chat/completions", helloStream, "Connection: close", "Authorization: Bearer "+chatToken)); err != nil {
		t.Fatal(err)
	}
	s.pass(1)
	return s
}

// pass lets n deltas pass, each after the one before has come.
func (s *lockstepStream) pass(n int) {
	for i := range n {
		s.wanted <- 1
		for came := 0; came == 0; {
			got, err := s.conn.Read(s.buf[:])
			if err != nil {
				s.t.Fatalf("after %d deltas: %v", i, err)
			}
			for _, b := range s.buf[:got] {
				if b == '\n' && s.last == '\n' {
					came++
				}
				s.last = b
			}
		}
	}
}

// cpu is the CPU time of the whole process while n deltas pass.
func (s *lockstepStream) cpu(n int) time.Duration {
	before := processCPU()
	s.pass(n)
	return processCPU() - before
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// end lets the answer end.
func (s *lockstepStream) end() {
	close(s.wanted)
	_, err := io.Copy(io.Discard, s.conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Error(err)
	}
	_ = s.conn.Close()
}
