package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// parseParams reads a request's parameters by name, for a provider that
// translates them. Those that are null are left out: in OpenAI's API that is as
// good as absent.
func parseParams(raw json.RawMessage) (map[string]json.RawMessage, error) {
	var params map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &params); err != nil {
			return nil, errors.New("its parameters are no JSON object")
		}
	}
	for name, value := range params {
		if string(value) == "null" {
			delete(params, name)
		}
	}
	return params, nil
}

// refuseUnmet finds the first parameter that no API but OpenAI's has a
// counterpart of and whose loss would make another answer. Those whose loss does
// no harm (store, prediction, service_tier and the like) are left out in silence
// by who translates.
func refuseUnmet(params map[string]json.RawMessage) error {
	unmet := []struct {
		name  string
		asked bool
	}{
		{"n", params["n"] != nil && string(params["n"]) != "1"},
		{"logprobs", string(params["logprobs"]) == "true"},
		{"logit_bias", params["logit_bias"] != nil && !isEmpty(params["logit_bias"])},
		{"audio", params["audio"] != nil},
		{"functions", params["functions"] != nil},
		{"web_search_options", params["web_search_options"] != nil},
	}
	for _, u := range unmet {
		if u.asked {
			return fmt.Errorf("it has no %s", u.name)
		}
	}
	return nil
}

// stopSequences is OpenAI's stop: a string, a list of strings, or null.
type stopSequences []string

func (s *stopSequences) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*s = make(stopSequences, 1)
		return json.Unmarshal(data, &(*s)[0])
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// responseSchema reads response_format: nil for text, the string "json" for any
// JSON object, or the schema of the answer, which is how Ollama has it.
func responseSchema(value json.RawMessage) (json.RawMessage, error) {
	var format struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if err := json.Unmarshal(value, &format); err != nil {
		return nil, errors.New("response_format is not as OpenAI's API has it")
	}
	switch format.Type {
	case "text":
		return nil, nil
	case "json_object":
		return json.RawMessage(`"json"`), nil
	case "json_schema":
		if format.JSONSchema.Schema == nil {
			return nil, errors.New("response_format has no json_schema.schema")
		}
		return format.JSONSchema.Schema, nil
	}
	return nil, fmt.Errorf("it has no response_format %q", format.Type)
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
