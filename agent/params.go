package agent

import (
	"encoding/json"
	"errors"
	"strconv"
)

// stopSequences is OpenAI's stop: a string, a list of strings, or null.
type stopSequences []string

func (s *stopSequences) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*s = make(stopSequences, 1)
		return json.Unmarshal(data, &(*s)[0])
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// invalidParams tells which of a request's parameters could not be read, in
// place of err, json.Unmarshal's error.
func invalidParams(err error) *Error {
	e := &Error{Kind: KindInvalid, Message: "the parameters are no JSON object", Err: err}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		e.Message = wrong.Field + ": must not be a " + wrong.Value
	}
	return e
}

// invalidParam is the error for a parameter that cannot be put to a provider.
func invalidParam(name, problem string) *Error {
	return &Error{Kind: KindInvalid, Message: name + ": " + problem}
}

func quote(s string) string { return strconv.Quote(s) }
