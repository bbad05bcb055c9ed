package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// host is an IP address or a host name, in lower case and without brackets.
func host() codec[string] {
	return word("an IP address or a host name, without scheme and port", parseHost)
}

func parseHost(s string) (string, bool) {
	s = strings.ToLower(s)
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	if addr, err := netip.ParseAddr(bare); err == nil && (bare == s || addr.Is6()) {
		return bare, true
	}
	return s, isHostName(s)
}

// isHostName accepts names as DNS and container networks have them. A name that
// ends in a number is a mistyped address.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !isHostRune(r) }) {
			return false
		}
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil
}

func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// origin is what a browser sends as Origin, or "*".
func origin() codec[string] {
	return word(`an origin such as "https://app.example.com" (scheme://host[:port], no path, not even a slash), or "*"`, parseOrigin)
}

func parseOrigin(s string) (string, bool) {
	if s == "*" {
		return s, true
	}
	s = strings.ToLower(s)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != s {
		return "", false
	}
	if _, ok := parseHost(u.Hostname()); !ok || !validPort(u) {
		return "", false
	}
	// Browsers leave the default port out.
	if u.Scheme == "http" {
		s = strings.TrimSuffix(s, ":80")
	} else if u.Scheme == "https" {
		s = strings.TrimSuffix(s, ":443")
	}
	return s, true
}

// validPort accepts no port, or one from 1 to 65535, but not "host:".
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port >= 1 && port <= 65535
}

// proxy is an address, or a network in CIDR form.
func proxy() codec[netip.Prefix] {
	return scalar("an IP address, or a network such as \"10.0.0.0/8\"", func(n *node) (netip.Prefix, bool) {
		if !n.isText() {
			return netip.Prefix{}, false
		}
		if addr, err := netip.ParseAddr(n.text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			return netip.PrefixFrom(addr, addr.BitLen()), true
		}
		prefix, err := netip.ParsePrefix(n.text)
		return prefix.Masked(), err == nil
	}, func(p netip.Prefix) string { return quote(formatProxy(p)) },
		func(p netip.Prefix) any { return formatProxy(p) })
}

func formatProxy(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// baseURL is the http or https URL that a provider's paths are appended to; ""
// stands for the kind's own. An URL with an @ is never repeated: what stands
// before it may be a password.
func baseURL() codec[string] {
	const want = "an http or https URL without user, query, fragment and spaces"
	c := word(want, parseBaseURL)
	decode := c.decode
	c.decode = func(n *node, from source) (string, []problem) {
		v, problems := decode(n, from)
		if len(problems) > 0 && strings.Contains(n.text, "@") {
			problems = []problem{unwanted(n, true, want+" (credentials belong in api_key or headers)")}
		}
		return v, problems
	}
	return c
}

func parseBaseURL(s string) (string, bool) {
	if s == "" {
		return "", true
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.ContainsAny(s, "?# ") {
		return "", false
	}
	_, ok := parseHost(u.Hostname())
	return strings.TrimRight(s, "/"), ok && validPort(u)
}

// serverAddress is a model server's: host:port, or an URL, whose /v1 is left off.
func serverAddress() codec[string] {
	return word(`a model server's address, such as "127.0.0.1:8080" or "http://gpu:8000"`, func(s string) (string, bool) {
		if !strings.Contains(s, "://") {
			if _, _, err := net.SplitHostPort(s); err != nil {
				return "", false
			}
			s = "http://" + s
		}
		s, ok := parseBaseURL(s)
		return strings.TrimSuffix(s, "/v1"), ok && s != ""
	})
}
