package agent

import (
	"encoding/json"
	"errors"
	"strings"
)

// anthropicBody translates req. What OpenAI's API has and this one has not is
// left out where that does no harm (penalties, seed, store and the like, see
// anthropicTranslates), and refused where it would change the answer (see refuseUnmet).
// All other parameters reach the upstream under their own name, so that its own
// (thinking, top_k, output_config, ...) can be used.
func anthropicBody(model string, maxTokens int, req *Request) ([]byte, error) {
	params, err := parseParams(req.Params)
	if err != nil {
		return nil, err
	}
	if err := refuseUnmet(params); err != nil {
		return nil, err
	}
	talk, err := anthropicTalkOf(req.Messages)
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	for name, value := range params {
		if !anthropicTranslates(name) {
			body[name] = value
		}
	}
	body["model"] = model
	body["stream"] = true
	body["messages"] = talk.turns
	body["max_tokens"] = anthropicMaxTokensOf(params, maxTokens)
	if params["stop_sequences"] == nil {
		if err := setAnthropicStop(body, params["stop"]); err != nil {
			return nil, err
		}
	}
	if value := params["temperature"]; value != nil {
		body["temperature"] = cappedTemperature(value)
	}
	if string(params["top_p"]) == "1" {
		delete(body, "top_p") // it says nothing, and some models refuse it beside a temperature
	}
	if user := anthropicUser(params); user != "" {
		body["metadata"] = map[string]string{"user_id": user}
	}
	if tier := plain(params["service_tier"]); tier == "auto" || tier == "standard_only" {
		body["service_tier"] = tier
	}
	if err := setAnthropicOutput(body, &talk, params); err != nil {
		return nil, err
	}
	if err := setAnthropicTools(body, &talk, params); err != nil {
		return nil, err
	}
	if len(talk.system) > 0 {
		body["system"] = talk.system
	}
	return encodeBody(body)
}

// anthropicTranslates tells whether a parameter is OpenAI's alone, or means
// something else there: then it does not go upstream as it stands.
func anthropicTranslates(name string) bool {
	switch name {
	case "model", "messages", "system", "stream", "stream_options",
		"max_tokens", "max_completion_tokens", "stop", "temperature", "tools", "tool_choice", "parallel_tool_calls",
		"response_format", "reasoning_effort", "output_config", "metadata", "user", "safety_identifier", "service_tier":
		return true
	case "n", "logprobs", "top_logprobs", "logit_bias", "audio", "modalities", "functions", "function_call",
		"web_search_options", "frequency_penalty", "presence_penalty", "seed", "store", "prediction", "verbosity",
		"prompt_cache_key", "prompt_cache_retention":
		return true
	}
	return false
}

// anthropicMaxTokensOf is the request's limit, or what there is by default.
// Thinking counts towards the limit, so a budget for it comes on top of that.
func anthropicMaxTokensOf(params map[string]json.RawMessage, otherwise int) any {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		if value := params[name]; value != nil {
			return value
		}
	}
	return otherwise + count(jsonMember(params["thinking"], "budget_tokens"))
}

// setAnthropicStop translates stop. The API refuses sequences of white space
// alone; without them the answer is longer, and no worse.
func setAnthropicStop(body map[string]any, value json.RawMessage) error {
	if value == nil {
		return nil
	}
	var all stopSequences
	if err := json.Unmarshal(value, &all); err != nil {
		return errors.New("stop is no string, nor a list of them")
	}
	var stops []string
	for _, stop := range all {
		if strings.TrimSpace(stop) != "" {
			stops = append(stops, stop)
		}
	}
	if len(stops) > 0 {
		body["stop_sequences"] = stops
	}
	return nil
}

// cappedTemperature holds a temperature within the API's range, which ends at 1
// where OpenAI's ends at 2.
func cappedTemperature(value json.RawMessage) json.RawMessage {
	var t float64
	if json.Unmarshal(value, &t) == nil && t > 1 {
		return json.RawMessage("1")
	}
	return value
}

// anthropicUser is what the API may know of the user. Of OpenAI's metadata, any
// pairs of strings, it takes nothing but its own user_id.
func anthropicUser(params map[string]json.RawMessage) string {
	for _, value := range []json.RawMessage{
		jsonMember(params["metadata"], "user_id"), params["user"], params["safety_identifier"],
	} {
		if isString(value) && !isEmpty(value) {
			return plain(value)
		}
	}
	return ""
}

// jsonInstruction stands in for response_format json_object, of which the API
// has no counterpart.
const jsonInstruction = "Answer with one JSON object and nothing else: no text around it, no code fence."

// setAnthropicOutput translates response_format and reasoning_effort into
// output_config, where they do not overrule what the client puts there itself.
//
// An effort does not turn thinking on: how that is asked for depends on the
// model, and the client can do it with thinking, the API's own parameter. The
// effort "none" turns it off.
func setAnthropicOutput(body map[string]any, talk *anthropicTalk, params map[string]json.RawMessage) error {
	config := map[string]any{}
	if effort := params["reasoning_effort"]; effort != nil {
		switch level := plain(effort); level {
		case "none":
			if params["thinking"] == nil {
				body["thinking"] = map[string]string{"type": "disabled"}
			}
		case "minimal":
			config["effort"] = "low"
		default:
			config["effort"] = level // which the upstream knows, or refuses
		}
	}
	if format := params["response_format"]; format != nil {
		schema, err := responseSchema(format)
		switch {
		case err != nil:
			return err
		case string(schema) == `"json"`:
			talk.system = append(talk.system, anthropicText{Type: "text", Text: jsonInstruction})
		case schema != nil:
			config["format"] = map[string]any{"type": "json_schema", "schema": schema}
		}
	}
	if own := params["output_config"]; own != nil {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(own, &fields); err != nil {
			return errors.New("output_config is no JSON object")
		}
		for name, value := range fields {
			config[name] = value
		}
	}
	if len(config) > 0 {
		body["output_config"] = config
	}
	return nil
}
