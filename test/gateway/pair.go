package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Token returns a bearer token: the first call pairs with the code that the
// gateway printed (so it is the admin device), later calls return the same.
func (g *Gateway) Token(t testing.TB) string {
	t.Helper()
	g.pairing.Lock()
	defer g.pairing.Unlock()
	if g.token != "" {
		return g.token
	}
	code, err := g.output.code()
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	g.token, err = g.pair(code)
	if err != nil {
		t.Fatalf("gateway: pair: %v", err)
	}
	return g.token
}

// UseToken makes Token return a token that another run on the same data gave.
func (g *Gateway) UseToken(token string) {
	g.pairing.Lock()
	defer g.pairing.Unlock()
	g.token = token
}

func (g *Gateway) pair(code string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, g.URL+"/pair", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Pairing-Code", code)
	resp, err := g.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var answer struct {
		Paired bool
		Token  string
	}
	if err := json.Unmarshal(body, &answer); err != nil || !answer.Paired || answer.Token == "" {
		return "", fmt.Errorf("%s: %s", resp.Status, body)
	}
	return answer.Token, nil
}

// Do sends one request with the gateway's token, and returns the answer and its
// whole body. A header is "Name: value"; an empty body sends none.
func (g *Gateway) Do(t testing.TB, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	req.Header.Set("Authorization", "Bearer "+g.Token(t))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatalf("gateway: %s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("gateway: %s %s: read the answer: %v", method, path, err)
	}
	return resp, string(answer)
}

// Code returns the pairing code that the gateway printed, for a test that pairs
// by itself.
func (g *Gateway) Code(t testing.TB) string {
	t.Helper()
	code, err := g.output.code()
	if err != nil {
		t.Fatalf("gateway: %v", err)
	}
	return code
}
