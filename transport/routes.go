package transport

import (
	"slices"
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// scope is what a token must allow for a route.
type scope uint8

const (
	scopeNone scope = iota // no token needed
	scopeAny               // any token
	scopeChat
	scopeWebhook
	scopeAdmin
)

func (s scope) allows(i Identity) bool {
	switch s {
	case scopeChat:
		return i.Chat || i.Admin
	case scopeWebhook:
		return i.Webhook || i.Admin
	case scopeAdmin:
		return i.Admin
	default:
		return true
	}
}

// route is one row of the API.
type route struct {
	method, pattern string
	scope           scope
	handle          handler
	// unlimited routes are not rate limited, quiet ones not logged: both are
	// asked by machines every few seconds.
	unlimited, quiet bool
	// ownLimit routes count against the rate limit themselves.
	ownLimit bool
}

// hasHead reports whether the route answers HEAD too: every GET but those that
// take the connection over.
func (rt *route) hasHead() bool {
	return rt.method == "GET" && rt.pattern != "/ws/chat" && rt.pattern != "/v1/responses/{id}" && !strings.HasSuffix(rt.pattern, "/events")
}

// unmatched stands for requests that no route takes.
var unmatched = &route{pattern: "unmatched"}

// routes is the whole API; /openapi.json is held against it.
func (s *Server) routes() []route {
	return []route{
		{method: "GET", pattern: "/", handle: s.dashboardPage},
		{method: "GET", pattern: "/dashboard/{digest}/{file:*}", handle: s.dashboardFile, unlimited: true, quiet: true},
		{method: "GET", pattern: "/health", handle: s.health, unlimited: true, quiet: true},
		{method: "GET", pattern: "/health/ready", handle: s.ready, unlimited: true, quiet: true},
		{method: "GET", pattern: "/metrics", handle: s.metrics, unlimited: true, quiet: true},
		{method: "GET", pattern: "/openapi.json", handle: s.openAPI},
		{method: "POST", pattern: "/pair", handle: s.pair},

		{method: "GET", pattern: "/v1/whoami", scope: scopeAny, handle: s.whoami},
		{method: "GET", pattern: "/v1/events", scope: scopeAdmin, handle: s.gatewayEvents},
		{method: "GET", pattern: "/v1/providers", scope: scopeAdmin, handle: s.listProviders},
		{method: "GET", pattern: "/v1/tokens", scope: scopeAdmin, handle: s.listTokens},
		{method: "POST", pattern: "/v1/tokens", scope: scopeAdmin, handle: s.createToken},
		{method: "DELETE", pattern: "/v1/tokens/{id}", scope: scopeAdmin, handle: s.revokeToken},
		{method: "POST", pattern: "/v1/ping", scope: scopeAny, handle: s.ping},
		{method: "POST", pattern: "/v1/chat/completions", scope: scopeChat, handle: s.chatCompletions},
		{method: "POST", pattern: "/api/chat", scope: scopeChat, handle: s.apiChat},
		{method: "POST", pattern: "/api/node-control", handle: s.nodeControl},
		{method: "POST", pattern: "/webhook", scope: scopeWebhook, handle: s.legacyWebhook},
		{method: "POST", pattern: "/v1/webhook/{channel}", handle: s.webhook, ownLimit: true},
		{method: "POST", pattern: "/v1/webhook/{channel}/replay", scope: scopeAdmin, handle: s.replayDeliveries},
		{method: "GET", pattern: "/v1/webhook/{channel}/deliveries", scope: scopeAdmin, handle: s.listDeliveries},
		{method: "GET", pattern: "/v1/webhook/{channel}/deliveries/{id}", scope: scopeAdmin, handle: s.getDelivery},
		{method: "POST", pattern: "/v1/webhook/{channel}/deliveries/{id}/replay", scope: scopeAdmin, handle: s.replayDelivery},
		{method: "GET", pattern: "/v1/channels", scope: scopeAdmin, handle: s.listChannels},
		{method: "GET", pattern: "/v1/models", scope: scopeChat, handle: s.listModels},
		{method: "GET", pattern: "/v1/models/{id:*}", scope: scopeChat, handle: s.getModel},
		{method: "GET", pattern: "/ws/chat", scope: scopeChat, handle: s.webSocket},
		{method: "POST", pattern: "/v1/ws-ticket", scope: scopeChat, handle: s.webSocketTicket},

		{method: "POST", pattern: "/v1/sessions", scope: scopeChat, handle: s.createSession},
		{method: "GET", pattern: "/v1/sessions", scope: scopeChat, handle: s.listSessions},
		{method: "GET", pattern: "/v1/sessions/{id}", scope: scopeChat, handle: s.getSession},
		{method: "DELETE", pattern: "/v1/sessions/{id}", scope: scopeChat, handle: s.deleteSession},
		{method: "GET", pattern: "/v1/sessions/{id}/messages", scope: scopeChat, handle: s.readMessages},
		{method: "POST", pattern: "/v1/sessions/{id}/messages", scope: scopeChat, handle: s.postMessage},
		{method: "POST", pattern: "/v1/sessions/{id}/cancel", scope: scopeChat, handle: s.cancelSession},
		{method: "GET", pattern: "/v1/sessions/{id}/events", scope: scopeChat, handle: s.sessionEvents},

		{method: "POST", pattern: "/v1/responses", scope: scopeChat, handle: s.createResponse},
		{method: "GET", pattern: "/v1/responses/{id}", scope: scopeChat, handle: s.getResponse},
		{method: "DELETE", pattern: "/v1/responses/{id}", scope: scopeChat, handle: s.deleteResponse},
		{method: "POST", pattern: "/v1/responses/{id}/cancel", scope: scopeChat, handle: s.cancelResponse},
		{method: "GET", pattern: "/v1/responses/{id}/input_items", scope: scopeChat, handle: s.responseInput},

		{method: "POST", pattern: "/v1/conversations", scope: scopeChat, handle: s.createConversation},
		{method: "GET", pattern: "/v1/conversations/{id}", scope: scopeChat, handle: s.getConversation},
		{method: "POST", pattern: "/v1/conversations/{id}", scope: scopeChat, handle: s.updateConversation},
		{method: "DELETE", pattern: "/v1/conversations/{id}", scope: scopeChat, handle: s.deleteConversation},
		{method: "GET", pattern: "/v1/conversations/{id}/items", scope: scopeChat, handle: s.listItems},
		{method: "POST", pattern: "/v1/conversations/{id}/items", scope: scopeChat, handle: s.createItems},
		{method: "GET", pattern: "/v1/conversations/{id}/items/{item}", scope: scopeChat, handle: s.getItem},
		{method: "DELETE", pattern: "/v1/conversations/{id}/items/{item}", scope: scopeChat, handle: s.deleteItem},
	}
}

func (s *Server) newRouter() fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleMethodNotAllowed = true
	r.HandleOPTIONS = true
	for _, rt := range s.routes() {
		r.Handle(rt.method, rt.pattern, s.serve(&rt))
		if rt.hasHead() {
			r.Handle("HEAD", rt.pattern, s.serve(&rt))
		}
	}
	notFound, notAllowed, options := *unmatched, *unmatched, *unmatched
	notFound.handle = func(*fasthttp.RequestCtx, *request) error {
		return fail(CodeNotFound, "there is nothing at this path; /openapi.json lists what there is")
	}
	notAllowed.handle = func(ctx *fasthttp.RequestCtx, _ *request) error {
		methods := s.methodsOf(ctx)
		ctx.Response.Header.Set("Allow", methods)
		return fail(CodeMethodNotAllowed, "this path takes "+methods)
	}
	options.handle = func(ctx *fasthttp.RequestCtx, _ *request) error {
		ctx.Response.Header.Set("Allow", s.methodsOf(ctx))
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	r.NotFound = s.serve(&notFound)
	r.MethodNotAllowed = s.serve(&notAllowed)
	r.GlobalOPTIONS = s.serve(&options)
	return r.Handler
}

// methodsOf lists the methods of the request's path, for Allow. The path is as
// it was sent, which is what the router looks at.
func (s *Server) methodsOf(ctx *fasthttp.RequestCtx) string {
	path := string(ctx.URI().PathOriginal())
	var methods []string
	for _, rt := range s.routes() {
		if matches(rt.pattern, path) {
			methods = append(methods, rt.method)
			if rt.hasHead() {
				methods = append(methods, "HEAD")
			}
		}
	}
	return strings.Join(append(slices.Compact(methods), "OPTIONS"), ", ")
}

// matches reports whether a path is of the pattern, whose {…} stand for one
// segment, or with :* for all the rest.
func matches(pattern, path string) bool {
	for {
		p, restPattern, moreP := strings.Cut(pattern, "/")
		if strings.HasSuffix(p, ":*}") {
			return path != ""
		}
		segment, restPath, more := strings.Cut(path, "/")
		if p != segment && (!strings.HasPrefix(p, "{") || segment == "") || moreP != more {
			return false
		}
		if !more {
			return true
		}
		pattern, path = restPattern, restPath
	}
}
