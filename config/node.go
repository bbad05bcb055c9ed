package config

import "strconv"

// nodeKind is the type a value was written as.
type nodeKind int

const (
	kindTable nodeKind = iota
	kindTableList
	kindList
	kindString
	kindInteger
	kindFloat
	kindBool
	kindDate
	// kindText is a value of the environment or of a flag: text that becomes
	// what its key wants.
	kindText
)

func (k nodeKind) String() string {
	return [...]string{"a table", "an array of tables", "a list", "a string", "an integer", "a float", "a boolean", "a date or time", "a value"}[k]
}

// position is a place in the file, both from 1; zero elsewhere.
type position struct{ line, column int }

// node is a value as it was written, with its places.
type node struct {
	kind nodeKind
	name string // of a table's member
	// text is a string's content, or a scalar as it was written.
	text  string
	items []*node // of a list or a table, in their order

	nameAt  position
	valueAt position

	index map[string]*node // a table's items by name
}

// member returns the item of a table, or nil.
func (n *node) member(name string) *node { return n.index[name] }

// add makes a new member of a table.
func (n *node) add(name string, at position, kind nodeKind) *node {
	child := &node{kind: kind, name: name, nameAt: at, valueAt: at}
	if n.index == nil {
		n.index = make(map[string]*node)
	}
	n.index[name] = child
	n.items = append(n.items, child)
	return child
}

// given says what was written, for an error; hidden values are told by their
// type only.
func (n *node) given(hidden bool) string {
	const longest = 80
	switch {
	case n.kind <= kindList || hidden:
		return n.kind.String()
	case n.kind == kindString || n.kind == kindText:
		return strconv.Quote(shorten(n.text, longest))
	default:
		return shorten(n.text, longest)
	}
}

func shorten(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "..."
}
