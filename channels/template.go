package channels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strconv"
	"strings"
)

// Template is a text with placeholders that a request fills in:
//
//	{{/issue/title}}          the value at a JSON pointer (RFC 6901) of the body
//	{{/message|/text}}        the first of several that is there and not empty
//	{{header:X-Event}}        a header
//	{{text}}                  the text, in a prompt
//	{{body}}                  the whole body, as compact JSON
//
// A pointer that stands alone needs no braces. Strings are put in as they are,
// other values as JSON; what is missing or null is nothing. There are no
// conditions, loops or functions.
type Template struct {
	parts []part
}

// part is a literal, or the sources of a placeholder.
type part struct {
	literal string
	sources []source
}

// source is one alternative of a placeholder.
type source struct {
	name    string   // "text", "body" or "header"
	header  string   // of "header"
	pointer []string // where name is ""
}

const maxPlaceholders = 100

// ParseTemplate reads a template.
func ParseTemplate(text string) (*Template, error) {
	t := &Template{}
	if strings.HasPrefix(text, "/") && !strings.Contains(text, "{{") && !strings.ContainsAny(text, " \n") {
		text = "{{" + text + "}}"
	}
	for text != "" {
		before, rest, found := strings.Cut(text, "{{")
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
		}
		if !found {
			break
		}
		inside, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, errors.New("a placeholder {{ is not closed by }}")
		}
		p, err := parsePlaceholder(inside)
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, p)
		if len(t.parts) > 2*maxPlaceholders {
			return nil, fmt.Errorf("more than %d placeholders", maxPlaceholders)
		}
		text = after
	}
	return t, nil
}

func parsePlaceholder(text string) (part, error) {
	var p part
	for alternative := range strings.SplitSeq(text, "|") {
		alternative = strings.TrimSpace(alternative)
		header, isHeader := strings.CutPrefix(alternative, "header:")
		switch {
		case alternative == "text", alternative == "body":
			p.sources = append(p.sources, source{name: alternative})
		case isHeader && header != "":
			p.sources = append(p.sources, source{name: "header", header: header})
		case strings.HasPrefix(alternative, "/"):
			p.sources = append(p.sources, source{pointer: parsePointer(alternative)})
		default:
			return p, fmt.Errorf("the placeholder {{%s}} is none: want a JSON pointer such as {{/issue/title}}, {{header:NAME}}, {{text}} or {{body}}", alternative)
		}
	}
	return p, nil
}

func parsePointer(text string) []string {
	tokens := strings.Split(text[1:], "/")
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i := range tokens {
		tokens[i] = unescape.Replace(tokens[i])
	}
	return tokens
}

// expand fills the placeholders in. What grows past [MaxText] is cut short one
// byte past it, so that the caller sees that it is too long.
func (t *Template) expand(d *document) string {
	if len(t.parts) == 1 && t.parts[0].sources != nil {
		return t.parts[0].value(d)
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		text := p.literal
		if p.sources != nil {
			text = p.value(d)
		}
		b.WriteString(text[:min(len(text), MaxText+1)])
		if b.Len() > MaxText {
			break
		}
	}
	return b.String()
}

func (p *part) value(d *document) string {
	for i := range p.sources {
		if v := p.sources[i].value(d); v != "" {
			return v
		}
	}
	return ""
}

func (s *source) value(d *document) string {
	switch s.name {
	case "text":
		return d.text
	case "header":
		return d.request.Header.Get(s.header)
	case "body":
		return encode(d.root)
	default:
		return d.at(s.pointer...)
	}
}

// document is a request's body as a tree.
type document struct {
	request *Request
	root    any
	text    string
}

// readDocument reads JSON, or a form: of one with a field "payload" that JSON,
// else an object of its fields.
func readDocument(r *Request) (*document, error) {
	body := r.Body
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" && !looksLikeJSON(body) {
		form, err := url.ParseQuery(string(body))
		if err != nil || len(form) == 0 {
			return nil, &BodyError{"the body is not a form"}
		}
		if payload := form.Get("payload"); payload != "" {
			body = []byte(payload)
		} else {
			fields := make(map[string]any, len(form))
			for name, values := range form {
				fields[name] = values[0]
			}
			return &document{request: r, root: fields}, nil
		}
	}
	d := &document{request: r}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&d.root); err != nil {
		return nil, &BodyError{"the body is not JSON: " + jsonFault(err)}
	}
	if decoder.More() {
		return nil, &BodyError{"the body is more than one JSON value"}
	}
	return d, nil
}

// looksLikeJSON is for senders that call JSON a form, as curl -d does.
func looksLikeJSON(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] == '{'
}

func jsonFault(err error) string {
	if err.Error() == "EOF" {
		return "it is empty"
	}
	return err.Error()
}

// find returns the value at a path, or nil.
func (d *document) find(path ...string) any {
	v := d.root
	for _, name := range path {
		switch container := v.(type) {
		case map[string]any:
			v = container[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(container) || name != strconv.Itoa(i) {
				return nil
			}
			v = container[i]
		default:
			return nil
		}
	}
	return v
}

// at is the value at a path as text, "" where there is none.
func (d *document) at(path ...string) string { return encode(d.find(path...)) }

func (d *document) is(path ...string) bool { return d.find(path...) == true }

func (d *document) has(path ...string) bool { return d.find(path...) != nil }

func encode(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // it was JSON before
	return strings.TrimSuffix(b.String(), "\n")
}
