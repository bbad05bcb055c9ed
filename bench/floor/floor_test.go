package floor_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"agentzero/bench/floor"
	"agentzero/bench/upstream"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheFloorsPassAnswersThrough(t *testing.T) {
	model, err := upstream.New(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	up := listen(t)
	go func() { _ = model.Serve(up) }()
	t.Cleanup(func() { _ = model.Close() })

	for _, v := range []floor.Variant{floor.Hijack, floor.BodyStream} {
		t.Run(string(v), func(t *testing.T) {
			s, err := floor.New(v, up.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			l := listen(t)
			go func() { _ = s.Serve(l) }()
			t.Cleanup(func() { _ = s.Shutdown() })

			ask := func(body string) (int, string) {
				resp, err := http.Post("http://"+l.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(text)
			}
			for range 3 { // the second time over a kept connection
				status, text := ask(`{"model":"mock:tokens=20,interval=100us","stream":true}`)
				if status != 200 || strings.Count(text, "@") != 20 || !strings.HasSuffix(text, "data: [DONE]\n\n") {
					t.Errorf("a stream came through as %d %q", status, text)
				}
			}
			if status, text := ask(`{"model":"mock:tokens=2"}`); status != 200 || strings.Count(text, "@") != 2 {
				t.Errorf("a whole answer came through as %d %q", status, text)
			}
			if status, text := ask(`{"model":"mock:errors=1,status=429","stream":true}`); status != 429 || !strings.Contains(text, "refuses") {
				t.Errorf("a refusal came through as %d %q", status, text)
			}
		})
	}
}

func TestAFloorWithoutUpstreamAnswers502(t *testing.T) {
	gone := listen(t)
	_ = gone.Close()
	for _, v := range []floor.Variant{floor.Hijack, floor.BodyStream} {
		s, err := floor.New(v, gone.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		l := listen(t)
		go func() { _ = s.Serve(l) }()
		resp, err := http.Post("http://"+l.Addr().String(), "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: status %d", v, resp.StatusCode)
		}
		_ = s.Shutdown()
	}
}

func TestThereAreTwoFloors(t *testing.T) {
	if _, err := floor.New("cellar", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "cellar") {
		t.Errorf("the error is %v", err)
	}
}
