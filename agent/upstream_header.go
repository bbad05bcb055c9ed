package agent

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// requestHeader is what every call of an upstream sends: own, and further, which
// users write and which overrides it. White space around a value, such as the
// line end of a file with a key, is left off. The error names the first, by name,
// that HTTP cannot carry, and tells no value.
func requestHeader(own http.Header, further map[string]string) (http.Header, error) {
	header := http.Header{}
	for name := range own {
		header.Set(name, strings.TrimSpace(own.Get(name)))
	}
	for name, value := range further {
		header.Set(name, strings.TrimSpace(value))
	}
	var faults []string
	for name, values := range header {
		if !isHeaderName(name) || !isHeaderValue(values[0]) {
			faults = append(faults, name)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("the request header %q cannot be sent: "+
			"its name or value (the API key?) holds a character that HTTP forbids", slices.Min(faults))
	}
	return header, nil
}

// isHeaderName tells whether name is a token (RFC 9110, section 5.6.2).
func isHeaderName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z':
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// isHeaderValue tells whether value holds no control character but tab.
func isHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

const (
	// minSecretValue is the shortest key or value of a header that is taken for a
	// secret: to take out "1", "on", or the "x" that stands for a key where none
	// is asked for, would leave an error's text unreadable.
	minSecretValue = 4
	// minSecretWord is the same for a word within a value, such as the token
	// after "Bearer".
	minSecretWord = 8
)

// redactor takes secrets out of a text, and the values of headers.
func redactor(secrets []string, headers map[string]string) *strings.Replacer {
	var all []string
	for _, secret := range secrets {
		if secret = strings.TrimSpace(secret); len(secret) >= minSecretValue {
			all = append(all, secret)
		}
	}
	for _, value := range headers {
		if value = strings.TrimSpace(value); len(value) >= minSecretValue {
			all = append(all, value)
		}
		for word := range strings.FieldsSeq(value) {
			if len(word) >= minSecretWord {
				all = append(all, word)
			}
		}
	}
	// The longest first: one may stand within another.
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(all))
	for _, secret := range all {
		pairs = append(pairs, secret, "[redacted]")
	}
	return strings.NewReplacer(pairs...)
}
