package agent

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
		{"a page", "<!doctype html><html><title> Bad gateway </title>", errorWords{"it answered with an HTML page: Bad gateway", "", ""}},
		{"a page in Latin-1", "<html><!-- \xe9\xe8\xe7 \u0130 --><Title lang=fr>Acc\xe8s</Title>", errorWords{"it answered with an HTML page: Acc\xe8s", "", ""}},
		{"a page without a title", "<html>", errorWords{"it answered with an HTML page: no title", "", ""}},
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

// TestErrorWithABodyThatDoesNotEnd: the status is known, and not kept waiting.
func TestErrorWithABodyThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newUpstream(upstreamOptions{BaseURL: "http://host"})
		w := newWatch(t.Context())
		defer w.end()
		w.answered(time.Hour)
		body := io.MultiReader(strings.NewReader("half a wo"), silentReader{w.ctx})
		start := time.Now()
		e := up.statusError(&http.Response{StatusCode: 503, Header: http.Header{}, Body: &watchedBody{up, w, io.NopCloser(body)}})
		if e.Status != 503 || e.Message != "half a wo" || time.Since(start) != errorBodyTime {
			t.Errorf("after %s: %+v", time.Since(start), e.Error)
		}
	})
}

// silentReader reads nothing until its call is ended.
type silentReader struct{ ctx context.Context }

func (r silentReader) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

func TestErrorTypesStandForStatuses(t *testing.T) {
	up := &upstream{}
	for kind, want := range map[string]int{
		"invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403, "not_found_error": 404,
		"request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529, "server_error": 0, "": 0,
	} {
		e := up.brokenOff([]byte(`{"error":{"type":"` + kind + `"}}`))
		if e.Status != want || (e.Kind == KindStatus) != (want != 0) || e.Message == "" {
			t.Errorf("%s: got %+v", kind, e)
		}
	}
}

// FuzzErrorBody holds what is made of an upstream's error to what an Error
// promises: fit for people, and without the key.
func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`{"error":{"message":"m ` + testKey + `","type":"t","code":502}}`, `[{"error":{"code":400}}]`, `{"detail":[{"msg":"m"}]}`,
		"<html>\xe9<title>x</title>", "plain \xff", `{"error":null,"message":{"a":1}}`, `[null]`, `["a"]`, ` `,
	} {
		f.Add([]byte(body))
	}
	up := newUpstream(upstreamOptions{BaseURL: "http://host", Secrets: []string{testKey}})
	f.Fuzz(func(t *testing.T, body []byte) {
		response := &http.Response{StatusCode: 500, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body)))}
		broken := up.brokenOff(body)
		for _, e := range []*Error{up.statusError(response).Error, broken} {
			if e.Message == "" {
				t.Fatalf("an error without words: %+v", e)
			}
			for _, text := range []string{e.Message, e.UpstreamType, e.UpstreamCode} {
				if !utf8.ValidString(text) || len(text) > maxErrorMessageBytes || strings.Contains(text, testKey) {
					t.Fatalf("not fit for people: %q", text)
				}
			}
		}
		if broken.Status != 0 && (broken.Status < 400 || broken.Status > 599 || broken.Kind != KindStatus) {
			t.Fatalf("got %+v", broken)
		}
	})
}
