package agent

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRequestHeaders(t *testing.T) {
	got := make(chan *http.Request, 1)
	server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r
		sends(200, sseType, string(testStream(2)))(t, w, r)
	})
	o := NewOpenAI(OpenAIOptions{Name: "test", BaseURL: server, APIKey: testKey + "\n", Headers: map[string]string{
		"x-portkey-config": " pc-1\n", "User-Agent": "mine", "host": "tenant.example", "Accept": "text/html",
	}})
	defer o.Close()
	if _, _, err := run(t, o, &Request{Model: "m"}); err != nil {
		t.Fatal(err)
	}
	r := <-got
	for name, want := range map[string]string{
		"X-Portkey-Config": "pc-1", "Authorization": "Bearer " + testKey, "User-Agent": "mine", "Content-Type": jsonType,
		"Accept": sseType, // which the answer's form hangs on
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if r.Host != "tenant.example" {
		t.Errorf("the host is %q", r.Host)
	}
}

func TestHeadersThatCannotBeSent(t *testing.T) {
	for name, options := range map[string]OpenAIOptions{
		"Authorization": {APIKey: "sk-secret\nx"},
		"X-A":           {Headers: map[string]string{"x-a": "sk-secret\r\nX-B: 1"}},
		"x b":           {Headers: map[string]string{"x b": "sk-secret"}},
		"":              {Headers: map[string]string{"": "sk-secret"}},
	} {
		options.Name, options.BaseURL = "test", "http://192.0.2.1"
		_, _, err := run(t, NewOpenAI(options), &Request{Model: "m"})
		e := asError(t, err)
		if e.Kind != KindInvalid || !strings.Contains(e.Message, quote(name)) || strings.Contains(tellError(err), "secret") {
			t.Errorf("%s: got %+v", name, e)
		}
	}
}

func TestHeaderValuesAreSecrets(t *testing.T) {
	up := newUpstream(upstreamOptions{BaseURL: "http://host", Secrets: []string{"key-1234", "", "x"}, Headers: map[string]string{
		"Authorization": "Bearer token-56789", "X-Longer": "key-1234-and-more", "X-Mode": "on", "X-Ten": "1",
	}})
	tests := map[string]string{
		"bad token-56789, it says":     "bad [redacted], it says",
		"Bearer token-56789":           "[redacted]",
		"key-1234-and-more, key-1234.": "[redacted], [redacted].",
		"1 is on, exactly":             "1 is on, exactly", // too short to be secrets
	}
	for text, want := range tests {
		if got := up.clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
