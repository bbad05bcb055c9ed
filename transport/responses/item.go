package responses

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"agentzero/agent"
)

// MaxItems is how many items may be put into a conversation at once.
const MaxItems = 20

// Item is an item with the id that it has here.
type Item struct {
	Ref  ItemRef
	ID   string
	JSON json.RawMessage
}

// object is the members of an item or a part, taken out as they are understood.
type object struct {
	path   string
	fields map[string]json.RawMessage
}

func parseObject(raw json.RawMessage, path string) (*object, error) {
	o := &object{path: path}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		return nil, fault(path, path+" must be an object")
	}
	return o, nil
}

func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// take decodes a member; null and absent leave v as it is.
func (o *object) take(name string, v any, what string) error {
	raw, ok := o.fields[name]
	delete(o.fields, name)
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault(o.at(name), o.at(name)+" must be "+what)
	}
	return nil
}

// need is take for a string that must be there.
func (o *object) need(name string, v *string) error {
	raw := bytes.TrimSpace(o.fields[name])
	if len(raw) == 0 || raw[0] != '"' {
		return fault(o.at(name), o.at(name)+" must be a string")
	}
	return o.take(name, v, "a string")
}

// ignore drops members that say nothing to a model: what the API filled in when it
// gave an item out.
func (o *object) ignore(names ...string) {
	for _, name := range names {
		delete(o.fields, name)
	}
}

// nulls are members of the API that are not supported; null is as absent.
var nulls = map[string]bool{
	"access_programs": true, "allowed_callers": true, "async": true, "caller": true, "context": true, "context_management": true,
	"defer_loading": true, "encrypted_content": true, "file_id": true, "file_url": true, "image": true, "mode": true,
	"moderation": true, "namespace": true, "output_schema": true, "phase": true, "prompt": true,
	"prompt_cache_breakpoint": true, "prompt_cache_options": true, "prompt_cache_retention": true,
}

// done refuses the members that nobody has taken.
func (o *object) done() error {
	for name, raw := range o.fields {
		if string(raw) != "null" || !nulls[name] {
			return fault(o.at(name), o.at(name)+" is not supported here")
		}
	}
	return nil
}

// ParseInput reads a request's input: a text, or a list of items. Each message is
// one item.
func ParseInput(raw json.RawMessage, path string) ([]agent.Message, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, fault(path, path+" must be a string or a list of items")
		}
		return []agent.Message{{Role: "user", Text: text}}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, fault(path, path+" must be a string or a list of items")
	}
	return parseItems(list, path)
}

// ParseItems reads the items that are to be put into a conversation.
func ParseItems(raw json.RawMessage, path string) ([]agent.Message, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, fault(path, path+" must be a list of items")
	}
	if len(list) > MaxItems {
		return nil, fault(path, path+" holds more than "+strconv.Itoa(MaxItems)+" items")
	}
	return parseItems(list, path)
}

func parseItems(list []json.RawMessage, path string) ([]agent.Message, error) {
	messages := make([]agent.Message, len(list))
	for i, raw := range list {
		m, err := parseItem(raw, path+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		messages[i] = m
	}
	return messages, nil
}

func parseItem(raw json.RawMessage, path string) (agent.Message, error) {
	o, err := parseObject(raw, path)
	if err != nil {
		return agent.Message{}, err
	}
	kind := "message"
	if err := o.take("type", &kind, "a string"); err != nil {
		return agent.Message{}, err
	}
	var message map[string]any
	switch kind {
	case "message":
		message, err = o.message()
	case "function_call":
		message, err = o.functionCall()
	case "function_call_output":
		message, err = o.functionCallOutput()
	case "reasoning":
		message, err = o.reasoning()
	case "item_reference":
		err = fault(o.at("type"), "references to items are not supported: send the item, or name a conversation or a previous_response_id that has it")
	default:
		err = fault(o.at("type"), "items of the type "+strconv.Quote(kind)+" are not supported: message, function_call, function_call_output and reasoning are")
	}
	if err == nil {
		err = o.done()
	}
	if err != nil {
		return agent.Message{}, err
	}
	return messageOf(message)
}

// messageOf is a message of these members, in the form in which it is kept.
func messageOf(members map[string]any) (m agent.Message, err error) {
	data, err := encode(members)
	if err != nil {
		return m, err
	}
	err = m.UnmarshalJSON(data)
	return m, err
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (o *object) message() (map[string]any, error) {
	o.ignore("id", "status")
	var role string
	if err := o.need("role", &role); err != nil {
		return nil, err
	}
	switch role {
	case "user", "system", "developer", "assistant":
	default:
		return nil, fault(o.at("role"), "the role of a message is user, assistant, system or developer")
	}
	raw := bytes.TrimSpace(o.fields["content"])
	delete(o.fields, "content")
	out := map[string]any{"role": role}
	if len(raw) > 0 && raw[0] == '"' {
		out["content"] = json.RawMessage(raw)
		return out, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, fault(o.at("content"), o.at("content")+" must be a string or a list of parts")
	}
	if role == "assistant" {
		return out, o.said(list, out)
	}
	parts, err := o.parts("content", list)
	if err != nil {
		return nil, err
	}
	out["content"] = parts
	if len(parts) == 1 && parts[0]["type"] == "text" {
		out["content"] = parts[0]["text"] // which every server understands
	}
	return out, nil
}

// said reads what an assistant has said: text, or its refusal to.
func (o *object) said(list []json.RawMessage, out map[string]any) error {
	var text, refusal strings.Builder
	for i, raw := range list {
		p, err := parseObject(raw, o.at("content")+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return err
		}
		var kind, piece string
		if err := p.need("type", &kind); err != nil {
			return err
		}
		switch kind {
		case "output_text", "input_text":
			p.ignore("annotations", "logprobs")
			err = p.need("text", &piece)
			text.WriteString(piece)
		case "refusal":
			err = p.need("refusal", &piece)
			refusal.WriteString(piece)
		default:
			err = fault(p.at("type"), "what an assistant said is output_text or refusal")
		}
		if err == nil {
			err = p.done()
		}
		if err != nil {
			return err
		}
	}
	out["content"] = text.String()
	if refusal.Len() > 0 {
		out["refusal"] = refusal.String()
	}
	return nil
}

// parts reads what a user or a tool says as the parts of a chat message.
func (o *object) parts(name string, list []json.RawMessage) ([]map[string]any, error) {
	out := make([]map[string]any, 0, len(list))
	for i, raw := range list {
		p, err := parseObject(raw, o.at(name)+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		var kind string
		if err := p.need("type", &kind); err != nil {
			return nil, err
		}
		var part map[string]any
		switch kind {
		case "input_text":
			var text string
			err = p.need("text", &text)
			part = map[string]any{"type": "text", "text": text}
		case "input_image":
			part, err = p.image()
		case "input_file":
			part, err = p.file()
		default:
			err = fault(p.at("type"), "parts of the type "+strconv.Quote(kind)+" are not supported: input_text, input_image and input_file are")
		}
		if err == nil {
			err = p.done()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

func (o *object) image() (map[string]any, error) {
	var detail *string
	if err := o.oneOf("detail", &detail, "auto", "low", "high", "original"); err != nil {
		return nil, err
	}
	if raw := o.fields["file_id"]; raw != nil && string(raw) != "null" {
		return nil, fault(o.at("file_id"), "there are no uploaded files here: give the image's image_url, which may be a data: URL")
	}
	var url string
	if err := o.need("image_url", &url); err != nil {
		return nil, err
	}
	image := map[string]any{"url": url}
	if detail != nil && *detail != "auto" {
		image["detail"] = *detail
	}
	return map[string]any{"type": "image_url", "image_url": image}, nil
}

func (o *object) file() (map[string]any, error) {
	for _, name := range []string{"file_id", "file_url"} {
		if raw := o.fields[name]; raw != nil && string(raw) != "null" {
			return nil, fault(o.at(name), o.at(name)+" is not supported here: give the file's file_data")
		}
	}
	file := map[string]any{}
	var data string
	var filename *string
	if err := o.need("file_data", &data); err != nil {
		return nil, err
	}
	if err := o.take("filename", &filename, "a string"); err != nil {
		return nil, err
	}
	file["file_data"] = data
	if filename != nil {
		file["filename"] = *filename
	}
	return map[string]any{"type": "file", "file": file}, nil
}

func (o *object) functionCall() (map[string]any, error) {
	o.ignore("id", "status")
	var call, name, arguments string
	for _, err := range []error{o.need("call_id", &call), o.need("name", &name), o.need("arguments", &arguments)} {
		if err != nil {
			return nil, err
		}
	}
	return map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{map[string]any{
		"id": call, "type": "function", "function": map[string]any{"name": name, "arguments": arguments},
	}}}, nil
}

func (o *object) functionCallOutput() (map[string]any, error) {
	o.ignore("id", "status")
	var call string
	if err := o.need("call_id", &call); err != nil {
		return nil, err
	}
	out := map[string]any{"role": "tool", "tool_call_id": call}
	raw := bytes.TrimSpace(o.fields["output"])
	delete(o.fields, "output")
	if len(raw) > 0 && raw[0] == '"' {
		out["content"] = json.RawMessage(raw)
		return out, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, fault(o.at("output"), o.at("output")+" must be a string or a list of parts")
	}
	parts, err := o.parts("output", list)
	if err != nil {
		return nil, err
	}
	for i, part := range parts {
		if part["type"] != "text" {
			at := o.at("output") + "[" + strconv.Itoa(i) + "].type"
			return nil, fault(at, "the output of a function is text here")
		}
	}
	out["content"] = parts
	return out, nil
}

func (o *object) reasoning() (map[string]any, error) {
	o.ignore("id", "status")
	if raw := o.fields["encrypted_content"]; raw != nil && string(raw) != "null" {
		return nil, fault(o.at("encrypted_content"), "encrypted reasoning cannot be read here")
	}
	summary, err := o.texts("summary")
	if err != nil {
		return nil, err
	}
	text, err := o.texts("content")
	if err != nil {
		return nil, err
	}
	if text == "" {
		text = summary
	}
	if text == "" {
		return nil, fault(o.at("summary"), "a reasoning item needs its summary or its content")
	}
	return map[string]any{"role": "assistant", "content": nil, "reasoning_content": text}, nil
}

// texts takes a list of objects with a text each.
func (o *object) texts(name string) (string, error) {
	var list []json.RawMessage
	if err := o.take(name, &list, "a list of texts"); err != nil {
		return "", err
	}
	texts := make([]string, len(list))
	for i, raw := range list {
		p, err := parseObject(raw, o.at(name)+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return "", err
		}
		if err := p.need("text", &texts[i]); err != nil {
			return "", err
		}
		p.ignore("type")
		if err := p.done(); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, "\n\n"), nil
}
