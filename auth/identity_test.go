package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseScopes(t *testing.T) {
	tests := []struct {
		list string
		want Scopes // 0: an error
		text string
	}{
		{"chat", ScopeChat, "chat"},
		{"webhook, chat", DeviceScopes, "chat,webhook"},
		{"admin", AdminScopes, "chat,webhook,admin"},
		{"", 0, ""},
		{"chat,", 0, ""},
		{"Chat", 0, ""},
		{"root", 0, ""},
	}
	for _, test := range tests {
		got, err := ParseScopes(test.list)
		if got != test.want || (err == nil) != (test.want != 0) || got.String() != test.text {
			t.Errorf("ParseScopes(%q) = %q, %v; want %q", test.list, got, err, test.text)
		}
	}
}

func TestScopesAreAListInJSON(t *testing.T) {
	data, err := json.Marshal(AdminScopes)
	if err != nil || string(data) != `["chat","webhook","admin"]` {
		t.Fatalf("%s, %v", data, err)
	}
	var s Scopes
	if err := json.Unmarshal(data, &s); err != nil || s != AdminScopes {
		t.Fatalf("%v, %v", s, err)
	}
	for _, bad := range []string{`"chat"`, `[]`, `7`, `["x"]`} {
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("took %s", bad)
		}
	}
}

func TestHasAsksForAll(t *testing.T) {
	if !DeviceScopes.Has(ScopeChat|ScopeWebhook) || DeviceScopes.Has(ScopeChat|ScopeAdmin) {
		t.Error("Has does not ask for all")
	}
}

func TestCheckOwner(t *testing.T) {
	for owner, good := range map[string]bool{
		"default": true, "a.b_c@d-E9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a/b": false, "\u00e4": false, "a\n": false,
	} {
		if err := CheckOwner(owner); (err == nil) != good || err != nil && !errors.Is(err, ErrOwner) {
			t.Errorf("CheckOwner(%q) = %v", owner, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"laptop": true, "J\u00fcrgen's phone": true, strings.Repeat("\u00fc", 64): true,
		"": false, strings.Repeat("x", 65): false, " x": false, "x ": false, "a\x1b[2J": false, "a\nb": false, "\xff": false,
	} {
		if err := checkName(name); (err == nil) != good || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}
