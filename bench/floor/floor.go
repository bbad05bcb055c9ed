// Package floor is the least that a gateway in Go can do: fasthttp passes the
// bytes of an upstream's stream through. It checks, parses, counts and keeps
// nothing. What a real gateway costs above it is the price of what it does.
//
// There are two, because fasthttp offers two ways to stream: [Hijack] takes the
// client's socket over and copies bytes from socket to socket, [BodyStream] uses
// fasthttp's client and its body stream writer, as most programs do.
package floor

import (
	"fmt"

	"github.com/valyala/fasthttp"
)

// Variant is a way to stream.
type Variant string

const (
	Hijack     Variant = "hijack"
	BodyStream Variant = "body-stream"
)

// New returns a server that passes every request to the upstream at addr, a host
// and a port.
func New(v Variant, addr string) (*fasthttp.Server, error) {
	var handler fasthttp.RequestHandler
	switch v {
	case Hijack:
		handler = (&hijacker{addr: addr}).serve
	case BodyStream:
		handler = newStreamer(addr).serve
	default:
		return nil, fmt.Errorf("there is no floor %q, only %s and %s", v, Hijack, BodyStream)
	}
	return &fasthttp.Server{
		Handler:            handler,
		Name:               "floor",
		MaxRequestBodySize: 16 << 20,
		Concurrency:        100_000,
		ReduceMemoryUsage:  true, // an idle or hijacked connection keeps no buffers
	}, nil
}
