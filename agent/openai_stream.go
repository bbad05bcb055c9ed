package agent

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// stream reads the answer to a request for a stream. What one Read of the
// upstream brings goes into one emit.
func (o *OpenAI) stream(resp *http.Response, emit func([]Delta)) (Result, error) {
	form, body, err := o.up.answerForm(resp, sseType)
	if err != nil {
		return Result{}, err
	}
	if form == formJSON {
		return o.wholeAsStream(body, emit)
	}
	events := newSSEReader(body, o.maxLine)
	defer events.release()
	s := openAIStream{up: o.up}
	for {
		batch, err := events.next()
		if err != nil {
			return s.parser.result(), s.endOfBody(err)
		}
		deltas, err := s.take(batch)
		if len(deltas) > 0 {
			emit(deltas)
		}
		if err == errStreamDone {
			drain(resp.Body)
			return s.parser.result(), nil
		}
		if err != nil {
			return s.parser.result(), err
		}
	}
}

// errStreamDone is the proper end of a stream.
var errStreamDone = errors.New("stream done")

// openAIStream is one stream being read.
type openAIStream struct {
	up     *upstream
	parser chunkParser
	deltas []Delta
}

// take makes deltas of events, up to the one that ends the stream: with
// errStreamDone, or with what is wrong.
func (s *openAIStream) take(events []event) ([]Delta, error) {
	s.deltas = s.deltas[:0]
	for _, e := range events {
		data := bytes.TrimSpace(e.data)
		switch {
		case len(data) == 0:
			continue
		case string(data) == "[DONE]":
			return s.deltas, errStreamDone
		case e.name == "error":
			return s.deltas, s.up.brokenOff(data)
		}
		d, ok, failure, malformed := s.parser.parse(data)
		switch {
		case malformed && e.torn:
			return s.deltas, s.up.errorf(KindCut, nil, "the answer broke off within a chunk")
		case malformed:
			return s.deltas, s.up.errorf(KindMalformed, nil, "a chunk of the stream is not a JSON object")
		case failure != nil:
			return s.deltas, s.up.brokenOff(data)
		case ok:
			s.deltas = append(s.deltas, d)
		}
	}
	return s.deltas, nil
}

// endOfBody judges a body that ended, or was cut, or stayed open in silence,
// without [DONE]. Some servers leave it out; the finish reasons tell as well that
// the answer is whole.
func (s *openAIStream) endOfBody(err error) error {
	if err == io.EOF {
		err = s.up.errorf(KindCut, io.ErrUnexpectedEOF, "the answer ended before its end was told")
	}
	var e *Error
	if errors.As(err, &e) && (e.Kind == KindCut || e.Kind == KindTimeout) && s.parser.complete() {
		return nil
	}
	return s.up.named(err)
}

// whole reads the answer to a request that was not for a stream.
func (o *OpenAI) whole(resp *http.Response, emit func([]Delta)) (Result, error) {
	content, _, result, err := o.readCompletion(resp.Body)
	if err != nil {
		return result, err
	}
	emit([]Delta{content})
	return result, nil
}

// wholeAsStream serves a request for a stream that was answered whole.
func (o *OpenAI) wholeAsStream(body io.Reader, emit func([]Delta)) (Result, error) {
	content, finish, result, err := o.readCompletion(body)
	if err != nil {
		return result, err
	}
	emit([]Delta{content, finish})
	result.Completion = nil
	return result, nil
}

func (o *OpenAI) readCompletion(body io.Reader) (content, finish Delta, result Result, err error) {
	data, err := o.up.readAll(body, maxWholeBytes)
	if err != nil {
		return Delta{}, Delta{}, Result{}, o.up.named(err)
	}
	data = bytes.TrimSpace(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	unbreak(data)
	if err := o.checkCompletion(data); err != nil {
		return Delta{}, Delta{}, Result{}, err
	}
	content, finish, result = completionDeltas(data)
	if content.Chunk == nil {
		return Delta{}, Delta{}, Result{}, o.up.errorf(KindMalformed, nil, "the answer has no choices")
	}
	result.Completion = data
	return content, finish, result, nil
}

func (o *OpenAI) checkCompletion(data []byte) error {
	check := jsonChecker{data: data}
	if check.value() == nil || !check.end() || data[0] != '{' {
		return o.up.errorf(KindMalformed, nil, "the answer is no chat completion: %s", parseErrorBody(data).message)
	}
	if fault := jsonMember(data, "error"); fault != nil && string(fault) != "null" {
		return o.up.brokenOff(data)
	}
	return nil
}
