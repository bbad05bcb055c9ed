package responses

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// tools reads the functions that the model may call, and which of them it must.
func (p *parser) tools() error {
	r := &p.request
	r.Tools, r.ToolChoice = []json.RawMessage{}, json.RawMessage(`"auto"`)
	var list []json.RawMessage
	if err := p.take("tools", &list, "a list of tools"); err != nil {
		return err
	}
	var functions []function
	for i, raw := range list {
		f, err := parseTool(raw, "tools["+strconv.Itoa(i)+"]")
		if err != nil {
			return err
		}
		echo, err := encode(f.echo())
		if err != nil {
			return err
		}
		functions = append(functions, *f)
		r.Tools = append(r.Tools, echo)
	}
	functions, err := p.choice(functions)
	if err != nil || len(functions) == 0 {
		return err
	}
	tools := make([]any, len(functions))
	for i := range functions {
		tools[i] = functions[i].tool()
	}
	p.params["tools"] = tools
	return nil
}

// function is a function that the client can call.
type function struct {
	name        string
	description *string
	parameters  json.RawMessage
	strict      *bool
}

func parseTool(raw json.RawMessage, path string) (*function, error) {
	o, err := parseObject(raw, path)
	if err != nil {
		return nil, err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if kind != "function" {
		return nil, fault(o.at("type"), "tools of the type "+strconv.Quote(kind)+" are not supported: function tools are")
	}
	f := new(function)
	var parameters map[string]json.RawMessage
	f.parameters = bytes.TrimSpace(o.fields["parameters"])
	for _, err := range []error{
		o.need("name", &f.name),
		o.take("description", &f.description, "a string"),
		o.take("parameters", &parameters, "a JSON schema"),
		o.take("strict", &f.strict, "true or false"),
	} {
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"async", "defer_loading"} { // their default
		if string(o.fields[name]) == "false" {
			delete(o.fields, name)
		}
	}
	if parameters == nil {
		f.parameters = nil
	}
	return f, o.done()
}

// echo is the tool as a response tells it.
func (f *function) echo() any {
	return struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description *string         `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		Strict      *bool           `json:"strict"`
	}{"function", f.name, f.description, f.parameters, f.strict}
}

// tool is the tool as chat completions have it.
func (f *function) tool() any {
	type inner struct {
		Name        string          `json:"name"`
		Description *string         `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
		Strict      *bool           `json:"strict,omitempty"`
	}
	return struct {
		Type     string `json:"type"`
		Function inner  `json:"function"`
	}{"function", inner{f.name, f.description, f.parameters, f.strict}}
}

// choice reads tool_choice, and returns the functions that the model hears of.
func (p *parser) choice(functions []function) ([]function, error) {
	raw := bytes.TrimSpace(p.fields["tool_choice"])
	delete(p.fields, "tool_choice")
	if len(raw) == 0 || string(raw) == "null" {
		return functions, nil
	}
	p.request.ToolChoice = raw
	if raw[0] == '"' {
		mode, err := choiceMode(raw, "tool_choice", "none", "auto", "required")
		if err != nil {
			return nil, err
		}
		if mode == "required" && len(functions) == 0 {
			return nil, fault("tool_choice", "a tool is required and there is none")
		}
		if len(functions) > 0 { // servers refuse it without tools
			p.params["tool_choice"] = mode
		}
		return functions, nil
	}
	o, err := parseObject(raw, "tool_choice")
	if err != nil {
		return nil, err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	switch kind {
	case "function":
		var name string
		if err := o.need("name", &name); err != nil {
			return nil, err
		}
		if !has(functions, name) {
			return nil, fault("tool_choice.name", "there is no tool "+strconv.Quote(name))
		}
		p.params["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": name}}
		return functions, o.done()
	case "allowed_tools":
		return p.allowed(o, functions)
	}
	return nil, fault("tool_choice.type", "a choice of the type "+strconv.Quote(kind)+" is not supported: function and allowed_tools are")
}

func choiceMode(raw json.RawMessage, param string, modes ...string) (string, error) {
	var mode string
	if err := json.Unmarshal(raw, &mode); err != nil || !slices.Contains(modes, mode) {
		return "", fault(param, param+" is one of "+list(modes))
	}
	return mode, nil
}

// allowed narrows the tools to some of them: the model hears of no other, which any
// server understands.
func (p *parser) allowed(o *object, functions []function) ([]function, error) {
	raw := o.fields["mode"]
	delete(o.fields, "mode")
	mode, err := choiceMode(raw, "tool_choice.mode", "auto", "required")
	if err != nil {
		return nil, err
	}
	var tools []struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	if err := o.take("tools", &tools, "a list of tools"); err != nil {
		return nil, err
	}
	var names []string
	for i, t := range tools {
		at := "tool_choice.tools[" + strconv.Itoa(i) + "]"
		if t.Type != "function" {
			return nil, fault(at+".type", "only functions can be allowed here")
		}
		if !has(functions, t.Name) {
			return nil, fault(at+".name", "there is no tool "+strconv.Quote(t.Name))
		}
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return nil, fault("tool_choice.tools", "tool_choice.tools names no tool")
	}
	p.params["tool_choice"] = mode
	return slices.DeleteFunc(slices.Clone(functions), func(f function) bool { return !slices.Contains(names, f.name) }), o.done()
}

func has(functions []function, name string) bool {
	return slices.ContainsFunc(functions, func(f function) bool { return f.name == name })
}
