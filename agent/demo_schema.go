package agent

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of the values made from a schema, which comes from a stranger.
const (
	maxSampleDepth = 16
	maxSampleNodes = 500
	maxSampleBytes = 64 << 10 // of the schema
	maxSampleItems = 16
	maxSampleChars = 1000
)

// demoSample makes a value that fits a JSON schema, with values taken from a
// message where that is possible. It knows the parts of JSON Schema that tools
// use: type, properties, required, items, enum, const, default, anyOf, oneOf,
// allOf, local $ref, format and the bounds.
type demoSample struct {
	hints demoHints
	root  json.RawMessage // what $ref is resolved in
	// all asks for optional properties, too.
	all bool
	// answer, if there is one, is what a property for an answer gets.
	answer string

	nodes int
}

// demoHints are values found in a message.
type demoHints struct {
	text    string   // the message itself
	quoted  []string // what stands in quotes
	phrase  string   // what stands after in, for, of, ...
	numbers []string
}

var (
	demoQuoted = regexp.MustCompile(`"([^"\n]+)"|“([^”\n]+)”|'([^'\n]+)'(?:\W|$)`)
	demoPhrase = regexp.MustCompile(`(?i)\b(?:in|for|of|to|about|with|on|from|at|named|called)\s+(.+?)\s*[.?!]*$`)
	demoNumber = regexp.MustCompile(`-?\d+(?:\.\d+)?`)
)

func demoHintsFrom(message string) demoHints {
	message = shorten(strings.TrimSpace(message), maxSampleChars)
	h := demoHints{text: message, numbers: demoNumber.FindAllString(message, maxSampleItems)}
	for _, m := range demoQuoted.FindAllStringSubmatch(message, maxSampleItems) {
		h.quoted = append(h.quoted, m[1]+m[2]+m[3])
	}
	if m := demoPhrase.FindStringSubmatch(message); m != nil {
		h.phrase = m[1]
	}
	return h
}

// object is a JSON object that fits schema, {} if nothing better is found.
func (s *demoSample) object(schema json.RawMessage) json.RawMessage {
	if len(schema) > maxSampleBytes {
		return json.RawMessage(`{}`)
	}
	if value := s.value("", schema, 0); value[0] == '{' {
		return value
	}
	return json.RawMessage(`{}`)
}

// schemaNode is one schema, as far as it is understood.
type schemaNode struct {
	Ref        string            `json:"$ref"`
	Type       schemaType        `json:"type"`
	Const      json.RawMessage   `json:"const"`
	Enum       []json.RawMessage `json:"enum"`
	Default    json.RawMessage   `json:"default"`
	AnyOf      []json.RawMessage `json:"anyOf"`
	OneOf      []json.RawMessage `json:"oneOf"`
	AllOf      []json.RawMessage `json:"allOf"`
	Properties json.RawMessage   `json:"properties"`
	Required   []string          `json:"required"`
	Items      json.RawMessage   `json:"items"`
	MinItems   int               `json:"minItems"`
	Format     string            `json:"format"`
	MinLength  int               `json:"minLength"`
	MaxLength  *int              `json:"maxLength"`
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	Above      *float64          `json:"exclusiveMinimum"`
	Below      *float64          `json:"exclusiveMaximum"`
}

// schemaType is the first type of a schema that is not null.
type schemaType string

func (t *schemaType) UnmarshalJSON(data []byte) error {
	var names []string
	if json.Unmarshal(data, (*string)(t)) == nil {
		return nil
	}
	if json.Unmarshal(data, &names) == nil {
		for _, name := range names {
			if name != "null" || len(names) == 1 {
				*t = schemaType(name)
				break
			}
		}
	}
	return nil // what is no type is none
}

// value makes the value of the property called name.
func (s *demoSample) value(name string, schema json.RawMessage, depth int) json.RawMessage {
	s.nodes++
	var node schemaNode
	if depth > maxSampleDepth || s.nodes > maxSampleNodes || json.Unmarshal(schema, &node) != nil {
		return json.RawMessage(`null`)
	}
	switch {
	case node.Ref != "":
		return s.value(name, s.resolve(node.Ref), depth+1)
	case node.Const != nil:
		return compactJSON(node.Const)
	case len(node.Enum) > 0:
		return s.oneOf(node.Enum)
	case len(node.AllOf) > 0:
		return s.allOf(name, node, depth)
	}
	for _, choices := range [][]json.RawMessage{node.AnyOf, node.OneOf} {
		for _, choice := range choices {
			if value := s.value(name, choice, depth+1); string(value) != "null" {
				return value
			}
		}
	}
	switch {
	case node.Type == "object" || node.Type == "" && node.Properties != nil:
		return s.properties(node, depth)
	case node.Type == "array":
		return s.items(name, node, depth)
	case node.Default != nil:
		return compactJSON(node.Default)
	case node.Type == "integer" || node.Type == "number":
		return s.number(node)
	case node.Type == "boolean":
		return json.RawMessage(`true`)
	case node.Type == "null":
		return json.RawMessage(`null`)
	}
	return appendJSONString(nil, s.text(name, node))
}

func (s *demoSample) properties(node schemaNode, depth int) json.RawMessage {
	var object sampleObject
	for members := membersOf(node.Properties); members.next(); {
		name := unescape(members.name)
		if s.all || slices.Contains(node.Required, name) {
			object.add(name, s.value(name, members.value, depth+1))
		}
	}
	for _, name := range node.Required { // those without a schema of their own
		object.add(name, s.value(name, json.RawMessage(`{}`), depth+1))
	}
	return object.json()
}

func (s *demoSample) items(name string, node schemaNode, depth int) json.RawMessage {
	out := []byte{'['}
	for i := range min(max(node.MinItems, 1), maxSampleItems) {
		if i > 0 {
			out = append(out, ',')
		}
		items := node.Items
		if items == nil {
			items = json.RawMessage(`{}`)
		}
		out = append(out, s.value(name, items, depth+1)...)
	}
	return append(out, ']')
}

// allOf merges the objects of several schemas; of other values it takes the
// first.
func (s *demoSample) allOf(name string, node schemaNode, depth int) json.RawMessage {
	var object sampleObject
	take := func(value json.RawMessage) {
		for members := membersOf(value); members.next(); {
			object.add(unescape(members.name), members.value)
		}
	}
	take(s.properties(node, depth))
	for _, part := range node.AllOf {
		value := s.value(name, part, depth+1)
		if value[0] != '{' {
			return value
		}
		take(value)
	}
	return object.json()
}

// sampleObject is a JSON object under construction. The first of two members of
// one name stays.
type sampleObject struct {
	names   map[string]bool
	members []byte
}

func (o *sampleObject) add(name string, value json.RawMessage) {
	if o.names[name] {
		return
	}
	if o.names == nil {
		o.names = map[string]bool{}
	} else {
		o.members = append(o.members, ',')
	}
	o.names[name] = true
	o.members = appendJSONString(o.members, name)
	o.members = append(o.members, ':')
	o.members = append(o.members, value...)
}

func (o *sampleObject) json() json.RawMessage {
	out := append([]byte{'{'}, o.members...)
	return append(out, '}')
}

// oneOf is the value of an enum that the message mentions, or the first.
func (s *demoSample) oneOf(values []json.RawMessage) json.RawMessage {
	message := strings.ToLower(s.hints.text)
	for _, value := range values {
		var text string
		if json.Unmarshal(value, &text) == nil && text != "" && hasWord(message, strings.ToLower(text)) {
			return compactJSON(value)
		}
	}
	return compactJSON(values[0])
}

func (s *demoSample) number(node schemaNode) json.RawMessage {
	value := 1.0
	if len(s.hints.numbers) > 0 {
		// The pattern lets only numbers through.
		value, _ = strconv.ParseFloat(s.hints.numbers[0], 64)
		s.hints.numbers = s.hints.numbers[1:]
	}
	if node.Minimum != nil {
		value = max(value, *node.Minimum)
	}
	if node.Above != nil && value <= *node.Above {
		value = *node.Above + 1
	}
	if node.Maximum != nil {
		value = min(value, *node.Maximum)
	}
	if node.Below != nil && value >= *node.Below {
		value = *node.Below - 1
	}
	if node.Type == "integer" {
		value = math.Trunc(value)
		if node.Minimum != nil && value < *node.Minimum {
			value = math.Ceil(*node.Minimum)
		}
	}
	return strconv.AppendFloat(nil, value, 'f', -1, 64)
}

// demoFormat is an example of a format of strings, "" if it is not known.
func demoFormat(format string) string {
	switch format {
	case "date":
		return "2026-01-31"
	case "time":
		return "12:00:00Z"
	case "date-time":
		return "2026-01-31T12:00:00Z"
	case "email":
		return "ada@example.com"
	case "uri", "url":
		return "https://example.com/"
	case "uuid":
		return "123e4567-e89b-42d3-a456-426614174000"
	case "ipv4":
		return "192.0.2.1"
	case "hostname":
		return "example.com"
	}
	return ""
}

func (s *demoSample) text(name string, node schemaNode) string {
	text := demoFormat(node.Format)
	if text == "" {
		text = s.hint(name)
	}
	if node.MaxLength != nil && utf8.RuneCountInString(text) > *node.MaxLength {
		text = string([]rune(text)[:max(0, *node.MaxLength)])
	}
	if missing := min(node.MinLength, maxSampleChars) - utf8.RuneCountInString(text); missing > 0 {
		text += strings.Repeat("x", missing)
	}
	return text
}

// hint finds a string for the property called name: what the message gives
// under that name, then what it has in quotes, then what looks like an object
// of its sentence, then the message itself.
func (s *demoSample) hint(name string) string {
	if s.answer != "" && isAnswerName(name) {
		return s.answer
	}
	if given := s.hints.given(name); given != "" {
		return given
	}
	if len(s.hints.quoted) > 0 {
		text := s.hints.quoted[0]
		s.hints.quoted = s.hints.quoted[1:]
		return text
	}
	if s.hints.phrase != "" {
		text := s.hints.phrase
		s.hints.phrase = ""
		return text
	}
	if s.hints.text != "" {
		return s.hints.text
	}
	return "example"
}

// given is what the message gives under a property's name, such as city=Bern.
func (h *demoHints) given(name string) string {
	if name == "" || len(name) > maxDemoName {
		return ""
	}
	after := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `\s*(?:=|:|\bis\b)\s*"?([^",;\n]+?)"?\s*(?:[,;.]|$|\band\b)`)
	if m := after.FindStringSubmatch(h.text); m != nil {
		return m[1]
	}
	return ""
}

func isAnswerName(name string) bool {
	switch strings.ToLower(name) {
	case "answer", "reply", "response", "message", "text", "content", "summary", "output", "result", "final_answer":
		return true
	}
	return false
}

// resolve finds the schema that a local reference, such as #/$defs/item, names.
func (s *demoSample) resolve(ref string) json.RawMessage {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	schema := []byte(s.root)
	for _, step := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if step != "" {
			schema = jsonMember(schema, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
		}
	}
	return schema
}

func compactJSON(value json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return json.RawMessage(`null`)
	}
	return out.Bytes()
}

// demoJSONAnswer is text as the JSON answer that response_format asks for.
func demoJSONAnswer(t *demoTalk, text string, format *demoResponseFormat) (string, error) {
	switch format.Type {
	case "json_object":
		return `{"answer":` + string(appendJSONString(nil, text)) + `}`, nil
	case "json_schema":
		schema := format.JSONSchema.Schema
		if len(schema) == 0 {
			return "", invalidParam("response_format.json_schema.schema", "is missing")
		}
		if len(schema) > maxSampleBytes {
			return "", invalidParam("response_format.json_schema.schema", "is larger than the demo agent reads")
		}
		sample := demoSample{hints: demoHintsFrom(t.last), root: schema, all: true, answer: text}
		return string(sample.value("", schema, 0)), nil
	}
	return "", invalidParam("response_format.type", "must be text, json_object or json_schema")
}
