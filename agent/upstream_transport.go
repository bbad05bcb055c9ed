package agent

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Transport limits. Thousands of streams run at once, so connections are not
// limited and idle ones are kept for the next turn; buffers are small because
// every HTTP/1.1 connection has its own pair.
const (
	maxIdleConnsPerHost = 1024
	idleConnTimeout     = 90 * time.Second
	idleConnSweep       = 5 * time.Second
	connBufferBytes     = 4 << 10
	maxHeaderBytes      = 64 << 10
	http2StreamBuffer   = 256 << 10
	http2PingAfter      = 30 * time.Second
	http2PingTimeout    = 15 * time.Second
	maxRedirects        = 3
)

func newTransport(t Timeouts) http.RoundTripper {
	dialer := &net.Dialer{Timeout: t.Connect, KeepAlive: 30 * time.Second}
	return &plainTransport{dialer: dialer, other: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    t.Connect,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // a compressor upstream would hold deltas back
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		ReadBufferSize:         connBufferBytes,
		WriteBufferSize:        connBufferBytes,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: http2StreamBuffer,
			SendPingTimeout:           http2PingAfter,
			PingTimeout:               http2PingTimeout,
		},
	}}
}

// checkRedirect follows a redirect only where the call stays what it is: the
// same host and scheme, so that no key travels elsewhere, and a method and body
// that survive. Any other is returned as the error it is for an API.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	same := req.URL.Host == first.URL.Host && req.URL.Scheme == first.URL.Scheme && req.Method == first.Method
	if !same || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}
