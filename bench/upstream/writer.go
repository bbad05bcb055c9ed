package upstream

import (
	"fmt"
	"strconv"
	"time"

	"agentzero/bench/internal/stamp"
)

// writer makes the bytes of a stream. All deltas of a length are alike but for
// their id and their time, so each is a template's copy. Its results are valid
// until its next call.
type writer struct {
	templates map[template][]byte
	buf       []byte
}

// template is what makes deltas different in length.
type template struct {
	first, chunked bool
	bytes          int
}

func newWriter() writer { return writer{templates: make(map[template][]byte)} }

const (
	idAt     = len(`data: {"id":"chatcmpl-`) // in an event
	idDigits = 12
	event    = `data: {"id":"chatcmpl-%0*d","object":"chat.completion.chunk","created":%d,"model":"mock","choices":[%s]%s}` + "\n\n"
)

func (w *writer) head(a *answer) []byte {
	version, more := "1.1", "Transfer-Encoding: chunked\r\n"
	if !a.chunked {
		more = ""
	}
	if a.close {
		more += "Connection: close\r\n"
	}
	return fmt.Appendf(w.buf[:0], "HTTP/%s 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n%s\r\n", version, more)
}

// delta is the answer's present delta, with the time of this moment.
func (w *writer) delta(a *answer) []byte {
	key := template{first: a.sent == 1, chunked: a.chunked, bytes: max(a.behaviour.Bytes, stamp.Len+1)}
	t, ok := w.templates[key]
	if !ok {
		t = key.make()
		if len(w.templates) < 64 { // each kind of request could bring a length of its own
			w.templates[key] = t
		}
	}
	w.buf = grown(w.buf, len(t))
	copy(w.buf, t)
	body := w.buf
	if a.chunked {
		body = body[chunkHead:]
	}
	for i, id := idAt+idDigits-1, a.id; i >= idAt; i-- {
		body[i] = byte('0' + id%10)
		id /= 10
	}
	at := len(t) - key.tail()
	stamp.Put(w.buf[at:], time.Now().UnixNano())
	return w.buf
}

// chunkHead is the length of a chunk's size line, which is filled up with zeros.
const chunkHead = 6 + 2

const deltaEnd = `"},"finish_reason":null}`

func (k template) make() []byte {
	text := make([]byte, k.bytes)
	for i := range text {
		text[i] = ' '
	}
	role := ""
	if k.first {
		role = `"role":"assistant",`
	}
	return k.frame(fmt.Appendf(nil, event, idDigits, 0, time.Now().Unix(),
		`{"index":0,"delta":{`+role+`"content":"`+string(text)+deltaEnd, ""))
}

// tail is the distance of a delta's text from the end.
func (k template) tail() int {
	n := k.bytes + len(deltaEnd) + len("]}\n\n")
	if k.chunked {
		n += len("\r\n")
	}
	return n
}

func (k template) frame(event []byte) []byte {
	if !k.chunked {
		return event
	}
	return fmt.Appendf(nil, "%06x\r\n%s\r\n", len(event), event)
}

// last is the end of an answer: its finish reason, its usage and [DONE].
func (w *writer) last(a *answer) []byte {
	created := time.Now().Unix()
	b := fmt.Appendf(nil, event, idDigits, a.id, created, `{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	if a.usage {
		b = fmt.Appendf(b, event, idDigits, a.id, created, "", `,"usage":`+a.usageJSON())
	}
	b = append(b, "data: [DONE]\n\n"...)
	if !a.chunked {
		return b
	}
	w.buf = append(strconv.AppendInt(w.buf[:0], int64(len(b)), 16), "\r\n"...)
	w.buf = append(w.buf, b...)
	w.buf = append(w.buf, "\r\n0\r\n\r\n"...)
	return w.buf
}
