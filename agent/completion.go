package agent

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// completionDeltas tells a whole chat.completion as a stream would: a delta with
// all of the answer, and one with the finish reasons. Their Chunks are nil where
// there are no choices. completion must be valid JSON on one line.
func completionDeltas(completion []byte) (content, finish Delta, result Result) {
	var head, choices, usage []byte
	for s := membersOf(completion); s.next(); {
		switch string(s.name) {
		case "id", "object", "created":
		case "usage":
			usage = s.value
		case "choices":
			choices = s.value
		default:
			if string(s.name) == "model" && isString(s.value) {
				result.Model = unescape(s.value[1 : len(s.value)-1])
			}
			head = appendMember(head, s.name, s.value)
		}
	}
	if usage != nil && string(usage) != "null" {
		result.Usage = json.RawMessage(bytes.Clone(usage))
	}
	if len(head) > 0 {
		head = append(head, ',')
	}
	head = append(head, `"choices":[`...)
	w := wholeChoices{content: bytes.Clone(head), finish: head}
	for s := elementsOf(choices); s.next(); {
		w.add(s.value)
	}
	if w.count == 0 {
		return content, finish, result
	}
	w.content = append(w.content, ']')
	content.Chunk = w.content
	if w.text.end > 0 {
		content.Content = w.text.in(w.content)
	}
	finish.Chunk = append(w.finish, ']')
	result.FinishReason = w.reason
	return content, finish, result
}

// wholeChoices writes the choices of a completion as those of two chunks.
type wholeChoices struct {
	content, finish []byte
	count           int
	text            extent // choice 0's, in content
	reason          string // choice 0's
}

func (w *wholeChoices) add(choice []byte) {
	index, reason := []byte("0"), []byte("null")
	var message, others []byte
	for s := membersOf(choice); s.next(); {
		switch string(s.name) {
		case "index":
			index = s.value
		case "finish_reason":
			reason = s.value
		case "message":
			message = s.value
		default:
			others = appendMember(others, s.name, s.value)
		}
	}
	if w.count > 0 {
		w.content = append(w.content, ',')
		w.finish = append(w.finish, ',')
	}
	w.count++
	first := string(index) == "0"
	w.content = append(append(w.content, `{"index":`...), index...)
	w.content = append(w.content, `,"delta":{`...)
	w.addMessage(message, first)
	w.content = append(w.content, '}')
	if len(others) > 0 {
		w.content = append(append(w.content, ','), others...)
	}
	w.content = append(w.content, `,"finish_reason":null}`...)
	w.finish = append(append(w.finish, `{"index":`...), index...)
	w.finish = append(append(w.finish, `,"delta":{},"finish_reason":`...), reason...)
	w.finish = append(w.finish, '}')
	if first && isString(reason) {
		w.reason = unescape(reason[1 : len(reason)-1])
	}
}

// addMessage writes the members of a message as those of a delta, and notes
// where the text of the first choice stands.
func (w *wholeChoices) addMessage(message []byte, first bool) {
	comma := false
	for s := membersOf(message); s.next(); {
		if comma {
			w.content = append(w.content, ',')
		}
		comma = true
		switch string(s.name) {
		case "tool_calls":
			w.content = appendNumbered(append(w.content, `"tool_calls":`...), s.value)
			continue
		case "content":
			if first && isString(s.value) && !isEmpty(s.value) {
				start := len(w.content) + len(`"content":`)
				w.text = extent{start, start + len(s.value)}
			}
		}
		w.content = append(append(append(w.content, '"'), s.name...), `":`...)
		w.content = append(w.content, s.value...)
	}
}

// appendNumbered writes a message's tool calls as a delta's, which have an index
// each.
func appendNumbered(buf, calls []byte) []byte {
	if len(calls) == 0 || calls[0] != '[' {
		return append(buf, calls...)
	}
	buf = append(buf, '[')
	n := 0
	for s := elementsOf(calls); s.next(); n++ {
		if n > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"index":`...)
		buf = strconv.AppendInt(buf, int64(n), 10)
		for m := membersOf(s.value); m.next(); {
			if string(m.name) != "index" {
				buf = appendMember(buf, m.name, m.value)
			}
		}
		buf = append(buf, '}')
	}
	return append(buf, ']')
}

// appendMember writes a member, after a comma unless buf is empty. name is a
// literal's inside.
func appendMember(buf, name, value []byte) []byte {
	if len(buf) > 0 {
		buf = append(buf, ',')
	}
	buf = append(append(append(buf, '"'), name...), `":`...)
	return append(buf, value...)
}
