package upstream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agentzero/bench/internal/stamp"
	"agentzero/bench/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves a mock until the test's end and returns its URL.
func start(t *testing.T, b upstream.Behaviour) (*upstream.Server, string) {
	t.Helper()
	s, err := upstream.New(upstream.Options{Behaviour: b, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != upstream.ErrClosed {
			t.Errorf("Serve returned %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s, "http://" + l.Addr().String()
}

// settled are the stats once nothing runs: an answer is counted after its last
// byte was written.
func settled(s *upstream.Server) upstream.Stats {
	for { // the package's time limit is this loop's
		if n := s.Stats(); n.Begun == n.Whole+n.HungUp+n.Cut {
			return n
		}
		runtime.Gosched()
	}
}

func post(t *testing.T, url, body string) *http.Response {
	t.Helper()
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

type chunk struct {
	ID      string
	Choices []struct {
		Delta        struct{ Role, Content string }
		FinishReason string `json:"finish_reason"`
	}
	Usage *struct {
		CompletionTokens int `json:"completion_tokens"`
	}
}

// events reads a stream to its end, strictly.
func events(t *testing.T, body io.Reader) (list []chunk, done bool, err error) {
	t.Helper()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Text()
		data, ok := strings.CutPrefix(line, "data: ")
		switch {
		case line == "":
			continue
		case !ok || done:
			t.Errorf("a line that should not be: %q", line)
		case data == "[DONE]":
			done = true
			continue
		}
		var c chunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		list = append(list, c)
	}
	return list, done, lines.Err()
}

func TestAStreamIsAsOpenAIsAndTellsWhenItsDeltasWereSent(t *testing.T) {
	s, url := start(t, upstream.Behaviour{Tokens: 3, Interval: time.Millisecond, First: time.Millisecond, Jitter: time.Millisecond})
	before := time.Now().UnixNano()
	list, done, err := events(t, post(t, url, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`).Body)
	if err != nil || !done {
		t.Fatalf("done %v, error %v", done, err)
	}
	after := time.Now().UnixNano()
	if len(list) != 5 {
		t.Fatalf("got %d chunks, want 3 deltas, a finish and a usage", len(list))
	}
	last := before
	for i, c := range list[:3] {
		sent, _, ok := stamp.Next([]byte(c.Choices[0].Delta.Content))
		if !ok || sent < last || sent > after {
			t.Errorf("delta %d, %q, was not sent between %d and %d", i, c.Choices[0].Delta.Content, last, after)
		}
		last = sent
		if role := c.Choices[0].Delta.Role; (role == "assistant") != (i == 0) {
			t.Errorf("delta %d has the role %q", i, role)
		}
		if c.ID != list[0].ID {
			t.Errorf("the id changed from %s to %s", list[0].ID, c.ID)
		}
	}
	if got := list[3].Choices[0].FinishReason; got != "stop" {
		t.Errorf("finish_reason is %q", got)
	}
	if list[4].Usage == nil || list[4].Usage.CompletionTokens != 3 {
		t.Errorf("usage is %+v", list[4].Usage)
	}
	if got := settled(s); got.Begun != 1 || got.Whole != 1 || got.Deltas != 3 {
		t.Errorf("stats are %+v", got)
	}
}

func TestARequestChoosesItsAnswer(t *testing.T) {
	_, url := start(t, upstream.Behaviour{Tokens: 1})
	tests := map[string]struct {
		body   string
		deltas int
		bytes  int
	}{
		"the server's own":         {`{"model":"gpt","stream":true}`, 1, stamp.Len + 1},
		"by the model's name":      {`{"model":"mock:tokens=4,interval=1us","stream":true}`, 4, stamp.Len + 1},
		"bounded by max_tokens":    {`{"model":"mock:tokens=9","max_tokens":2,"stream":true}`, 2, stamp.Len + 1},
		"or its newer name":        {`{"model":"mock:tokens=9","max_completion_tokens":3,"stream":true}`, 3, stamp.Len + 1},
		"in long deltas":           {`{"model":"mock:bytes=5000","stream":true}`, 1, 5000},
		"with nothing at all":      {`{"model":"mock:tokens=0","stream":true}`, 0, 0},
		"by a written Behaviour":   {fmt.Sprintf(`{"model":%q,"stream":true}`, (&upstream.Behaviour{Tokens: 2, Bytes: 30}).Model()), 2, 30},
		"a max_tokens without use": {`{"model":"mock:tokens=2","max_tokens":100,"stream":true}`, 2, stamp.Len + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			list, done, err := events(t, post(t, url, test.body).Body)
			if err != nil || !done || len(list) != test.deltas+1 {
				t.Fatalf("got %d chunks, done %v, error %v; want %d deltas and a finish", len(list), done, err, test.deltas)
			}
			for _, c := range list[:test.deltas] {
				if got := len(c.Choices[0].Delta.Content); got != test.bytes {
					t.Errorf("a delta has %d bytes, want %d", got, test.bytes)
				}
			}
		})
	}
}

func TestAWholeAnswerIsOneDocument(t *testing.T) {
	_, url := start(t, upstream.Behaviour{Tokens: 2})
	resp := post(t, url, `{"model":"m"}`)
	var whole struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			CompletionTokens int `json:"completion_tokens"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&whole); err != nil {
		t.Fatal(err)
	}
	if text := whole.Choices[0].Message.Content; strings.Count(text, "@") != 2 || whole.Usage.CompletionTokens != 2 {
		t.Errorf("the answer is %+v", whole)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	s, url := start(t, upstream.Behaviour{})
	for name, body := range map[string]string{
		"no JSON":            `hello`,
		"an unknown setting": `{"model":"mock:speed=2"}`,
		"no setting":         `{"model":"mock:"}`,
		"a bad value":        `{"model":"mock:interval=fast"}`,
		"out of range":       `{"model":"mock:errors=2"}`,
	} {
		if resp := post(t, url, body); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	if got := s.Stats(); got.Refused != 5 || got.Begun != 0 {
		t.Errorf("stats are %+v", got)
	}
}

func TestTheErrorRateRefusesThatShare(t *testing.T) {
	s, url := start(t, upstream.Behaviour{Errors: 0.5, Status: 429})
	const all = 200
	refused := 0
	for range all {
		resp := post(t, url, `{"model":"m","stream":true}`)
		switch resp.StatusCode {
		case 200:
		case 429:
			refused++
		default:
			t.Fatalf("status %d", resp.StatusCode)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if refused < all/4 || refused > all*3/4 || s.Stats().Refused != int64(refused) {
		t.Errorf("%d of %d were refused, the server says %d", refused, all, s.Stats().Refused)
	}
}

func TestTheCutRateBreaksStreamsOff(t *testing.T) {
	s, url := start(t, upstream.Behaviour{Tokens: 5, Cuts: 1})
	list, done, err := events(t, post(t, url, `{"model":"m","stream":true}`).Body)
	if err == nil || done {
		t.Errorf("the stream came to its end (%v) without an error", done)
	}
	if len(list) >= 5 {
		t.Errorf("got %d deltas of an answer that was cut before its end", len(list))
	}
	if got := settled(s); got.Cut != 1 || got.Whole != 0 {
		t.Errorf("stats are %+v", got)
	}
}

func TestAHangUpIsSeenAndCloseEndsWhatIsLeft(t *testing.T) {
	s, url := start(t, upstream.Behaviour{Tokens: 1_000_000, Interval: time.Millisecond})
	left, stays := post(t, url, `{"stream":true}`), post(t, url, `{"stream":true}`)
	for _, resp := range []*http.Response{left, stays} {
		if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	_ = left.Body.Close()
	for s.Stats().HungUp == 0 { // the package's time limit is this loop's
		runtime.Gosched()
	}
	_ = s.Close()
	if got := s.Stats(); got.HungUp != 2 || got.Begun != 2 {
		t.Errorf("stats are %+v", got)
	}
}

func TestAClientThatDoesNotReadSlowsNobody(t *testing.T) {
	s, url := start(t, upstream.Behaviour{Tokens: 2000, Bytes: 10_000})
	slow := post(t, url, `{"stream":true}`)
	// The other's answer is whole while the first, with 20 MB to go, is not read.
	if _, done, err := events(t, post(t, url, `{"model":"mock:bytes=0,tokens=100","stream":true}`).Body); err != nil || !done {
		t.Fatalf("done %v, error %v", done, err)
	}
	if got := s.Stats().Whole; got > 1 {
		t.Fatalf("%d answers are whole, so the slow one did not wait for its client", got)
	}
	if list, done, err := events(t, slow.Body); err != nil || !done || len(list) != 2001 {
		t.Errorf("the slow one got %d chunks, done %v, error %v", len(list), done, err)
	}
}

func TestHTTP10GetsNoChunks(t *testing.T) {
	_, url := start(t, upstream.Behaviour{Tokens: 2})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"stream":true}`
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, stream, _ := strings.Cut(string(all), "\r\n\r\n")
	if list, done, _ := events(t, strings.NewReader(stream)); !done || len(list) != 3 {
		t.Errorf("got %q", all)
	}
}

func TestBehavioursOutOfRangeAreNamed(t *testing.T) {
	for want, b := range map[string]upstream.Behaviour{
		"tokens":   {Tokens: -1},
		"interval": {Interval: -1},
		"first":    {First: 2 * time.Hour},
		"jitter":   {Jitter: -1},
		"bytes":    {Bytes: 1 << 20},
		"errors":   {Errors: 1.5},
		"cuts":     {Cuts: -0.1},
		"status":   {Status: 200},
	} {
		if _, err := upstream.New(upstream.Options{Behaviour: b}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want one about %s", b, err, want)
		}
	}
}
