package agent

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Limits on what an answer may hold besides text, far above what any does, so
// that a broken upstream costs no time.
const (
	maxAssembledFields = 256 // members of one object
	maxAssembledCalls  = 1024
	maxAssembledDepth  = 16 // objects within objects that are merged
	// fieldCost is what one field or call takes besides its own bytes.
	fieldCost = 128
)

// field is a member of a message under construction.
type field struct {
	name    []byte // the literal's inside
	kind    fieldKind
	data    []byte    // text: literals' insides, joined; list: elements, joined; other: the value
	members fieldList // object
}

type fieldKind byte

const (
	otherField fieldKind = iota
	textField
	listField
	objectField
)

type fieldList []field

// callFields is a tool call under construction.
type callFields struct {
	index   int
	members fieldList
}

// addField takes a member of the delta that is not its text.
func (a *Assembler) addField(name, value []byte) {
	if string(name) == "tool_calls" {
		for elements := elementsOf(value); elements.next(); {
			a.addCall(elements.value)
		}
		return
	}
	a.merge(&a.fields, name, value, 0)
}

// addCall merges a piece of a tool call into the call of the same index. A
// piece without an index belongs to the last call, unless it has an id of its
// own. Some servers number each of several calls 0: there a new id with a name
// begins another call.
func (a *Assembler) addCall(piece []byte) {
	id := jsonMember(piece, "id")
	named := isString(jsonMember(jsonMember(piece, "function"), "name"))
	index, err := strconv.Atoi(string(jsonMember(piece, "index")))
	at := -1
	for i := len(a.calls) - 1; i >= 0 && at < 0; i-- {
		if a.calls[i].index == index || err != nil {
			at = i
		}
	}
	if at >= 0 && named && isString(id) && !isEmpty(id) {
		if known := a.calls[at].members.find([]byte("id")); known != nil && string(known.data) != string(id[1:len(id)-1]) {
			at = -1
		}
	}
	if at < 0 {
		if len(a.calls) >= maxAssembledCalls || !a.reserve(fieldCost) {
			a.cut = true
			return
		}
		a.calls = append(a.calls, callFields{index: index})
		at = len(a.calls) - 1
	}
	for members := membersOf(piece); members.next(); {
		if string(members.name) != "index" {
			a.merge(&a.calls[at].members, members.name, members.value, 0)
		}
	}
}

// merge adds a member to list: strings are appended, arrays concatenated,
// objects merged, all others replaced. What names a thing is sent once, or the
// same again with each piece, and is not doubled then.
func (a *Assembler) merge(list *fieldList, name, value []byte, depth int) {
	kind := kindOf(value)
	if isEmpty(value) && (kind == otherField || list.find(name) != nil) {
		return
	}
	if kind == objectField && depth >= maxAssembledDepth {
		kind = otherField
	}
	if (kind == listField || kind == otherField) && !json.Valid(value) {
		return
	}
	f := list.find(name)
	if f == nil {
		if len(*list) >= maxAssembledFields || !a.reserve(fieldCost+len(name)) {
			a.cut = true
			return
		}
		*list = append(*list, field{name: append([]byte(nil), name...), kind: kind})
		f = &(*list)[len(*list)-1]
	}
	if f.kind != kind {
		*f = field{name: f.name, kind: kind}
	}
	if kind == objectField {
		for members := membersOf(value); members.next(); {
			a.merge(&f.members, members.name, members.value, depth+1)
		}
		return
	}
	inside := value
	if kind != otherField {
		inside = value[1 : len(value)-1]
	}
	if kind == listField {
		inside = bytes.TrimSpace(inside) // of "[ ]" there is nothing to join
	}
	same := string(f.data) == string(inside)
	switch {
	case len(inside) == 0, same && (kind == otherField || isIdentity(name)), !a.reserve(len(inside)):
	case kind == otherField, kind == textField && string(name) == "type":
		f.data = append(f.data[:0], inside...)
	case kind == listField && len(f.data) > 0:
		f.data = append(append(f.data, ','), inside...)
	default:
		f.data = append(f.data, inside...)
	}
}

// isIdentity tells whether a member names what it is in.
func isIdentity(name []byte) bool {
	switch string(name) {
	case "id", "name", "type":
		return true
	}
	return false
}

func kindOf(value []byte) fieldKind {
	switch value[0] {
	case '"':
		return textField
	case '[':
		return listField
	case '{':
		return objectField
	}
	return otherField
}

func (l fieldList) find(name []byte) *field {
	for i := range l {
		if string(l[i].name) == string(name) {
			return &l[i]
		}
	}
	return nil
}

// append writes the field as a member of a JSON object.
func (f *field) append(buf []byte) []byte {
	buf = appendJSONString(buf, unescape(f.name))
	buf = append(buf, ':')
	switch f.kind {
	case textField:
		return appendJSONString(buf, unescape(f.data))
	case listField:
		buf = append(buf, '[')
		buf = append(buf, f.data...)
		return append(buf, ']')
	case objectField:
		return f.members.appendObject(buf)
	}
	return append(buf, f.data...)
}

func (l fieldList) appendObject(buf []byte) []byte {
	buf = append(buf, '{')
	for i := range l {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = l[i].append(buf)
	}
	return append(buf, '}')
}

// appendCalls writes the tool_calls member, if there are any. The type that some
// servers leave out is put in: a conversation that holds the call needs it.
func appendCalls(buf []byte, calls []callFields) []byte {
	for i := range calls {
		if i == 0 {
			buf = append(buf, `,"tool_calls":[`...)
		} else {
			buf = append(buf, ',')
		}
		buf = calls[i].members.appendObject(buf)
		if len(calls[i].members) > 0 && calls[i].members.find([]byte("type")) == nil {
			buf = append(buf[:len(buf)-1], `,"type":"function"}`...)
		}
	}
	if len(calls) > 0 {
		buf = append(buf, ']')
	}
	return buf
}
