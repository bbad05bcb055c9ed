package channels

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// AddressError refuses a call to an address that is not public.
type AddressError struct{ Address string }

func (e *AddressError) Error() string {
	return "the address " + e.Address + " is not a public one; allow_private would let the channel call it"
}

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
)

// NewClient returns a client for calls whose address a stranger may have chosen:
// unless private addresses are allowed it connects to public ones only, whatever a
// name resolves to; it uses no proxy, follows redirects to the same host only,
// and bounds the answer's header and the time to it. Its callers bound the body.
func NewClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkAddress(address)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  callTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    4,
			MaxConnsPerHost:        64,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			first := before[0].URL
			switch {
			case len(before) > maxRedirects:
				return errors.New("it redirects too often")
			case next.URL.Host != first.Host || next.URL.Scheme != first.Scheme:
				return errors.New("it redirects to another host")
			}
			return nil
		},
	}
}

// CloseIdle lets go of the connections that are open for the next call.
func (c *Channel) CloseIdle() { c.client.CloseIdleConnections() }

// checkAddress looks at what is about to be connected to, after the name was
// resolved.
func checkAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q", &AddressError{address}, err)
	}
	if !public(at.Addr()) {
		return &AddressError{at.Addr().String()}
	}
	return nil
}

// Networks that are not reached over the Internet, or lead somewhere else than
// they seem to: https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry.
var special = func() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

// globalUnicast is all that IPv6 has in use for the Internet; what is mapped,
// translated or local lies outside.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func public(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}
