package responses

import (
	"regexp"
	"strconv"
	"strings"

	"agentzero/agent"
)

// Ref finds a response: the turn that it is, and where that is kept.
type Ref struct {
	Turn string // turn_ and 24 characters
	// Session and Place (see actors.Accepted) are "" and 0 for a response that is
	// not kept.
	Session string
	Place   uint64
}

const turnPrefix = "turn_"

// ID is the response's id: all of the Ref, so that no table is needed to find it.
func (r Ref) ID() string {
	id := "resp_" + strings.TrimPrefix(r.Turn, turnPrefix)
	if r.Session != "" {
		id += strconv.FormatUint(r.Place, 36) + "_" + r.Session
	}
	return id
}

var refForm = regexp.MustCompile(`^resp_([0-9a-z]{24})(?:([0-9a-z]{1,13})_(.{1,128}))?$`)

// ParseRef reads an id. ok is false for what no response can have.
func ParseRef(id string) (ref Ref, ok bool) {
	m := refForm.FindStringSubmatch(id)
	if m == nil {
		return Ref{}, false
	}
	ref = Ref{Turn: turnPrefix + m[1], Session: m[3]}
	if m[3] != "" {
		place, err := strconv.ParseUint(m[2], 36, 64)
		if err != nil || place == 0 {
			return Ref{}, false
		}
		ref.Place = place
	}
	return ref, true
}

// ItemRef finds an item: a message of a turn, or a part of it.
type ItemRef struct {
	Turn string
	// Index counts the turn's messages from 0; it is -1 for the answer.
	Index int
	// Part is that of an assistant's message (see agent.Message.Parts), else "".
	Part string

	kind string // the id's prefix
}

// ID is the item's id.
func (r ItemRef) ID() string {
	id := r.kind + "_" + strings.TrimPrefix(r.Turn, turnPrefix) + "o"
	if r.Index >= 0 {
		id = id[:len(id)-1] + "i" + strconv.Itoa(r.Index)
	}
	if n, call := strings.CutPrefix(r.Part, agent.PartCall); call {
		id += "c" + n
	}
	return id
}
