package transport

import (
	"bytes"
	_ "embed"
	"errors"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
)

// health answers GET /health: the process runs and takes work.
func (s *Server) health(ctx *fasthttp.RequestCtx, _ *request) error {
	status := "ok"
	if s.draining.Load() {
		status = "draining"
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	return writeJSON(ctx, map[string]string{"status": status})
}

// ready answers GET /health/ready: the store takes events, and there is an agent
// whose provider answers.
func (s *Server) ready(ctx *fasthttp.RequestCtx, r *request) error {
	if s.draining.Load() {
		return s.health(ctx, r)
	}
	checks := map[string]string{"status": "ok", "store": "ok"}
	bad := func(name string, err error) {
		if err != nil {
			checks[name], checks["status"] = "failing", "unavailable"
			s.options.Logger.Warn("not ready", "check", name, "error", err)
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		}
	}
	bad("store", s.options.Sessions.Ping(s.life))
	if s.options.AgentReady != nil {
		checks["provider"] = "ok"
		bad("provider", s.options.AgentReady(s.life))
	}
	return writeJSON(ctx, checks)
}

// metrics answers GET /metrics.
func (s *Server) metrics(ctx *fasthttp.RequestCtx, _ *request) error {
	ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	s.options.Metrics.write(ctx.Response.BodyWriter())
	return nil
}

// ping answers POST /v1/ping.
func (s *Server) ping(ctx *fasthttp.RequestCtx, _ *request) error {
	b, err := parseBody(ctx, true)
	if err != nil {
		return err
	}
	var message string
	if err := b.take("message", &message, "a string"); err != nil {
		return err
	}
	return writeJSON(ctx, struct {
		OK   bool   `json:"ok"`
		Echo string `json:"echo"`
	}{true, message})
}

// pair answers POST /pair: a code for a token.
func (s *Server) pair(ctx *fasthttp.RequestCtx, _ *request) error {
	code := strings.TrimSpace(string(ctx.Request.Header.Peek("X-Pairing-Code")))
	if code == "" {
		return &Error{Code: CodeAuthRequired, Param: "X-Pairing-Code", Message: "send the code that the gateway printed in the X-Pairing-Code header"}
	}
	name := strings.TrimSpace(string(ctx.Request.Header.Peek("X-Device-Name")))
	token, err := s.options.Auth.Pair(code, name)
	var refused *PairError
	switch {
	case errors.As(err, &refused) && refused.Locked:
		return &Error{Code: CodeRateLimited, Message: refused.Message, RetryAfter: max(time.Second, refused.RetryAfter)}
	case errors.As(err, &refused):
		return fail(CodeAuthFailed, refused.Message)
	case err != nil:
		return err
	}
	ctx.Response.Header.Set("Cache-Control", "no-store")
	return writeJSON(ctx, struct {
		Paired bool   `json:"paired"`
		Token  string `json:"token"`
	}{true, token})
}

type modelJSON struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func modelBody(m agent.Model) modelJSON {
	owner := m.OwnedBy
	if owner == "" {
		owner = "unknown"
	}
	return modelJSON{m.ID, "model", m.Created, owner}
}

// models asks the providers.
func (s *Server) models() ([]agent.Model, error) {
	models, err := s.options.Models.Models(s.life)
	if err != nil {
		return nil, modelsError(err)
	}
	return models, nil
}

func modelsError(err error) *Error {
	var e *agent.Error
	if errors.As(err, &e) {
		return failed(&actors.Failure{Kind: e.Kind, Message: e.Error(), Status: e.Status, RetryAfter: e.RetryAfter})
	}
	return fail(CodeAgentFailed, "the provider's models cannot be listed: "+err.Error())
}

// listModels answers GET /v1/models.
func (s *Server) listModels(ctx *fasthttp.RequestCtx, _ *request) error {
	models, err := s.models()
	if err != nil {
		return err
	}
	data := make([]modelJSON, len(models))
	for i, m := range models {
		data[i] = modelBody(m)
	}
	return writeJSON(ctx, struct {
		Object string      `json:"object"`
		Data   []modelJSON `json:"data"`
	}{"list", data})
}

// getModel answers GET /v1/models/:id. The id may hold slashes.
func (s *Server) getModel(ctx *fasthttp.RequestCtx, _ *request) error {
	id := pathID(ctx)
	models, err := s.models()
	if err != nil {
		return err
	}
	for _, m := range models {
		if m.ID == id {
			return writeJSON(ctx, modelBody(m))
		}
	}
	return &Error{Code: CodeNotFound, Param: "model", Message: "there is no model of this id; GET /v1/models lists those there are"}
}

//go:embed openapi.json
var openAPIDocument []byte

// openAPIOf is the document with the version of the gateway that serves it.
func openAPIOf(version string) []byte {
	return bytes.Replace(openAPIDocument, []byte(`"version": "0.0.0"`), appendJSONString([]byte(`"version": `), version), 1)
}

// openAPI answers GET /openapi.json.
func (s *Server) openAPI(ctx *fasthttp.RequestCtx, _ *request) error {
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(s.document)
	return nil
}
