package agent

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestErrorBodies(t *testing.T) {
	tests := []struct {
		name, body string
		want       errorWords
	}{
		{"OpenAI", `{"error":{"message":"m","type":"t","param":null,"code":"c"}}`, errorWords{"m", "t", "c"}},
		{"OpenAI without a code", `{"error":{"message":"m","type":"t","code":null}}`, errorWords{"m", "t", ""}},
		{"a code that is a number", `{"error":{"message":"m","code":502}}`, errorWords{"m", "", "502"}},
		{"Anthropic", `{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}`, errorWords{"m", "overloaded_error", ""}},
		{"Ollama", `{"error":"m"}`, errorWords{"m", "", ""}},
		{"Google, in a list", `[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]`, errorWords{"m", "", "400"}},
		{"vLLM", `{"object":"error","message":"m","type":"t","code":404}`, errorWords{"m", "t", "404"}},
		{"FastAPI", `{"detail":"Not Found"}`, errorWords{"Not Found", "", ""}},
		{"FastAPI's validation", `{"detail":[{"msg":"m"}]}`, errorWords{`[{"msg":"m"}]`, "", ""}},
		{"other JSON", `{"status":3}`, errorWords{`{"status":3}`, "", ""}},
		{"text", " upstream connect error \n", errorWords{"upstream connect error", "", ""}},
		{"a page", "<!doctype html><html><title> Bad gateway </title>", errorWords{"an HTML page: Bad gateway", "", ""}},
		{"a page without a title", "<html>", errorWords{"an HTML page: no title", "", ""}},
		{"nothing", " ", errorWords{}},
	}
	for _, tt := range tests {
		if got := parseErrorBody([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestErrorTextIsClean(t *testing.T) {
	up := newUpstream(upstreamOptions{BaseURL: "http://host", Secrets: []string{"", testKey}})
	filler := strings.Repeat("é", maxErrorMessageBytes/2-10)
	got := up.clean(" " + filler + testKey + "\xff" + filler)
	if strings.Contains(got, "sk-") || !utf8.ValidString(got) || len(got) > maxErrorMessageBytes || len(got) < maxErrorMessageBytes-4 {
		t.Errorf("got %d bytes, ending %q", len(got), got[len(got)-40:])
	}
	if got := up.clean("a " + testKey + "!"); got != "a [redacted]!" {
		t.Errorf("got %q", got)
	}
}
