package upstream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agentzero/test/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends one chat completion with its own connection.
func post(t *testing.T, ctx context.Context, s *upstream.Server, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return (&http.Client{Transport: transport}).Do(req)
}

func stream(model, text string) string {
	b, _ := json.Marshal(map[string]any{
		"model": model, "stream": true, "stream_options": map[string]any{"include_usage": true},
		"messages": []any{map[string]any{"role": "user", "content": text}},
	})
	return string(b)
}

// read returns the joined contents of a stream, its last finish reason, whether
// [DONE] ended it, and the error that broke it.
func read(t *testing.T, r io.Reader) (text, finish string, done bool, err error) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return text, finish, true, nil
		}
		var chunk struct {
			Choices []struct {
				Delta        struct{ Content string }
				FinishReason string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return text, finish, false, err
		}
		for _, c := range chunk.Choices {
			text += c.Delta.Content
			if c.FinishReason != "" {
				finish = c.FinishReason
			}
		}
	}
	return text, finish, false, lines.Err()
}

func TestStreamsItsScriptAndRecordsTheCall(t *testing.T) {
	s := upstream.New(t)
	s.Set("counter", upstream.Script{Deltas: upstream.Count(3)})
	resp, err := post(t, t.Context(), s, stream("counter", "go"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, finish, done, err := read(t, resp.Body)
	if text != "1 2 3 " || finish != "stop" || !done || err != nil {
		t.Errorf("read %q, finish %q, done %v, err %v", text, finish, done, err)
	}
	got := s.Requests("counter")
	if len(got) != 1 || got[0].Text != "go" || !got[0].Stream || !got[0].HungUp.IsZero() {
		t.Errorf("recorded %+v", got)
	}
}

func TestEchoesWithoutBreakingCharacters(t *testing.T) {
	s := upstream.New(t)
	const want = "aé€𝄞 end"
	s.Set("echo", upstream.Script{Echo: true, EchoPiece: 4})
	resp, err := post(t, t.Context(), s, stream("echo", want))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _, done, err := read(t, resp.Body); text != want || !done || err != nil {
		t.Errorf("read %q, done %v, err %v", text, done, err)
	}
}

func TestFaultsReachTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		script upstream.Script
		check  func(*testing.T, *http.Response, error)
	}{
		"a status": {
			upstream.Script{Fault: upstream.FaultStatus, Status: 429, RetryAfter: 7},
			func(t *testing.T, r *http.Response, err error) {
				if err != nil || r.StatusCode != 429 || r.Header.Get("Retry-After") != "7" {
					t.Errorf("got %v, %v", r, err)
				}
			}},
		"a drop": {
			upstream.Script{Fault: upstream.FaultDrop},
			func(t *testing.T, r *http.Response, err error) {
				if err == nil {
					t.Errorf("got an answer: %v", r.Status)
				}
			}},
		"a cut": {
			upstream.Script{Deltas: upstream.Count(5), Fault: upstream.FaultCut, After: 2},
			func(t *testing.T, r *http.Response, err error) {
				if err != nil {
					t.Fatal(err)
				}
				if text, _, done, _ := read(t, r.Body); text != "1 2 " || done {
					t.Errorf("read %q, done %v", text, done)
				}
			}},
		"an early end": {
			upstream.Script{Deltas: upstream.Count(5), Fault: upstream.FaultEnd, After: 2},
			func(t *testing.T, r *http.Response, err error) {
				if err != nil {
					t.Fatal(err)
				}
				if text, finish, done, err := read(t, r.Body); text != "1 2 " || finish != "" || done || err != nil {
					t.Errorf("read %q, finish %q, done %v, err %v", text, finish, done, err)
				}
			}},
		"garbage": {
			upstream.Script{Deltas: upstream.Count(5), Fault: upstream.FaultGarbage, After: 1},
			func(t *testing.T, r *http.Response, err error) {
				if err != nil {
					t.Fatal(err)
				}
				if text, _, _, err := read(t, r.Body); text != "1 " || err == nil {
					t.Errorf("read %q, err %v", text, err)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s := upstream.New(t)
			s.Set("m", c.script)
			r, err := post(t, t.Context(), s, stream("m", "x"))
			if r != nil {
				defer r.Body.Close()
			}
			c.check(t, r, err)
		})
	}
}

func TestAFaultMayPass(t *testing.T) {
	s := upstream.New(t)
	s.Set("m", upstream.Script{Deltas: []string{"well"}, Fault: upstream.FaultStatus, FaultTimes: 1})
	for i, want := range []int{500, 200} {
		r, err := post(t, t.Context(), s, stream("m", "x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("call %d: status %d, want %d", i+1, r.StatusCode, want)
		}
	}
}

func TestSeesTheHangUpDuringSilence(t *testing.T) {
	s := upstream.New(t)
	s.Set("m", upstream.Script{Deltas: upstream.Count(3), Fault: upstream.FaultSilence, After: 1})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := post(t, ctx, s, stream("m", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	s.WaitSent(t, "m", 1)
	cancel()
	if got := s.WaitHungUp(t, "m"); got.Sent != 1 {
		t.Errorf("sent %d chunks, want 1", got.Sent)
	}
}

func TestOverlapCountsCallsAtTheSameMoment(t *testing.T) {
	s := upstream.New(t)
	s.Set("m", upstream.Script{Fault: upstream.FaultSilence})
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for _, text := range []string{"a", "a", "b"} {
		calls.Go(func() {
			if r, err := post(t, ctx, s, stream("m", text)); err == nil {
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
		})
	}
	s.Wait(t, "m", "three calls", func(l []upstream.Request) bool { return len(l) == 3 })
	got := s.Overlap(func(r upstream.Request) string { return r.Text })
	if got["a"] != 2 || got["b"] != 1 {
		t.Errorf("overlap %v, want a:2 b:1", got)
	}
	cancel()
	calls.Wait()
}

func TestDownRefusesAndUpAnswersOnTheSamePort(t *testing.T) {
	s := upstream.New(t)
	s.Set("m", upstream.Script{Deltas: []string{"hi"}})
	s.Down()
	if r, err := post(t, t.Context(), s, stream("m", "x")); err == nil {
		r.Body.Close()
		t.Fatalf("answered %s while down", r.Status)
	}
	s.Up(t)
	r, err := post(t, t.Context(), s, stream("m", "x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
}

func TestAnUnknownModelIsNotFound(t *testing.T) {
	s := upstream.New(t)
	r, err := post(t, t.Context(), s, stream("nobody", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 404 {
		t.Errorf("status %d, want 404", r.StatusCode)
	}
}

func TestControlTellsOtherLanguages(t *testing.T) {
	s := upstream.New(t)
	s.Set("m", upstream.Script{Deltas: []string{"hi"}, Interval: time.Nanosecond})
	r, err := post(t, t.Context(), s, stream("m", "told"))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	for _, question := range []string{"requests", "arrival"} {
		r, err = (&http.Client{Transport: transport}).Get(s.Control() + "/" + question + "?model=m")
		if err != nil {
			t.Fatal(err)
		}
		var list []struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || len(list) != 1 || list[0].Text != "told" {
			t.Errorf("%s told %v, %v", question, list, err)
		}
		r.Body.Close()
	}
}
