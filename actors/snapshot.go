package actors

import (
	"encoding/binary"
	"slices"
	"time"

	"agentzero/agent"
	"agentzero/store"
)

// A snapshot is the conversation that a session holds in memory, as it stood at
// one place of its journal. A revival reads it and the events behind it, instead
// of all that the conversation was made of. It is replaced when as much has been
// written behind it as it holds itself, so that it costs no more than that, and
// when the session leaves the memory.
//
// It is written in a form that is read without looking at each byte:
//
//	version, at, from, count, then for each message
//	flags, role, text, raw, turn, time, place, index
//	and of one that parts were taken from, their number, names, and what it was
//
// with numbers as varints and texts behind their lengths.

const (
	snapshotVersion = 2
	// minSnapshot is by how many bytes of events a journal has grown before a
	// running session writes a snapshot, restSnapshot before one that leaves the
	// memory does: fewer are read as quickly.
	minSnapshot  = 64 << 10
	restSnapshot = 16 << 10
)

// Flags of a message.
const (
	flagInterrupted = 1 << iota
	flagRaw
	flagItems
	flagGone
)

// snapshotMark tells of the latest snapshot, in the head.
type snapshotMark struct {
	At   uint64 `json:"at"`   // place of the last event that it holds
	From uint64 `json:"from"` // place of the first event that is read beside it
}

// snapshot writes the conversation as it stands after an append that ends at
// place, and remembers that it did.
func (s *session) snapshot(place uint64) []byte {
	s.snap = snapshotMark{At: place, From: s.unread(place + 1)}
	data := make([]byte, 0, s.bytes+len(s.items)*32+64)
	data = append(data, snapshotVersion)
	for _, n := range []uint64{s.snap.At, s.snap.From, uint64(len(s.items))} {
		data = binary.AppendUvarint(data, n)
	}
	for i := range s.items {
		item := &s.items[i]
		var flags byte
		if item.Interrupted {
			flags |= flagInterrupted
		}
		if item.Message.Raw != nil {
			flags |= flagRaw
		}
		if item.items {
			flags |= flagItems
		}
		if item.Original != nil {
			flags |= flagGone
		}
		data = append(data, flags)
		for _, text := range []string{item.Message.Role, item.Message.Text, string(item.Message.Raw), item.Turn} {
			data = append(binary.AppendUvarint(data, uint64(len(text))), text...)
		}
		data = binary.AppendVarint(data, item.At.UnixNano())
		data = binary.AppendUvarint(data, item.place)
		data = binary.AppendVarint(data, int64(item.Index))
		if item.Original != nil {
			data = appendGone(data, item)
		}
	}
	s.grown, s.snapSize = 0, len(data)
	return data
}

// unread is the place of the first event that is not settled, at most from: that
// of the oldest turn that has not ended.
func (s *session) unread(from uint64) uint64 {
	for _, t := range s.flight {
		if t.place > 0 {
			from = min(from, t.place)
		}
	}
	for _, place := range s.left {
		from = min(from, place)
	}
	return from
}

// parting is what a session that leaves the memory adds to the journal, if
// anything is worth it.
func (s *session) parting() (b store.Batch, ok bool) {
	if s.loading || s.state == nil || s.grown < restSnapshot || !s.kept || s.refusal != nil ||
		s.busy() || len(s.owed) > 0 || len(s.writing) > 0 {
		return b, false
	}
	b = store.Batch{After: s.last, Open: s.open(nil), Snapshot: s.snapshot(s.last)}
	b.Head = s.head(s.last)
	return b, true
}

// depart writes a snapshot before a session leaves the memory, and reports whether
// there is one to wait for.
func (s *session) depart(now bool) bool {
	b, ok := s.parting()
	if ok {
		s.append(b, nil, func(err error) any { return &departed{now, err} })
	}
	return ok
}

// leaveSnapshot writes one that nobody waits for.
func (s *session) leaveSnapshot() {
	if b, ok := s.parting(); ok {
		s.system.options.Journal.Append(s.entry.key.id(), s.epoch, b, func(error) {}) // without it more is read
	}
}

// restoreSnapshot takes a snapshot up. One that does not fit to the head, is damaged,
// or is of another version of this program, is left alone: then the events are read.
func (r *revival) restoreSnapshot(data []byte) {
	d := snapshotReader{data: data, text: string(data)}
	if d.byte() != snapshotVersion {
		return
	}
	snap := snapshotMark{At: d.uvarint(), From: d.uvarint()}
	if snap != r.head.Snapshot || snap.At > r.last {
		return
	}
	count := d.uvarint()
	if d.failed || count > uint64(len(data)) { // each takes some bytes
		return
	}
	items := make([]Item, count)
	size := 0
	for i := range items {
		item := &items[i]
		flags := d.byte()
		item.Message = agent.Message{Role: role(d.string()), Text: d.string()}
		if raw := d.string(); flags&flagRaw != 0 {
			item.Message.Raw = []byte(raw)
		}
		item.Turn, item.At = d.string(), time.Unix(0, d.varint())
		item.Interrupted, item.place = flags&flagInterrupted != 0, d.uvarint()
		item.items, item.Index = flags&flagItems != 0, int(d.varint())
		if flags&flagGone != 0 {
			d.gone(item)
		}
		if d.failed {
			return
		}
		size += item.bytes()
	}
	if d.failed || d.at < len(data) {
		return
	}
	r.items, r.state.bytes = items, size
	r.snap, r.snapSize = snap, len(data)
}

// appendGone writes what an answer was before parts were taken from it, and which.
func appendGone(data []byte, item *Item) []byte {
	data = binary.AppendUvarint(data, uint64(len(item.Gone)))
	for _, text := range append(slices.Clip(item.Gone), item.Original.Text, string(item.Original.Raw)) {
		data = append(binary.AppendUvarint(data, uint64(len(text))), text...)
	}
	return data
}

// gone reads what appendGone has written.
func (d *snapshotReader) gone(item *Item) {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.failed = true
	}
	for ; n > 0 && !d.failed; n-- {
		item.Gone = append(item.Gone, d.string())
	}
	item.Original = &agent.Message{Role: item.Message.Role, Text: d.string()}
	if raw := d.string(); raw != "" {
		item.Original.Raw = []byte(raw)
	}
}

// role gives the usual roles without holding the snapshot's bytes.
func role(text string) string {
	switch text {
	case "user":
		return "user"
	case "assistant":
		return "assistant"
	}
	return text
}

// snapshotReader takes a snapshot apart. Its texts share one string.
type snapshotReader struct {
	data   []byte
	text   string // the same bytes
	at     int
	failed bool
}

func (d *snapshotReader) byte() byte {
	if d.at >= len(d.data) {
		d.failed = true
		return 0
	}
	d.at++
	return d.data[d.at-1]
}

func (d *snapshotReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.data[d.at:])
	d.read(n)
	return v
}

func (d *snapshotReader) varint() int64 {
	v, n := binary.Varint(d.data[d.at:])
	d.read(n)
	return v
}

func (d *snapshotReader) read(n int) {
	if n <= 0 {
		d.failed = true
		return
	}
	d.at += n
}

func (d *snapshotReader) string() string {
	n := d.uvarint()
	if d.failed || n > uint64(len(d.data)-d.at) {
		d.failed = true
		return ""
	}
	start := d.at
	d.at += int(n)
	return d.text[start:d.at]
}
