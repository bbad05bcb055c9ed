package config

import (
	"bytes"
	"errors"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseDocument reads TOML into a tree that knows the place of everything.
func parseDocument(data []byte) (*node, *problem) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors put a byte order mark

	// The decoder knows all rules of TOML, among them those over several
	// expressions (duplicates); the syntax tree knows the places.
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, syntaxProblem(err)
	}
	d := documentReader{lines: lineStarts(data), data: data}
	d.parser.Reset(data)
	root := &node{kind: kindTable}
	table := root
	for d.parser.NextExpression() {
		switch e := d.parser.Expression(); e.Kind {
		case unstable.Table:
			table = d.descend(root, e.Key(), kindTable)
		case unstable.ArrayTable:
			table = d.descend(root, e.Key(), kindTableList)
		case unstable.KeyValue:
			d.assign(table, e)
		}
	}
	if err := d.parser.Error(); err != nil {
		return nil, syntaxProblem(err)
	}
	return root, nil
}

func syntaxProblem(err error) *problem {
	p := &problem{text: "not valid TOML: " + oneLine(err.Error())}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		p.at = position{line, column}
		p.text = "not valid TOML: " + oneLine(shorten(strings.TrimPrefix(decode.Error(), "toml: "), maxKeyShown))
	}
	return p
}

// documentReader turns the parser's expressions into nodes.
type documentReader struct {
	parser unstable.Parser
	data   []byte
	lines  []int
}

// descend returns the table that a dotted key names, made where it is missing.
func (d *documentReader) descend(table *node, key unstable.Iterator, last nodeKind) *node {
	for key.Next() {
		part := key.Node()
		child := table.member(string(part.Data))
		if child == nil {
			kind := kindTable
			if key.IsLast() {
				kind = last
			}
			child = table.add(string(part.Data), d.at(part.Raw), kind)
		}
		table = child
	}
	return table
}

// assign adds the value of a `key = value` to the table.
func (d *documentReader) assign(table *node, e *unstable.Node) {
	key := e.Key()
	var last *unstable.Node
	for key.Next() {
		last = key.Node()
		if key.IsLast() {
			break
		}
		child := table.member(string(last.Data))
		if child == nil {
			child = table.add(string(last.Data), d.at(last.Raw), kindTable)
		}
		table = child
	}
	value := table.add(string(last.Data), d.at(last.Raw), kindTable)
	value.valueAt = d.position(d.valueOffset(last))
	d.fill(value, e.Value())
}

// valueOffset finds where the value after the key's last part starts; the
// parser gives no place to lists.
func (d *documentReader) valueOffset(last *unstable.Node) int {
	offset := int(last.Raw.Offset + last.Raw.Length)
	for offset < len(d.data) && bytes.IndexByte([]byte(" \t="), d.data[offset]) >= 0 {
		offset++
	}
	return offset
}

func (d *documentReader) fill(n *node, value *unstable.Node) {
	n.text = string(value.Data)
	switch value.Kind {
	case unstable.String:
		n.kind = kindString
	case unstable.Integer:
		n.kind = kindInteger
	case unstable.Float:
		n.kind = kindFloat
	case unstable.Bool:
		n.kind = kindBool
	case unstable.Array:
		n.kind = kindList
		for items := value.Children(); items.Next(); {
			item := &node{nameAt: n.nameAt, valueAt: n.valueAt}
			if raw := items.Node().Raw; raw.Length > 0 {
				item.valueAt = d.at(raw)
			}
			d.fill(item, items.Node())
			n.items = append(n.items, item)
		}
	case unstable.InlineTable:
		n.kind = kindTable
		for members := value.Children(); members.Next(); {
			d.assign(n, members.Node())
		}
	default:
		n.kind = kindDate
	}
}

func (d *documentReader) at(r unstable.Range) position { return d.position(int(r.Offset)) }

func (d *documentReader) position(offset int) position {
	line := sort.SearchInts(d.lines, offset+1) // the first line that starts after offset
	return position{line: line, column: offset - d.lines[line-1] + 1}
}

// lineStarts returns the offset of each line.
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}
