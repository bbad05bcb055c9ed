package transport

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"agentzero/actors"
	"agentzero/agent"
	"agentzero/transport/responses"
)

// Code is the stable name of an error on the wire.
type Code string

// The codes, each with one status and one of OpenAI's types.
const (
	CodeBadRequest       Code = "bad_request"
	CodeAuthRequired     Code = "auth_required"
	CodeAuthFailed       Code = "auth_failed"
	CodeBadSignature     Code = "bad_signature"
	CodeOriginDenied     Code = "origin_denied"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeSessionBusy      Code = "session_busy"
	CodeSessionExists    Code = "session_exists"
	CodeKeyConflict      Code = "idempotency_key_conflict"
	CodeInterrupted      Code = "turn_interrupted"
	CodeGap              Code = "gap"
	CodeTooLarge         Code = "payload_too_large"
	CodeMediaType        Code = "unsupported_media_type"
	CodeRateLimited      Code = "rate_limited"
	CodeQueueFull        Code = "queue_full"
	CodeInternal         Code = "internal"
	CodeAgentFailed      Code = "agent_execution_failed"
	CodeNoAgent          Code = "agent_unavailable"
	CodeDraining         Code = "draining"
	CodeStoreUnavailable Code = "store_unavailable"
	CodeTimeout          Code = "timeout"
)

type codeInfo struct {
	status int
	kind   string
}

// codes is the only place where a code becomes a status and a type.
var codes = map[Code]codeInfo{
	CodeBadRequest:       {http.StatusBadRequest, "invalid_request_error"},
	CodeAuthRequired:     {http.StatusUnauthorized, "authentication_error"},
	CodeAuthFailed:       {http.StatusForbidden, "permission_error"},
	CodeBadSignature:     {http.StatusUnauthorized, "authentication_error"},
	CodeOriginDenied:     {http.StatusForbidden, "permission_error"},
	CodeNotFound:         {http.StatusNotFound, "not_found_error"},
	CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "invalid_request_error"},
	CodeSessionBusy:      {http.StatusConflict, "conflict_error"},
	CodeSessionExists:    {http.StatusConflict, "conflict_error"},
	CodeKeyConflict:      {http.StatusConflict, "conflict_error"},
	CodeInterrupted:      {http.StatusConflict, "conflict_error"},
	CodeGap:              {http.StatusGone, "invalid_request_error"},
	CodeTooLarge:         {http.StatusRequestEntityTooLarge, "invalid_request_error"},
	CodeMediaType:        {http.StatusUnsupportedMediaType, "invalid_request_error"},
	CodeRateLimited:      {http.StatusTooManyRequests, "rate_limit_error"},
	CodeQueueFull:        {http.StatusTooManyRequests, "rate_limit_error"},
	CodeInternal:         {http.StatusInternalServerError, "api_error"},
	CodeAgentFailed:      {http.StatusBadGateway, "api_error"},
	CodeNoAgent:          {http.StatusServiceUnavailable, "overloaded_error"},
	CodeDraining:         {http.StatusServiceUnavailable, "overloaded_error"},
	CodeStoreUnavailable: {http.StatusServiceUnavailable, "overloaded_error"},
	CodeTimeout:          {http.StatusGatewayTimeout, "timeout_error"},
}

// Error is an answer that says no.
type Error struct {
	Code    Code
	Message string
	// Param names the field or header at fault, or is "".
	Param string
	// Status and Type take the place of the code's own where an upstream's are
	// passed on; 0 and "" otherwise.
	Status int
	Type   string
	// RetryAfter is when to try again; 0 is not told.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func fail(code Code, message string) *Error { return &Error{Code: code, Message: message} }

func badRequest(param, message string) *Error {
	return &Error{Code: CodeBadRequest, Message: message, Param: param}
}

func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	return codes[e.Code].status
}

// appendJSON writes the body of DESIGN: all four keys, always.
func (e *Error) appendJSON(dst []byte) []byte {
	var body struct {
		Error struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Code    Code    `json:"code"`
			Param   *string `json:"param"`
		} `json:"error"`
	}
	body.Error.Message, body.Error.Code = e.Message, e.Code
	if body.Error.Type = e.Type; e.Type == "" {
		body.Error.Type = codes[e.Code].kind
	}
	if e.Param != "" {
		body.Error.Param = &e.Param
	}
	data, err := json.Marshal(&body)
	if err != nil {
		panic("transport: strings do not marshal: " + err.Error())
	}
	return append(dst, data...)
}

// write makes the error the response.
func (e *Error) write(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	ctx.SetStatusCode(e.status())
	if e.Code == CodeAuthRequired {
		h.Set("WWW-Authenticate", `Bearer realm="agentzero"`)
	}
	retry := e.RetryAfter
	if retry == 0 && (e.Code == CodeRateLimited || e.Code == CodeQueueFull) {
		retry = time.Second
	}
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	setJSON(ctx, e.appendJSON(nil))
}

// tooManyConnections is the whole answer to a connection that is one too many.
func tooManyConnections() []byte {
	e := &Error{Code: CodeQueueFull, Type: "overloaded_error", Message: "the gateway serves as many connections as it may"}
	body := append(e.appendJSON(nil), '\n')
	return append([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"+
		"X-Request-Id: "+actors.NewID("req_")+"\r\nConnection: close\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)
}

// errorOf puts any error in the wire's terms.
func errorOf(err error) *Error {
	var e *Error
	var refusal *actors.Refusal
	var field *responses.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &field):
		return badRequest(field.Param, field.Message)
	case errors.As(err, &refusal):
		return refused(refusal)
	default:
		return fail(CodeInternal, "the gateway failed; its log has the details under this request's id")
	}
}

func asRefusal(err error, r **actors.Refusal) bool { return errors.As(err, r) }

var refusals = map[actors.RefusalCode]Code{
	actors.RefusedBusy:        CodeSessionBusy,
	actors.RefusedQueueFull:   CodeQueueFull,
	actors.RefusedDraining:    CodeDraining,
	actors.RefusedExpired:     CodeTimeout,
	actors.RefusedNotFound:    CodeNotFound,
	actors.RefusedConflict:    CodeKeyConflict,
	actors.RefusedExists:      CodeSessionExists,
	actors.RefusedGap:         CodeGap,
	actors.RefusedUnavailable: CodeStoreUnavailable,
}

func refused(r *actors.Refusal) *Error {
	code, ok := refusals[r.Code]
	if !ok {
		code = CodeInternal
	}
	return &Error{Code: code, Message: r.Message, RetryAfter: r.RetryAfter}
}

// failed puts a turn's failure in the wire's terms. What an upstream said with a
// status of its own keeps that status.
func failed(f *actors.Failure) *Error {
	e := &Error{Code: CodeAgentFailed, Message: f.Message, RetryAfter: f.RetryAfter}
	switch f.Kind {
	case agent.KindUnavailable:
		e.Code = CodeNoAgent
	case agent.KindNotFound:
		e.Code, e.Param = CodeNotFound, "model"
	case agent.KindInvalid:
		e.Code, e.Param = CodeBadRequest, f.Param
	case agent.KindTimeout:
		e.Code = CodeTimeout
	case actors.KindInternal:
		e.Code = CodeInternal
	case agent.KindStatus:
		if f.Status >= 400 && f.Status < 600 {
			e.Status, e.Type = f.Status, typeOf(f.Status)
		}
	}
	return e
}

// typeOf is OpenAI's type for a status.
func typeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusConflict:
		return "conflict_error"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable, 529:
		return "overloaded_error"
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return "timeout_error"
	}
	if status < 500 {
		return "invalid_request_error"
	}
	return "api_error"
}

// interrupted puts a turn's cancellation in the wire's terms.
func interrupted(reason string) *Error {
	switch reason {
	case actors.ReasonShutdown:
		return &Error{Code: CodeDraining, Message: "the gateway is shutting down; what was said is kept", RetryAfter: time.Second}
	case actors.ReasonDisconnected:
		return fail(CodeInterrupted, "the answer was cancelled because nobody was there to read it")
	case actors.ReasonDeleted:
		return fail(CodeNotFound, "the session was deleted while it answered")
	default:
		return fail(CodeInterrupted, "the answer was cut short: "+reason)
	}
}

// endError tells why a turn ended without an answer, or returns nil.
func endError(e *actors.Event) *Error {
	if e.Kind != actors.EventFailed && e.Kind != actors.EventInterrupted {
		return nil
	}
	var t actors.TurnEvent
	if err := json.Unmarshal(e.Data, &t); err != nil || (e.Kind == actors.EventFailed && t.Failure == nil) {
		return fail(CodeInternal, "the turn ended in a way that cannot be read")
	}
	if e.Kind == actors.EventInterrupted {
		return interrupted(t.Reason)
	}
	return failed(t.Failure)
}
