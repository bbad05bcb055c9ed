package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentzero/actors"
)

func TestRequestIDs(t *testing.T) {
	r := newRig(t)
	for _, sane := range []string{"abc", "0b1c-2d3e", "trace/1:2", strings.Repeat("x", 128)} {
		if got := r.ask("GET", "/health", "", "X-Request-Id: "+sane).Header.Get("X-Request-Id"); got != sane {
			t.Errorf("%q became %q", sane, got)
		}
	}
	for _, odd := range []string{"", "a b", `a"b`, `a\b`, "a\tb", "é", strings.Repeat("x", 129)} {
		if got := r.ask("GET", "/health", "", "X-Request-Id: "+odd).Header.Get("X-Request-Id"); !strings.HasPrefix(got, "req_") {
			t.Errorf("%q became %q", odd, got)
		}
	}
}

// What a client sends in headers must not become headers of the answer, nor of a
// stream's, whose head is written by hand.
func TestHeadersCannotBeInjected(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Live.CORSOrigins = []string{"*"} })
	r.agent.always("Hi")
	for _, header := range []string{
		"X-Request-Id: a\rX-Evil: 1", "X-Session-Id: a\rX-Evil: 1", "X-Session-Id: a\nX-Evil: 1", "Origin: http://a\rX-Evil: 1", "X-Request-Id: a\x00X-Evil: 1",
	} {
		for _, body := range []string{hello, helloStream} {
			c := r.dial().send(request11("POST", "/v1/chat/completions", body, header))
			if got := c.whole(); got.Header.Get("X-Evil") != "" {
				t.Errorf("%q: %v", header, got.Header)
			}
		}
	}
}

func TestHeadersOfATurn(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	for _, test := range []struct {
		header string
		good   []string
		bad    []string
	}{
		{"X-Session-Id", []string{"a", "A.b_c~d:e@f+g=h-", strings.Repeat("x", 128)}, []string{"", ".", "..", "a b", "a/b", "é", "%41", strings.Repeat("x", 129)}},
		{"X-Busy-Policy", []string{"queue", "reject", "interrupt", "rollback", "collect"}, []string{"", "Queue", "never"}},
		{"X-On-Disconnect", []string{"cancel", "continue", "grace=0", "grace=30", "grace=0.5", "grace=3600"}, []string{"", "grace", "grace=", "grace=-1", "grace=1e3", "grace=NaN", "grace=3601", "stop"}},
		{"X-Request-Timeout", []string{"20", "20.5", "20s", "20000ms", "1m30s", "1h", "99999999999999999999", "9999999999999999h"}, []string{"", "0", "-1", "+1", "1e3", "NaN", "Inf", "5 s", "5d", "1.5s", ".5", strings.Repeat("1", 21)}},
		{"Idempotency-Key", []string{"k", "a key", "{7}", strings.Repeat("x", 255)}, []string{"", "é", strings.Repeat("x", 256)}},
	} {
		t.Run(test.header, func(t *testing.T) {
			for _, value := range test.good {
				if got := r.ask("POST", "/v1/chat/completions", hello, test.header+": "+value); got.StatusCode != 200 {
					t.Errorf("%q: %s %s", value, got.Status, got.body)
				}
			}
			for _, value := range test.bad {
				got := r.ask("POST", "/v1/chat/completions", hello, test.header+": "+value)
				if e := got.failure(t); got.StatusCode != 400 || e.Param == nil || *e.Param != test.header {
					t.Errorf("%q: %s %s", value, got.Status, got.body)
				}
			}
		})
	}
}

func TestTimesOfTheTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"2": 2 * time.Second, "2.5": 2500 * time.Millisecond, "1m30s": 90 * time.Second, "500ms": 500 * time.Millisecond,
		"48h": 24 * time.Hour, "99999999999999999999": 24 * time.Hour,
	} {
		got, err := deadline(value)
		if left := time.Until(got); err != nil || left > want || left < want-time.Minute {
			t.Errorf("%s: %v, %v", value, left, err)
		}
	}
}

func TestBodies(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	for _, test := range []struct {
		path string
		good []string
		bad  map[string]string // by the member at fault
	}{
		{"/v1/chat/completions", []string{
			`{"messages":[{"role":"user","content":"x"}],"model":null,"stream":null,"stream_options":null,"on_busy":null,"session_id":""}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"tools":[],"seed":1}`,
			`{"messages":[{"role":"assistant"}],"session_id":"s"}`,
		}, map[string]string{
			`[]`: "", `null`: "", `"x"`: "", `{"messages":[]`: "", "{\"model\":\"\xff\"}": "", ``: "",
			`{}`: "messages", `{"messages":null}`: "messages", `{"messages":[]}`: "messages", `{"messages":{}}`: "messages",
			`{"messages":[7]}`: "messages[0]", `{"messages":[{"role":"user","content":"x"},{"role":""}]}`: "messages[1]", `{"messages":[{"role":"user","content":7}]}`: "messages[0]",
			`{"messages":[{"role":"user"}],"stream":"yes"}`: "stream", `{"messages":[{"role":"user"}],"model":7}`: "model",
			`{"messages":[{"role":"user"}],"stream_options":[]}`: "stream_options", `{"messages":[{"role":"user"}],"on_busy":"never"}`: "on_busy",
			`{"messages":[{"role":"user"}],"on_busy":""}`: "on_busy", `{"messages":[{"role":"user"}],"session_id":"a/b"}`: "session_id",
		}},
		{"/api/chat", []string{`{"message":"x"}`, `{"message":"x","context":null}`, `{"message":"x","context":"y"}`, `{"message":"x","context":""}`, `{"message":"x","context":[{"role":"user","content":"y"}]}`, `{"message":"x","other":7}`},
			map[string]string{`{}`: "message", `{"message":""}`: "message", `{"message":7}`: "message", `{"message":"x","context":7}`: "context", `{"message":"x","context":[7]}`: "context[0]", `{"message":"x","session_id":7}`: "session_id"}},
		{"/v1/sessions/s/messages", []string{`{"content":"x"}`, `{"content":"x","stream":false,"model":"m"}`},
			map[string]string{`{}`: "content", `{"content":null}`: "content", `{"content":"x","stream":0}`: "stream"}},
		{"/v1/sessions", []string{``, `{}`, `{"id":null,"metadata":null}`, `{"id":"","metadata":{"a":[1]}}`},
			map[string]string{`{"id":7}`: "id", `{"id":"."}`: "id", `{"metadata":[]}`: "metadata", `7`: ""}},
		{"/v1/sessions/s/cancel", []string{``, ` `, `{}`, `{"turn_id":null}`}, map[string]string{`{"turn_id":7}`: "turn_id", `[]`: ""}},
		{"/v1/ping", []string{``, `{}`, `{"message":null}`, `{"message":"x"}`}, map[string]string{`{"message":7}`: "message"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			for _, body := range test.good {
				if got := r.ask("POST", test.path, body); got.StatusCode >= 300 {
					t.Errorf("%s: %s %s", body, got.Status, got.body)
				}
			}
			for body, param := range test.bad {
				got := r.ask("POST", test.path, body)
				e := got.failure(t)
				if got.StatusCode != 400 || (e.Param == nil) != (param == "") || e.Param != nil && *e.Param != param {
					t.Errorf("%s: %s %s", body, got.Status, got.body)
				}
			}
		})
	}
	t.Run("two names of a session", func(t *testing.T) {
		body := `{"message":"x","session_id":"a"}`
		if got := r.ask("POST", "/api/chat", body, "X-Session-Id: a"); got.StatusCode != 200 {
			t.Errorf("the same: %s", got.Status)
		}
		if got := r.ask("POST", "/api/chat", body, "X-Session-Id: b"); got.StatusCode != 400 {
			t.Errorf("different ones: %s", got.Status)
		}
	})
}

// A client library encodes what it puts in a path; the session is the same.
func TestEncodedPaths(t *testing.T) {
	r := newRig(t)
	r.ask("POST", "/v1/sessions", `{"id":"a:b+c"}`)
	for path, status := range map[string]int{
		"/v1/sessions/a:b+c": 200, "/v1/sessions/a%3Ab%2Bc": 200, "/v1/sessions/%61%3ab%2bc": 200,
		"/v1/sessions/a%3Ab%20c": 404, "/v1/sessions/a%2Fb": 404, "/v1/sessions/%zz": 404, "/v1/sessions/%2e%2e": 404, "/v1/sessions/": 404,
		"/v1/models/house/m%202": 200, "/v1/models/house%2Fm%202": 200, "/v1/models/none": 404, "/v1//models": 404, "/V1/models": 404,
	} {
		if got := r.ask("GET", path, ""); got.StatusCode != status {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	// The id of a path lies in a buffer that the next request overwrites.
	c := r.dial()
	c.post("/v1/sessions/first/messages", `{"content":"x"}`).whole()
	r.agent.next().finish()
	c.post("/v1/sessions/other/messages", `{"content":"x"}`).whole()
	r.agent.next().finish()
	for _, name := range []string{"first", "other"} {
		if _, err := r.system.Describe(actors.Key{Owner: "default", Name: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMethodsOfEveryPath(t *testing.T) {
	r := newRig(t)
	allowed := map[string][]string{}
	for _, rt := range r.server.routes() {
		path := strings.NewReplacer("{id:*}", "m", "{id}", "s").Replace(rt.pattern)
		allowed[path] = append(allowed[path], rt.method)
		if rt.hasHead() {
			allowed[path] = append(allowed[path], "HEAD")
		}
	}
	r.ask("POST", "/v1/sessions", `{"id":"s"}`)
	for path, methods := range allowed {
		want := strings.Join(append(methods, "OPTIONS"), ", ")
		got := r.ask("PATCH", path, "")
		if got.StatusCode != 405 || got.Header.Get("Allow") != want {
			t.Errorf("PATCH %s: %s, Allow %q, want %q", path, got.Status, got.Header.Get("Allow"), want)
		}
		if got := r.ask("OPTIONS", path, ""); got.StatusCode != 204 || got.Header.Get("Allow") != want {
			t.Errorf("OPTIONS %s: %s, Allow %q", path, got.Status, got.Header.Get("Allow"))
		}
		if !strings.Contains(want, "HEAD") {
			continue
		}
		head := r.ask("HEAD", path, "")
		get := r.ask("GET", path, "")
		if head.StatusCode != get.StatusCode || head.body != "" || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %s %q, GET: %s", path, head.Status, head.body, get.Status)
		}
	}
}

func TestSessionsBelongToTheirOwner(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	r.ask("POST", "/v1/sessions/s/messages", `{"content":"x"}`)
	stranger, admin := "Authorization: Bearer "+otherToken, "Authorization: Bearer "+adminToken
	for _, path := range []string{"/v1/sessions/s", "/v1/sessions/s/messages", "/v1/sessions/s/events", "/v1/sessions/s?owner=default", "/v1/sessions?owner=default", "/v1/sessions/s/events?owner=default"} {
		if got := r.ask("GET", path, "", stranger); got.StatusCode != 404 || got.failure(t).Code != CodeNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	for _, path := range []string{"/v1/sessions/s/messages?owner=default", "/v1/sessions/s/cancel?owner=default"} {
		if got := r.ask("POST", path, `{"content":"x"}`, stranger); got.StatusCode != 404 {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	// The same name is another session of his own.
	if got := r.ask("POST", "/v1/sessions", `{"id":"s"}`, stranger); got.StatusCode != 201 {
		t.Errorf("%s", got.Status)
	}
	var list struct{ Data []struct{ ID string } }
	r.ask("GET", "/v1/sessions?owner=other", "", admin).into(t, &list)
	if len(list.Data) != 1 {
		t.Errorf("the admin sees %v", list.Data)
	}
	if got := r.ask("DELETE", "/v1/sessions/s?owner=other", "", admin); got.StatusCode != 200 {
		t.Errorf("%s", got.Status)
	}
	if got := r.ask("GET", "/v1/sessions/s", ""); got.StatusCode != 200 {
		t.Errorf("mine: %s", got.Status)
	}
}

// The same key is another one for another owner's session.
func TestAnAdminsIdempotencyKeyHoldsForOneOwner(t *testing.T) {
	r := newRig(t)
	r.agent.always("Hi")
	ask := func(owner string) reply {
		return r.ask("POST", "/v1/sessions/s/messages?owner="+owner, `{"content":"x"}`, "Authorization: Bearer "+adminToken, "Idempotency-Key: k")
	}
	if got := ask("default"); got.StatusCode != 202 {
		t.Fatalf("%s", got.Status)
	}
	r.eventually("it is answered", func() bool { return ask("default").Header.Get("Idempotency-Replayed") == "true" })
	if got := ask("other"); got.StatusCode != http.StatusConflict {
		t.Errorf("%s %s", got.Status, got.body)
	}
}

func TestPagesOfSessions(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"a", "b", "c"} {
		r.ask("POST", "/v1/sessions", `{"id":"`+id+`"}`)
	}
	type page struct {
		Data  []struct{ ID string }
		First *string `json:"first_id"`
		Last  *string `json:"last_id"`
		More  bool    `json:"has_more"`
	}
	seen := map[string]bool{}
	after := ""
	for {
		var p page
		r.ask("GET", "/v1/sessions?limit=2&after="+after, "").into(t, &p)
		for _, s := range p.Data {
			seen[s.ID] = true
		}
		if !p.More {
			break
		}
		after = *p.Last
	}
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
	for query, status := range map[string]int{"limit=0": 400, "limit=101": 400, "limit=": 400, "limit=x": 400, "limit=1.5": 400, "limit=100": 200, "after=none": 404} {
		if got := r.ask("GET", "/v1/sessions?"+query, ""); got.StatusCode != status {
			t.Errorf("%s: %s", query, got.Status)
		}
	}
}

func TestPairing(t *testing.T) {
	r := newRig(t)
	got := r.ask("POST", "/pair", "", "Authorization:", "X-Pairing-Code: good", "X-Device-Name: laptop")
	var paired struct {
		Paired bool
		Token  string
	}
	got.into(t, &paired)
	if !paired.Paired || paired.Token != chatToken || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", paired, got.Header)
	}
	if wait := r.ask("POST", "/pair", "", "Authorization:", "X-Pairing-Code: locked").Header.Get("Retry-After"); wait != "90" {
		t.Errorf("Retry-After %q", wait)
	}
}

func TestAGatewayWithoutPairingIsOpen(t *testing.T) {
	r := newRig(t, func(s *settings) { s.RequirePairing = false })
	r.agent.always("Hi")
	if got := r.ask("POST", "/v1/chat/completions", hello, "Authorization:"); got.StatusCode != 200 {
		t.Errorf("%s", got.Status)
	}
	if got := r.ask("POST", "/v1/chat/completions", hello, "Authorization:", "Origin: https://evil.example"); got.StatusCode != 403 {
		t.Errorf("from another site: %s", got.Status)
	}
	r.socket("", "Authorization", "")
}

func TestARetryIsTheSameTurn(t *testing.T) {
	r := newRig(t)
	for _, body := range []string{hello, helloStream} {
		key := "Idempotency-Key: " + body[:10]
		one := r.dial().post("/v1/chat/completions", body, key)
		turn := r.agent.next()
		two := r.dial().post("/v1/chat/completions", body, key) // while it runs
		turn.says("Hi")
		turn.finish()
		first, second, third := one.whole(), two.whole(), r.ask("POST", "/v1/chat/completions", body, key)
		for _, again := range []reply{second, third} {
			if golden(again.body) != golden(first.body) || again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("X-Turn-Id") != first.Header.Get("X-Turn-Id") {
				t.Errorf("%v\n%s\nwant\n%s", again.Header, again.body, first.body)
			}
		}
	}
}

func TestReadinessAsksTheStoreAndTheProvider(t *testing.T) {
	var failure error
	r := newRig(t, func(s *settings) { s.AgentReady = func(context.Context) error { return failure } })
	check := func(status int, want map[string]string) {
		t.Helper()
		got := r.ask("GET", "/health/ready", "", "Authorization:")
		var body map[string]string
		got.into(t, &body)
		text, _ := json.Marshal(body)
		wanted, _ := json.Marshal(want)
		if got.StatusCode != status || string(text) != string(wanted) {
			t.Errorf("%s %s, want %s", got.Status, text, wanted)
		}
	}
	check(200, map[string]string{"status": "ok", "store": "ok", "provider": "ok"})
	failure = http.ErrServerClosed
	check(503, map[string]string{"status": "unavailable", "store": "ok", "provider": "failing"})
}
