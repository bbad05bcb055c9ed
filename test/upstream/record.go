package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Patience is how long the waiting methods wait before they fail their test.
// It is a safety net, not a measure.
const Patience = 20 * time.Second

// Request is one call the server got, as it stands at the moment of asking.
type Request struct {
	// Model and Stream are the body's, Text is its last user message's text.
	Model  string `json:"model"`
	Stream bool   `json:"stream"`
	Text   string `json:"text"`
	// Body is the whole body as it came.
	Body   json.RawMessage `json:"body"`
	Header http.Header     `json:"header"`
	// Began is when the body had been read, Ended when the answer was over
	// (zero while it lasts).
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Said is when the last piece of a streamed answer was about to be written:
	// nobody can have had the whole of it before. Zero where it was not whole.
	Said time.Time `json:"said"`
	// Sent is how many chunks have been written.
	Sent int `json:"sent"`
	// HungUp is when the client was seen to have left before the end, or zero.
	HungUp time.Time `json:"hung_up"`
}

// Messages decodes the body's conversation.
func (r Request) Messages() []Message {
	var body struct {
		Messages []Message `json:"messages"`
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return nil
	}
	return body.Messages
}

// Message is one message of a conversation whose content is a plain text.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Requests returns what the server was asked for model, oldest first; every
// model's where model is "".
func (s *Server) Requests(model string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requestsLocked(model)
}

func (s *Server) requestsLocked(model string) []Request {
	list := []Request{}
	for _, r := range s.requests {
		if model == "" || r.Model == model {
			list = append(list, *r)
		}
	}
	return list
}

// Wait returns the requests for model as soon as ok says of them what is
// waited for. It fails t after Patience.
func (s *Server) Wait(t testing.TB, model, what string, ok func([]Request) bool) []Request {
	t.Helper()
	list, met := s.await(model, ok)
	if !met {
		t.Fatalf("upstream: %s did not come true for model %q in %v; requests: %d", what, model, Patience, len(list))
	}
	return list
}

// WaitSent waits until the newest call of model has been sent n chunks.
func (s *Server) WaitSent(t testing.TB, model string, n int) Request {
	t.Helper()
	list := s.Wait(t, model, fmt.Sprintf("%d chunks sent", n), func(l []Request) bool {
		return len(l) > 0 && l[len(l)-1].Sent >= n
	})
	return list[len(list)-1]
}

// WaitHungUp waits until the client of the newest call of model has hung up.
func (s *Server) WaitHungUp(t testing.TB, model string) Request {
	t.Helper()
	list := s.Wait(t, model, "a hang-up", hungUp)
	return list[len(list)-1]
}

func arrived(l []Request) bool { return len(l) > 0 }

func hungUp(l []Request) bool { return len(l) > 0 && !l[len(l)-1].HungUp.IsZero() }

func (s *Server) await(model string, ok func([]Request) bool) ([]Request, bool) {
	deadline := time.Now().Add(Patience)
	wake := time.AfterFunc(Patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer wake.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		list := s.requestsLocked(model)
		if ok(list) {
			return list, true
		}
		select {
		case <-s.closed:
			return list, false
		default:
		}
		if !time.Now().Before(deadline) {
			return list, false
		}
		s.changed.Wait()
	}
}

// Overlap tells, for each key, how many calls with that key were being answered
// at the same moment, at most. The key names what must not overlap, such as a
// session that the test has written into the conversation.
func (s *Server) Overlap(key func(Request) string) map[string]int {
	most := map[string]int{}
	now := time.Now()
	list := s.Requests("")
	for _, a := range list {
		n := 0
		for _, b := range list {
			end := b.Ended
			if end.IsZero() {
				end = now
			}
			if key(a) == key(b) && !b.Began.After(a.Began) && end.After(a.Began) {
				n++
			}
		}
		most[key(a)] = max(most[key(a)], n)
	}
	return most
}

// begin reads and remembers one call.
func (s *Server) begin(r *http.Request) (*Request, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	req := &Request{Body: body, Header: r.Header.Clone(), Began: time.Now()}
	var fields struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	req.Model, req.Stream = fields.Model, fields.Stream
	for _, m := range fields.Messages {
		if m.Role == "user" {
			req.Text = text(m.Content)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, req)
	s.changed.Broadcast()
	return req, nil
}

// text is a content's text: the string itself, or its text parts joined.
func text(content json.RawMessage) string {
	var plain string
	if json.Unmarshal(content, &plain) == nil {
		return plain
	}
	var parts []struct {
		Text string `json:"text"`
	}
	json.Unmarshal(content, &parts)
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

func (s *Server) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

func (s *Server) end(req *Request) { s.note(func() { req.Ended = time.Now() }) }

func (s *Server) countLocked(model string) int {
	n := 0
	for _, r := range s.requests {
		if r.Model == model {
			n++
		}
	}
	return n
}
