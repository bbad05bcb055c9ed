package transport

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"agentzero/actors"
)

// frames puts events in the form of one kind of stream. It belongs to one
// goroutine.
type frames interface {
	// append adds an event to dst, and tells when it is the stream's last.
	append(dst []byte, e *actors.Event) (out []byte, last bool)
	// fail adds an error that ends the stream.
	fail(dst []byte, e *Error) []byte
}

// keepAlive is a comment of server-sent events. No empty line follows it: some
// clients take one for the end of an event, though the event is empty.
const keepAlive = ": keep-alive\n"

func trimTurn(turn string) string { return strings.TrimPrefix(turn, "turn_") }

// chunkFrames writes OpenAI's chat.completion.chunk objects. What is the same in
// all of them is made once; a delta is then three copies.
type chunkFrames struct {
	epoch string // "" writes no ids
	head  []byte // up to the chunk's own members
	usage bool
}

func newChunkFrames(started *actors.Started, ids, usage bool) *chunkFrames {
	f := &chunkFrames{usage: usage}
	if ids {
		f.epoch = started.Events.Epoch()
	}
	f.head = append(f.head, `data: {"id":"`...)
	f.head = append(f.head, completionID(started)...)
	f.head = append(f.head, `","object":"chat.completion.chunk","created":`...)
	f.head = strconv.AppendInt(f.head, time.Now().Unix(), 10)
	f.head = append(f.head, ',')
	return f
}

func (f *chunkFrames) append(dst []byte, e *actors.Event) ([]byte, bool) {
	switch e.Kind {
	case actors.EventDelta:
		dst = appendEventID(dst, f.epoch, e.Seq)
		dst = append(dst, f.head...)
		dst = append(dst, e.Data...)
		return append(dst, "}\n\n"...), false
	case actors.EventCompleted:
		return f.end(dst, e), true
	case actors.EventFailed, actors.EventInterrupted:
		dst = appendEventID(dst, f.epoch, e.Seq)
		return f.fail(dst, endError(e)), true
	}
	return dst, false
}

// end writes the usage, where it was asked for, and the mark of a whole answer.
func (f *chunkFrames) end(dst []byte, e *actors.Event) []byte {
	var t actors.TurnEvent
	if f.usage && json.Unmarshal(e.Data, &t) == nil && t.Usage != nil {
		dst = append(dst, f.head...)
		dst = append(dst, `"model":`...)
		dst = appendJSONString(dst, t.Model)
		dst = append(dst, `,"choices":[],"usage":`...)
		dst = append(dst, t.Usage...)
		dst = append(dst, "}\n\n"...)
	}
	dst = appendEventID(dst, f.epoch, e.Seq)
	return append(dst, "data: [DONE]\n\n"...)
}

func (f *chunkFrames) fail(dst []byte, e *Error) []byte {
	dst = append(dst, "data: "...)
	dst = e.appendJSON(dst)
	return append(dst, "\n\n"...)
}

func appendEventID(dst []byte, epoch string, seq uint64) []byte {
	if epoch == "" {
		return dst
	}
	dst = append(dst, "id: "...)
	dst = append(dst, epoch...)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, '\n')
}

// eventFrames writes the events of a session for EventSource clients.
type eventFrames struct {
	epoch string
	once  string // the turn whose end is the stream's, or ""
}

func (f *eventFrames) append(dst []byte, e *actors.Event) ([]byte, bool) {
	if e.Kind == actors.EventCompletion {
		return dst, false
	}
	dst = appendEventID(dst, f.epoch, e.Seq)
	dst = append(dst, "event: "...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, "\ndata: "...)
	switch e.Kind {
	case actors.EventDelta:
		dst = appendDelta(dst, e)
	case actors.EventFailed, actors.EventInterrupted:
		dst = appendEnd(dst, e)
	default:
		dst = append(dst, e.Data...)
	}
	dst = append(dst, "\n\n"...)
	return dst, f.once != "" && e.Kind.Ends() && e.Kind != actors.EventMerged && e.Turn == f.once
}

// appendDelta writes a delta: its text, and the whole chunk where it is more.
func appendDelta(dst []byte, e *actors.Event) []byte {
	dst = append(dst, `{"turn_id":"`...)
	dst = append(dst, e.Turn...)
	dst = append(dst, `","delta":`...)
	if text := e.Content(); text != nil {
		dst = append(dst, text...)
	} else {
		dst = append(dst, `"","chunk":{`...)
		dst = append(dst, e.Data...)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendEnd writes the end of a turn that was not answered, with the error as it
// stands everywhere on the wire.
func appendEnd(dst []byte, e *actors.Event) []byte {
	dst = append(dst, `{"turn_id":"`...)
	dst = append(dst, e.Turn...)
	dst = append(dst, `",`...)
	if e.Kind == actors.EventInterrupted {
		var t actors.TurnEvent
		_ = json.Unmarshal(e.Data, &t) // the gateway's own
		dst = append(dst, `"reason":`...)
		dst = appendJSONString(dst, t.Reason)
		dst = append(dst, ',')
	}
	inner := bytes.TrimPrefix(endError(e).appendJSON(nil), []byte("{"))
	return append(dst, inner...)
}

func (f *eventFrames) fail(dst []byte, e *Error) []byte {
	name := "error"
	if e.Code == CodeGap {
		name = "gap"
	}
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: "...)
	dst = e.appendJSON(dst)
	return append(dst, "\n\n"...)
}
