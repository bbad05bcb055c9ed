package dashboard

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"

	"agentzero/test/gateway"
)

// wire is a TCP proxy before a gateway, which can be cut.
type wire struct {
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

// stretch puts a wire before a gateway, and has it known there instead.
func stretch(t *testing.T, g *gateway.Gateway) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: strings.TrimPrefix(g.URL, "http://"), conns: map[net.Conn]struct{}{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.set(true)
		serving.Wait()
	})
	g.URL = "http://" + l.Addr().String()
	return w
}

// set cuts the wire, or mends it. What was open when it was cut is gone.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			c.Close()
		}
	}
}

func (w *wire) hold(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		c.Close()
		return false
	}
	w.conns[c] = struct{}{}
	return true
}

func (w *wire) drop(c net.Conn) {
	c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

func (w *wire) carry(client net.Conn) {
	if !w.hold(client) {
		return
	}
	defer w.drop(client)
	w.mu.Lock()
	to := w.to
	w.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil || !w.hold(server) {
		return
	}
	defer w.drop(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
	client.Close()
	<-done
}

func TestACutConnectionLosesNothing(t *testing.T) {
	g, next := counting(t, 8)
	w := stretch(t, g)
	b := signedIn(t, g)
	b.refused()
	b.say("Count")
	b.answer(next(2))
	w.set(true)
	b.sees("The connection is lost")
	whole := next(5) // said while nobody can hear it
	w.set(false)
	b.answer(whole)
	b.gone("The connection is lost")

	// A message that is sent while there is no network arrives once.
	b.answer(next(8))
	b.sees("8 tokens", ".status")
	w.set(true)
	b.sees("The connection is lost")
	b.say("And again")
	b.sees("Waits for the network", ".status")
	w.set(false)
	b.wait("document.querySelectorAll('.turn[data-state=running]').length === 1", "the message has arrived")
	if n := strings.Count(b.text(".bubble"), "And again"); n != 1 {
		t.Errorf("the message stands there %d times", n)
	}
}

func TestABrowserThatWasOfflineGoesOn(t *testing.T) {
	g, next := counting(t, 6)
	b := signedIn(t, g)
	b.refused()
	b.say("Count")
	b.answer(next(2))
	b.run("go offline", network.EmulateNetworkConditions(true, 0, -1, -1))
	b.sees("The connection is lost")
	whole := next(4)
	b.run("come back", network.EmulateNetworkConditions(false, 0, -1, -1))
	b.answer(whole)
	b.answer(next(6))
}

func TestAGatewayThatIsStartedAgainIsFoundAgain(t *testing.T) {
	g := gateway.Start(t, gateway.Options{})
	w := stretch(t, g)
	b := signedIn(t, g)
	b.refused()
	b.say("Repeat after me: first")
	b.answer("first")
	g.Stop(t)
	b.sees("The connection is lost")
	again := gateway.Start(t, gateway.Options{DataDir: g.DataDir})
	w.mu.Lock()
	w.to = strings.TrimPrefix(again.URL, "http://")
	w.mu.Unlock()
	b.gone("The connection is lost")
	b.say("Repeat after me: second")
	b.answer("second")
}
