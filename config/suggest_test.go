package config

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	candidates := []string{"port", "host", "read_timeout", "write_timeout"}
	for word, want := range map[string]string{
		"prot":                   "port", // a swap is one mistake
		"PORT":                   "port",
		"read-timeout":           "read_timeout",
		"readtimeout":            "read_timeout",
		"x":                      "",
		"banana":                 "",
		"":                       "",
		strings.Repeat("x", 100): "",
	} {
		if got := closest(word, candidates); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
