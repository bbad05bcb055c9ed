package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"agentzero/agent"
)

// The kinds of journal events, and their data.
const (
	journalCreated  = "session.created" // the metadata, or null
	journalAccepted = "turn.accepted"   // a StartTurn
	journalStarted  = "turn.started"    // a startRecord
	journalSaid     = "turn.said"       // a saidRecord: what an answer has grown by
	journalEnded    = "turn.ended"      // an endRecord
)

// acceptRecord is the data of journalAccepted.
type acceptRecord struct {
	StartTurn
	// LogSeq is the log's last number then.
	LogSeq uint64 `json:"log_seq"`
}

// startRecord is the data of journalStarted.
type startRecord struct {
	Seq uint64 `json:"seq"` // of EventStarted
}

// endRecord is the data of journalEnded.
type endRecord struct {
	Seq  uint64      `json:"seq"` // of the event that ends the turn
	Fate string      `json:"fate"`
	Said *saidRecord `json:"said,omitempty"` // what no journalSaid has told before
	// Answer is what was said in all, where its deltas could not all be written.
	Answer *agent.Message `json:"answer,omitempty"`
	// Answered tells that what was said stands in the conversation.
	Answered     bool            `json:"answered,omitempty"`
	Interrupted  bool            `json:"interrupted,omitempty"`
	FinishReason string          `json:"finish_reason,omitempty"`
	Model        string          `json:"model,omitempty"`
	Usage        json.RawMessage `json:"usage,omitempty"`
	Failure      *Failure        `json:"failure,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Into         string          `json:"into,omitempty"`
	IntoPlace    uint64          `json:"into_place,omitempty"` // of the acceptance of that turn
	// Ran tells that the model was called.
	Ran bool `json:"ran,omitempty"`
}

// saidRecord is a run of deltas as they stand in the log. One that only adds
// text is kept as this text, a JSON string, where the chunk around it is the one
// of the record; every other is kept whole, as an object.
type saidRecord struct {
	Seq  uint64            `json:"seq"` // of the first
	Head string            `json:"head,omitempty"`
	Tail string            `json:"tail,omitempty"`
	Said []json.RawMessage `json:"said"`
	// Skips tells where numbers are left out: between said[i-1] and said[i] there
	// are n events of other kinds.
	Skips map[int]uint64 `json:"skips,omitempty"`
}

// sayRecord puts deltas of one turn in a record; nil where there are none.
func sayRecord(deltas []Event) *saidRecord {
	if len(deltas) == 0 {
		return nil
	}
	r := &saidRecord{Seq: deltas[0].Seq, Said: make([]json.RawMessage, len(deltas))}
	// The first chunk often has a role beside its text, so the last sets the frame.
	var head, tail []byte
	for i := len(deltas) - 1; i >= 0 && len(head) == 0; i-- {
		head, tail = deltas[i].frame()
	}
	r.Head, r.Tail = string(head), string(tail)
	for i := range deltas {
		d := &deltas[i]
		if h, t := d.frame(); len(h) > 0 && bytes.Equal(h, head) && bytes.Equal(t, tail) {
			r.Said[i] = d.Content()
		} else {
			r.Said[i] = append(append([]byte{'{'}, d.Data...), '}')
		}
		if i > 0 && d.Seq != deltas[i-1].Seq+1 {
			if r.Skips == nil {
				r.Skips = make(map[int]uint64)
			}
			r.Skips[i] = d.Seq - deltas[i-1].Seq - 1
		}
	}
	return r
}

// frame is what stands around a delta's text, or nothing where it has none.
func (e *Event) frame() (head, tail []byte) {
	if e.contentLen == 0 {
		return nil, nil
	}
	return e.Data[:e.contentAt], e.Data[e.contentAt+e.contentLen:]
}

// MarshalJSON writes what encoding/json would, which takes longer to look at each
// delta than the delta's whole way through the session.
func (r *saidRecord) MarshalJSON() ([]byte, error) {
	frame, err := encode(struct {
		Seq   uint64         `json:"seq"`
		Head  string         `json:"head,omitempty"`
		Tail  string         `json:"tail,omitempty"`
		Skips map[int]uint64 `json:"skips,omitempty"`
	}{r.Seq, r.Head, r.Tail, r.Skips})
	if err != nil {
		return nil, err
	}
	size := len(frame) + 16
	for _, said := range r.Said {
		size += len(said) + 1
	}
	data := append(make([]byte, 0, size), frame[:len(frame)-1]...)
	data = append(data, `,"said":[`...)
	for i, said := range r.Said {
		if i > 0 {
			data = append(data, ',')
		}
		if said[0] == '{' && !json.Valid(said) { // lest it be taken for two
			return nil, errRecord
		}
		data = append(data, said...)
	}
	return append(data, "]}"...), nil
}

var errRecord = errors.New("a record of deltas that holds something else")

// last is the number of the newest delta.
func (r *saidRecord) last() uint64 {
	last := r.Seq + uint64(len(r.Said)) - 1
	for _, n := range r.Skips {
		last += n
	}
	return last
}

// each gives the deltas back, with their numbers, one after the other in p,
// whose data is valid during the call. turn is whose they are.
func (r *saidRecord) each(p *pending, turn string, f func(p *pending, seq uint64)) error {
	seq := r.Seq
	for i, said := range r.Said {
		seq += r.Skips[i]
		p.kind, p.turn = EventDelta, turn
		switch said = bytes.TrimSpace(said); {
		case len(said) >= 2 && said[0] == '"':
			p.contentAt, p.contentLen = uint32(len(r.Head)), uint32(len(said))
			p.data = append(append(append(p.data[:0], r.Head...), said...), r.Tail...)
		case len(said) >= 2 && said[0] == '{':
			p.data = append(p.data[:0], said[1:len(said)-1]...)
			p.contentAt, p.contentLen = contentIn(p.data)
		default:
			return errRecord
		}
		f(p, seq)
		seq++
	}
	return nil
}

// contentIn finds the text that a whole chunk adds to the first choice.
func contentIn(chunk []byte) (at, length uint32) {
	var c struct {
		Choices []struct {
			Index int `json:"index"`
			Delta struct {
				Content json.RawMessage `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if json.Unmarshal(append(append([]byte{'{'}, chunk...), '}'), &c) != nil {
		return 0, 0
	}
	for _, choice := range c.Choices {
		text := choice.Delta.Content
		if choice.Index != 0 || len(text) <= 2 || text[0] != '"' {
			continue
		}
		if i := bytes.Index(chunk, text); i >= 0 {
			return uint32(i), uint32(len(text))
		}
	}
	return 0, 0
}

// hear adds a delta to the turn's answer.
func (t *turn) hear(p *pending) {
	d := agent.Delta{Chunk: p.data}
	if p.contentLen > 0 {
		d.Content = p.data[p.contentAt : p.contentAt+p.contentLen]
	}
	t.answer.Add(d)
}

// encode writes a record without the escapes that JSON needs in HTML only, so
// that what others gave us stays as it was.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decode[T any](data json.RawMessage) (v T, err error) {
	if err = json.Unmarshal(data, &v); err != nil {
		err = fmt.Errorf("%T: %w", v, err)
	}
	return v, err
}
