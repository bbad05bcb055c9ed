package agent

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
)

// form is what the body of an answer is.
type form int

const (
	formStream form = iota // of the type that was asked for
	formJSON               // one whole JSON object, or lines of them
)

// sniffBytes is how much of a body is read to guess its form.
const sniffBytes = 512

// answerForm tells what the body of an answer is, by its content type, or, where
// that says nothing, by its first bytes: body is all of it, those included. An
// answer of another form, such as a proxy's page, is KindMalformed.
func (u *upstream) answerForm(resp *http.Response, streamType string) (f form, body io.Reader, err error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == streamType:
		return formStream, resp.Body, nil
	case kind == jsonType || strings.HasSuffix(kind, "+json"):
		return formJSON, resp.Body, nil
	}
	start, err := sniff(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	untold := kind == "" || kind == "text/plain" || kind == "application/octet-stream"
	trimmed := bytes.TrimSpace(start)
	if !untold || len(trimmed) > 0 && trimmed[0] == '<' {
		return 0, nil, u.notAnAnswer(kind, start)
	}
	body = io.MultiReader(bytes.NewReader(start), resp.Body)
	if len(trimmed) > 0 && trimmed[0] == '{' {
		return formJSON, body, nil
	}
	return formStream, body, nil
}

// sniff reads until something other than white space has come.
func sniff(body io.Reader) ([]byte, error) {
	start := make([]byte, 0, sniffBytes)
	for len(start) < sniffBytes {
		n, err := body.Read(start[len(start):sniffBytes])
		start = start[:len(start)+n]
		if len(bytes.TrimSpace(start)) > 0 || err == io.EOF {
			return start, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return start, nil
}

func (u *upstream) notAnAnswer(kind string, start []byte) *Error {
	if kind == "" {
		kind = "no content type"
	}
	return u.errorf(KindMalformed, nil, "the answer is no model's (%s): %s; is base_url right?",
		kind, parseErrorBody(start).message)
}
