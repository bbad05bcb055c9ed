package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxErrorBodyBytes    = 64 << 10
	errorBodyTime        = 5 * time.Second
	maxErrorMessageBytes = 2 << 10
)

// statusError reads an answer whose status is not 2xx.
func (u *upstream) statusError(resp *http.Response) *attemptError {
	defer endAfter(resp.Body, errorBodyTime)()
	// What cannot be read of an error's body takes nothing from its status.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBodyBytes))
	e := u.bodyError(KindStatus, body)
	e.Status = resp.StatusCode
	e.RetryAfter = parseRetryAfter(resp.Header, time.Now())
	switch location := resp.Header.Get("Location"); {
	case resp.StatusCode/100 == 3 && location != "":
		e.Message = u.clean("redirected to " + location + ", which is not followed: set base_url to where the API is")
	case e.Message == "":
		e.Message = strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	}
	return &attemptError{Error: e, retryable: retryableStatus(resp.StatusCode)}
}

// bodyError makes an Error of the words in an error's body: OpenAI's
// {"error":{"message","type","code"}}, Anthropic's {"type":"error","error":{...}},
// Ollama's {"error":"..."}, {"message":...}, {"detail":...}, any of them in a
// list, or plain text. Its Message is empty where the body says nothing.
func (u *upstream) bodyError(kind Kind, body []byte) *Error {
	words := parseErrorBody(body)
	return &Error{
		Kind:         kind,
		Provider:     u.provider,
		Message:      u.clean(words.message),
		UpstreamType: u.clean(words.kind),
		UpstreamCode: u.clean(words.code),
	}
}

// brokenOff makes an Error of the one that an upstream put into its answer,
// after it had answered 200. A code that is a status is taken for one, and so is
// a type that stands for one.
func (u *upstream) brokenOff(data []byte) *Error {
	e := u.bodyError(KindCut, data)
	if status, err := strconv.Atoi(e.UpstreamCode); err == nil && status >= 400 && status <= 599 {
		e.Kind, e.Status = KindStatus, status
	} else if status := errorTypeStatus(e.UpstreamType); status != 0 {
		e.Kind, e.Status = KindStatus, status
	}
	if e.Message == "" {
		e.Message = "the upstream ended the answer with an error"
	}
	return e
}

// errorTypeStatus is the status that an error of this type has where it comes
// before the answer, 0 if that is not known. Anthropic lists them all
// (https://docs.anthropic.com/en/api/errors); OpenAI shares some.
func errorTypeStatus(kind string) int {
	switch kind {
	case "invalid_request_error":
		return http.StatusBadRequest
	case "authentication_error":
		return http.StatusUnauthorized
	case "billing_error":
		return http.StatusPaymentRequired
	case "permission_error":
		return http.StatusForbidden
	case "not_found_error":
		return http.StatusNotFound
	case "request_too_large":
		return http.StatusRequestEntityTooLarge
	case "rate_limit_error":
		return http.StatusTooManyRequests
	case "api_error":
		return http.StatusInternalServerError
	case "timeout_error":
		return http.StatusGatewayTimeout
	case "overloaded_error":
		return 529
	}
	return 0
}

// clean makes text from elsewhere fit for an Error: no secret, valid UTF-8, at
// most maxErrorMessageBytes.
func (u *upstream) clean(text string) string {
	if u.secrets != nil {
		text = u.secrets.Replace(text)
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxErrorMessageBytes {
		return text
	}
	cut := maxErrorMessageBytes
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// errorWords are what an error's body says.
type errorWords struct{ message, kind, code string }

func parseErrorBody(body []byte) errorWords {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return errorWords{}
	}
	if body[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) == nil && len(list) > 0 {
			body = list[0]
		}
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		if body[0] == '<' {
			return errorWords{message: "it answered with an HTML page: " + htmlTitle(body)}
		}
		return errorWords{message: string(body)}
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(fields["error"], &inner) == nil && inner != nil {
		fields = inner
	}
	words := errorWords{kind: plain(fields["type"]), code: plain(fields["code"])}
	for _, name := range []string{"message", "error", "detail"} {
		if words.message = plain(fields[name]); words.message != "" {
			return words
		}
	}
	words.message = string(body)
	return words
}

// plain is a JSON string's text, another value's JSON, or "" for null.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

var htmlTitleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

func htmlTitle(page []byte) string {
	title := htmlTitleTag.FindSubmatch(page)
	if title == nil {
		return "no title"
	}
	return strings.TrimSpace(string(title[1]))
}
