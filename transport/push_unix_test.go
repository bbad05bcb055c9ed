//go:build unix

package transport

import (
	"bytes"
	"io"
	"net"
	"testing"
)

func TestAPusherGivesWhatTheSocketTakes(t *testing.T) {
	l := listenLocal(t)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := newPusher(server)
	if n := p.write([]byte("hello")); n != 5 {
		t.Fatalf("%d bytes were taken of 5", n)
	}
	block := bytes.Repeat([]byte("x"), 64<<10)
	sent := 0
	for n := len(block); n == len(block); { // until it is full
		n = p.write(block)
		sent += n
	}
	if n := p.write(block); n == len(block) {
		t.Error("a full socket takes all")
	} else {
		sent += n
	}
	// What was taken arrives, in order, with what is written after it.
	go func() {
		_, _ = server.Write([]byte("end"))
		_ = server.Close()
	}()
	all, err := io.ReadAll(client)
	want := "hello" + string(bytes.Repeat([]byte("x"), sent)) + "end"
	if err != nil || string(all) != want {
		t.Errorf("%d bytes arrived of %d, %v", len(all), len(want), err)
	}
	if n := p.write([]byte("more")); n != 0 {
		t.Errorf("a closed socket took %d bytes", n)
	}
}

func TestThereIsNoPusherWithoutASocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if newPusher(a) != nil {
		t.Error("a pipe can be pushed to")
	}
}
