package channels

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func channel(t testing.TB, s Settings) *Channel {
	t.Helper()
	if s.Name == "" {
		s.Name = "hooks"
	}
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func request(body string, headers ...string) *Request {
	r := &Request{Header: http.Header{}, Body: []byte(body)}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func at(seconds int64) time.Time { return time.Unix(seconds, 0) }
