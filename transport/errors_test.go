package transport

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentzero/actors"
	"agentzero/agent"
	"agentzero/channels"
	"agentzero/store"
)

// provoke is a request that makes a code.
type provoke struct {
	name   string
	code   Code
	status int
	kind   string // OpenAI's type
	change func(*settings)
	ask    func(*rig) reply
}

func on(method, path, body string, headers ...string) func(*rig) reply {
	return func(r *rig) reply { return r.ask(method, path, body, headers...) }
}

// busyWith runs a turn in the session s and asks something else meanwhile.
func busyWith(ask func(*rig) reply) func(*rig) reply {
	return func(r *rig) reply {
		r.ask("POST", "/v1/sessions/s/messages", `{"content":"one"}`)
		c := r.agent.next()
		defer c.finish()
		return ask(r)
	}
}

// brokenJournal loses everything.
type brokenJournal struct{ store.Journal }

func (brokenJournal) Append(_ store.ID, _ uint64, _ store.Batch, done func(error)) {
	done(errors.New("the disk is full"))
}

func (brokenJournal) Ping(context.Context) error { return errors.New("the disk is full") }

// panicking sessions fail inside the gateway.
type panicking struct{ Sessions }

func (panicking) Counts() actors.Counts { return actors.Counts{} } // the monitor asks at once
func (panicking) Live() int             { return 0 }

func (panicking) Describe(actors.Key) (*actors.Description, error) { panic("a fault of the gateway") }

var provokes = []provoke{
	{name: "a body that is no JSON", code: CodeBadRequest, status: 400, kind: "invalid_request_error",
		ask: on("POST", "/v1/chat/completions", `{`)},
	{name: "no token", code: CodeAuthRequired, status: 401, kind: "authentication_error",
		ask: on("GET", "/v1/models", "", "Authorization:")},
	{name: "an unknown token", code: CodeAuthFailed, status: 403, kind: "permission_error",
		ask: on("GET", "/v1/models", "", "Authorization: Bearer nobody")},
	{name: "a token of another scope", code: CodeAuthFailed, status: 403, kind: "permission_error",
		ask: on("GET", "/v1/models", "", "Authorization: Bearer "+webhookToken)},
	{name: "a delivery that is not signed", code: CodeBadSignature, status: 401, kind: "authentication_error",
		change: withChannel(channels.Settings{Name: "hooks", Kind: channels.GitHub, Secret: "x"}),
		ask:    on("POST", "/v1/webhook/hooks", `{}`, "Authorization:")},
	{name: "a page of another site", code: CodeOriginDenied, status: 403, kind: "permission_error",
		ask: on("GET", "/v1/models", "", "Origin: https://evil.example")},
	{name: "a name that was rebound", code: CodeOriginDenied, status: 403, kind: "permission_error",
		ask: on("GET", "/health", "", "Host: evil.example")},
	{name: "no such path", code: CodeNotFound, status: 404, kind: "not_found_error",
		ask: on("GET", "/v2/models", "")},
	{name: "no such session", code: CodeNotFound, status: 404, kind: "not_found_error",
		ask: on("GET", "/v1/sessions/none", "")},
	{name: "no such method", code: CodeMethodNotAllowed, status: 405, kind: "invalid_request_error",
		ask: on("GET", "/v1/chat/completions", "")},
	{name: "a busy session that is to reject", code: CodeSessionBusy, status: 409, kind: "conflict_error",
		ask: busyWith(on("POST", "/v1/chat/completions", hello, "X-Session-Id: s", "X-Busy-Policy: reject"))},
	{name: "a session that is there already", code: CodeSessionExists, status: 409, kind: "conflict_error",
		ask: func(r *rig) reply {
			r.ask("POST", "/v1/sessions", `{"id":"s"}`)
			return r.ask("POST", "/v1/sessions", `{"id":"s"}`)
		}},
	{name: "an idempotency key with another body", code: CodeKeyConflict, status: 409, kind: "conflict_error",
		ask: func(r *rig) reply {
			r.agent.always("Hi")
			r.ask("POST", "/v1/chat/completions", hello, "Idempotency-Key: k")
			return r.ask("POST", "/v1/chat/completions", helloStream, "Idempotency-Key: k")
		}},
	{name: "a turn that somebody cancels", code: CodeInterrupted, status: 409, kind: "conflict_error",
		ask: func(r *rig) reply {
			c := r.dial().post("/v1/chat/completions", hello, "X-Session-Id: s")
			r.agent.next()
			r.ask("POST", "/v1/sessions/s/cancel", "")
			return c.whole()
		}},
	{name: "a position that is no longer kept", code: CodeGap, status: 410, kind: "invalid_request_error",
		ask: func(r *rig) reply {
			r.ask("POST", "/v1/sessions", `{"id":"s"}`)
			return r.ask("GET", "/v1/sessions/s/events?after=00000000-5", "")
		}},
	{name: "a body that is too large", code: CodeTooLarge, status: 413, kind: "invalid_request_error",
		change: func(s *settings) { s.MaxBodyBytes = 100 },
		ask:    on("POST", "/v1/ping", `{"message":"`+strings.Repeat("x", 100)+`"}`)},
	{name: "a header that is too large", code: CodeTooLarge, status: 431, kind: "invalid_request_error",
		ask: on("GET", "/health", "", "X-Long: "+strings.Repeat("x", 9000))},
	{name: "a body that is no JSON by its own word", code: CodeMediaType, status: 415, kind: "invalid_request_error",
		ask: on("POST", "/v1/ping", `message=x`, "Content-Type: application/x-www-form-urlencoded")},
	{name: "too many requests", code: CodeRateLimited, status: 429, kind: "rate_limit_error",
		change: func(s *settings) { s.Live.RateLimit, s.Live.RateWindow = 1, time.Hour },
		ask: func(r *rig) reply {
			r.ask("GET", "/v1/models", "")
			return r.ask("GET", "/v1/models", "")
		}},
	{name: "a full queue", code: CodeQueueFull, status: 429, kind: "rate_limit_error",
		change: func(s *settings) { s.actors.Live.QueueLimit = 1 },
		ask: busyWith(func(r *rig) reply {
			r.ask("POST", "/v1/sessions/s/messages", `{"content":"two"}`)
			p := r.ask("POST", "/v1/sessions/s/messages", `{"content":"three"}`)
			r.ask("POST", "/v1/sessions/s/cancel", "")
			return p
		})},
	{name: "too many connections", code: CodeQueueFull, status: 503, kind: "overloaded_error",
		change: func(s *settings) { s.MaxConnections = 1 },
		ask: func(r *rig) reply {
			r.dial().get("/health").whole() // and stays
			return r.ask("GET", "/health", "")
		}},
	{name: "a fault of the gateway", code: CodeInternal, status: 500, kind: "api_error",
		change: func(s *settings) { s.Sessions = panicking{} },
		ask:    on("GET", "/v1/sessions/s", "")},
	{name: "a panic of the agent", code: CodeInternal, status: 500, kind: "api_error",
		ask: func(r *rig) reply {
			f := func(*agent.Request) (string, error) { panic("a fault of the agent") }
			r.agent.answer.Store(&f)
			return r.ask("POST", "/v1/chat/completions", hello)
		}},
	{name: "a provider that cannot be reached", code: CodeAgentFailed, status: 502, kind: "api_error",
		ask: failing(&agent.Error{Kind: agent.KindConnect, Provider: "p", Message: "connection refused"})},
	{name: "a provider's own status", code: CodeAgentFailed, status: 402, kind: "invalid_request_error",
		ask: failing(&agent.Error{Kind: agent.KindStatus, Status: 402, Message: "no credit"})},
	{name: "a provider's 401", code: CodeAgentFailed, status: 401, kind: "authentication_error",
		ask: failing(&agent.Error{Kind: agent.KindStatus, Status: 401, Message: "wrong key"})},
	{name: "a provider's 429", code: CodeAgentFailed, status: 429, kind: "rate_limit_error",
		ask: failing(&agent.Error{Kind: agent.KindStatus, Status: 429, Message: "slow down", RetryAfter: 7 * time.Second})},
	{name: "an unknown model", code: CodeNotFound, status: 404, kind: "not_found_error",
		ask: failing(&agent.Error{Kind: agent.KindNotFound, Message: "no such model"})},
	{name: "a request that the provider cannot take", code: CodeBadRequest, status: 400, kind: "invalid_request_error",
		ask: failing(&agent.Error{Kind: agent.KindInvalid, Message: "no images here"})},
	{name: "no agent", code: CodeNoAgent, status: 503, kind: "overloaded_error",
		ask: failing(&agent.Error{Kind: agent.KindUnavailable, Message: "no agent is configured"})},
	{name: "a gateway that drains", code: CodeDraining, status: 503, kind: "overloaded_error",
		ask: func(r *rig) reply {
			r.server.Drain()
			return r.ask("POST", "/v1/chat/completions", hello)
		}},
	{name: "a store that fails", code: CodeStoreUnavailable, status: 503, kind: "overloaded_error",
		change: func(s *settings) { s.actors.Journal = brokenJournal{store.NewMemory(store.MemoryOptions{})} },
		ask:    on("POST", "/v1/sessions/s/messages", `{"content":"x"}`)},
	{name: "a turn that takes too long", code: CodeTimeout, status: 504, kind: "timeout_error",
		ask: on("POST", "/v1/chat/completions", hello, "X-Request-Timeout: 1ms")},
	{name: "a wrong pairing code", code: CodeAuthFailed, status: 403, kind: "permission_error",
		ask: on("POST", "/pair", "", "Authorization:", "X-Pairing-Code: bad")},
	{name: "no pairing code", code: CodeAuthRequired, status: 401, kind: "authentication_error",
		ask: on("POST", "/pair", "", "Authorization:")},
	{name: "too many pairing codes", code: CodeRateLimited, status: 429, kind: "rate_limit_error",
		ask: on("POST", "/pair", "", "Authorization:", "X-Pairing-Code: locked")},
	{name: "models that cannot be listed", code: CodeAgentFailed, status: 502, kind: "api_error",
		ask: func(r *rig) reply {
			err := error(&agent.Error{Kind: agent.KindConnect, Message: "refused"})
			r.agent.models.Store(&err)
			return r.ask("GET", "/v1/models", "")
		}},
}

func failing(err error) func(*rig) reply {
	return func(r *rig) reply {
		r.agent.fails(err)
		return r.ask("POST", "/v1/chat/completions", hello)
	}
}

func TestEveryCodeWithTheRequestThatMakesIt(t *testing.T) {
	made := map[Code]bool{}
	for _, p := range provokes {
		made[p.code] = true
		t.Run(p.name, func(t *testing.T) {
			r := newRig(t, func(s *settings) {
				if p.change != nil {
					p.change(s)
				}
			})
			got := p.ask(r)
			e := got.failure(t)
			if got.StatusCode != p.status || e.Code != p.code || e.Type != p.kind {
				t.Errorf("%d %s %s, want %d %s %s; %s", got.StatusCode, e.Code, e.Type, p.status, p.code, p.kind, got.body)
			}
			checkErrorHeaders(t, got, e.Code)
		})
	}
	for code := range codes {
		if !made[code] {
			t.Errorf("no request makes %s", code)
		}
	}
}

func checkErrorHeaders(t *testing.T, got reply, code Code) {
	t.Helper()
	if got.Header.Get("X-Request-Id") == "" {
		t.Error("there is no X-Request-Id")
	}
	if kind := got.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type is %q", kind)
	}
	if challenge := got.Header.Get("WWW-Authenticate"); (code == CodeAuthRequired) != (challenge != "") {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	if seconds, err := strconv.Atoi(got.Header.Get("Retry-After")); got.StatusCode == 429 && (err != nil || seconds < 1) {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
}

func TestCodesOfTheSourceAreAllInTheTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			declared = append(declared, text)
		}
		return true
	})
	var listed []string
	for code := range maps.Keys(codes) {
		listed = append(listed, string(code))
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if fmt.Sprint(declared) != fmt.Sprint(listed) {
		t.Errorf("declared are %v, with a status are %v", declared, listed)
	}
}

func TestAnUpstreamsRetryAfterIsPassedOn(t *testing.T) {
	r := newRig(t)
	r.agent.fails(&agent.Error{Kind: agent.KindStatus, Status: 429, Message: "slow down", RetryAfter: 6500 * time.Millisecond})
	for _, body := range []string{hello, helloStream} {
		if got := r.ask("POST", "/v1/chat/completions", body); got.StatusCode != 429 || got.Header.Get("Retry-After") != "7" {
			t.Errorf("%d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
		}
	}
}

func TestTheGatewayLivesOnAfterAPanic(t *testing.T) {
	r := newRig(t, func(s *settings) { s.Sessions = panicking{} })
	c := r.dial()
	if got := c.get("/v1/sessions/s").whole(); got.StatusCode != 500 {
		t.Errorf("status %d", got.StatusCode)
	}
	if got := c.get("/health").whole(); got.StatusCode != 200 {
		t.Errorf("then status %d", got.StatusCode)
	}
}
