package agent

import (
	"encoding/json"
	"errors"
	"fmt"
)

// setAnthropicTools translates tools, tool_choice and parallel_tool_calls.
func setAnthropicTools(body map[string]any, talk *anthropicTalk, params map[string]json.RawMessage) error {
	choice, err := anthropicToolChoice(params["tool_choice"])
	if err != nil {
		return err
	}
	tools, err := anthropicTools(params["tools"])
	if err != nil {
		return err
	}
	if len(tools) == 0 {
		if len(talk.called) == 0 {
			return nil
		}
		// The API knows no conversation with calls of tools that were never
		// offered. Such a one comes about where a session is gone on with through
		// a door without tools.
		for _, name := range talk.called {
			tools = append(tools, map[string]any{"name": name, "input_schema": emptySchema})
		}
		choice = map[string]any{"type": "none"}
	}
	body["tools"] = tools
	if string(params["parallel_tool_calls"]) == "false" && (choice == nil || choice["type"] != "none") {
		if choice == nil {
			choice = map[string]any{"type": "auto"}
		}
		choice["disable_parallel_tool_use"] = true
	}
	if choice != nil {
		body["tool_choice"] = choice
	}
	return nil
}

// emptySchema is the schema of a tool that takes nothing, or that tells nothing.
var emptySchema = json.RawMessage(`{"type":"object"}`)

// anthropicTools translates the tools. Those that are no function are taken for
// the API's own, such as its web search, and stay as they are.
func anthropicTools(value json.RawMessage) ([]any, error) {
	if value == nil {
		return nil, nil
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, errors.New("tools is no list of objects")
	}
	tools := make([]any, 0, len(list))
	for i, tool := range list {
		if tool["custom"] != nil {
			return nil, fmt.Errorf("tool %d: it has no tools whose input is text", i)
		}
		if tool["function"] == nil {
			tools = append(tools, tool)
			continue
		}
		translated, err := anthropicTool(tool)
		if err != nil {
			return nil, fmt.Errorf("tool %d: %w", i, err)
		}
		tools = append(tools, translated)
	}
	return tools, nil
}

// anthropicTool translates a function. What stands beside it (cache_control and
// the like) is kept.
func anthropicTool(tool map[string]json.RawMessage) (map[string]any, error) {
	var function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		Strict      *bool           `json:"strict"`
	}
	if err := json.Unmarshal(tool["function"], &function); err != nil || function.Name == "" {
		return nil, errors.New("its function is not as OpenAI's API has it")
	}
	translated := map[string]any{}
	for name, value := range tool {
		if name != "type" && name != "function" {
			translated[name] = value
		}
	}
	translated["name"] = function.Name
	if function.Description != "" {
		translated["description"] = function.Description
	}
	if function.Strict != nil {
		translated["strict"] = *function.Strict
	}
	schema, err := anthropicSchema(function.Parameters)
	translated["input_schema"] = schema
	return translated, err
}

// anthropicSchema is the schema of a tool's input, which the API wants to be an
// object in so many words.
func anthropicSchema(parameters json.RawMessage) (any, error) {
	if parameters == nil || string(parameters) == "null" {
		return emptySchema, nil
	}
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(parameters, &schema); err != nil {
		return nil, errors.New("its parameters are no JSON schema of an object")
	}
	if schema["type"] != nil {
		return parameters, nil
	}
	schema["type"] = json.RawMessage(`"object"`)
	return schema, nil
}

// anthropicToolChoice translates tool_choice; nil means that there is none. One
// that is the API's own stays as it is.
func anthropicToolChoice(value json.RawMessage) (map[string]any, error) {
	if value == nil {
		return nil, nil
	}
	if isString(value) {
		switch choice := plain(value); choice {
		case "auto", "none", "any":
			return map[string]any{"type": choice}, nil
		case "required":
			return map[string]any{"type": "any"}, nil
		}
		return nil, fmt.Errorf("it has no tool_choice %s", value)
	}
	var choice map[string]any
	if err := json.Unmarshal(value, &choice); err != nil {
		return nil, errors.New("tool_choice is not as OpenAI's API has it")
	}
	switch choice["type"] {
	case "auto", "none", "any", "tool":
		return choice, nil
	case "function":
		if name := plain(jsonMember(jsonMember(value, "function"), "name")); name != "" {
			return map[string]any{"type": "tool", "name": name}, nil
		}
		return nil, errors.New("tool_choice names no function")
	}
	return nil, fmt.Errorf("it has no tool_choice %s", value)
}
