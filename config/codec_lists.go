package config

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// listOf is a list of what the item codec reads; in the environment and in
// flags its items are separated by commas. The result is never nil.
func listOf[T any](item codec[T]) codec[[]T] {
	want := "a list, each item " + item.want
	return codec[[]T]{
		want: want,
		decode: func(n *node, from source) ([]T, []problem) {
			nodes, ok := n.list()
			if !ok {
				return nil, []problem{unwanted(n, false, want)}
			}
			list := make([]T, 0, len(nodes))
			var problems []problem
			for _, itemNode := range nodes {
				v, wrong := item.decode(itemNode, from)
				list = append(list, v)
				problems = append(problems, wrong...)
			}
			return list, problems
		},
		encode: func(list []T) string {
			items := make([]string, len(list))
			for i, v := range list {
				items[i] = item.encode(v)
			}
			return "[" + strings.Join(items, ", ") + "]"
		},
		plain: func(list []T) any {
			items := make([]any, len(list))
			for i, v := range list {
				items[i] = item.plain(v)
			}
			return items
		},
	}
}

func (n *node) list() ([]*node, bool) {
	switch n.kind {
	case kindList:
		return n.items, true
	case kindText:
		return n.split(), true
	}
	return nil, false
}

// split cuts a text at its commas, without the spaces around, and without
// empty items.
func (n *node) split() []*node {
	var items []*node
	for item := range strings.SplitSeq(n.text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, &node{kind: kindText, text: item})
		}
	}
	return items
}

// headers is a table of request headers, each value a secret or a reference to
// one; in the environment it is NAME=VALUE, separated by commas. The result is
// never nil.
func headers() codec[map[string]Secret] {
	const want = "a table of header names and strings"
	value := secret()
	return codec[map[string]Secret]{
		want:   want,
		hidden: true,
		decode: func(n *node, from source) (map[string]Secret, []problem) {
			nodes, ok := n.headerNodes()
			if !ok {
				return nil, []problem{unwanted(n, true, want)}
			}
			all := make(map[string]Secret, len(nodes))
			seen := make(map[string]bool, len(nodes))
			var problems []problem
			for _, header := range nodes {
				canonical := http.CanonicalHeaderKey(header.name)
				if fault := headerFault(header.name, seen[canonical]); fault != "" {
					problems = append(problems, problem{at: header.nameAt, text: "header " + quote(shorten(header.name, 80)) + " " + fault})
					continue
				}
				seen[canonical] = true
				v, wrong := value.decode(header, from)
				for i := range wrong {
					wrong[i].text = "header " + quote(header.name) + ": " + wrong[i].text
				}
				problems = append(problems, wrong...)
				all[header.name] = v
			}
			return all, problems
		},
		encode: func(all map[string]Secret) string {
			var items []string
			for _, name := range slices.Sorted(maps.Keys(all)) {
				items = append(items, quoteKey(name)+" = "+value.encode(all[name]))
			}
			if items == nil {
				return "{}"
			}
			return "{ " + strings.Join(items, ", ") + " }"
		},
		plain: func(all map[string]Secret) any { return all },
	}
}

func (n *node) headerNodes() ([]*node, bool) {
	switch n.kind {
	case kindTable:
		return n.items, true
	case kindText:
		items := n.split()
		for _, item := range items {
			name, value, ok := strings.Cut(item.text, "=")
			if !ok {
				return nil, false
			}
			item.name, item.text = strings.TrimSpace(name), strings.TrimSpace(value)
		}
		return items, true
	}
	return nil, false
}

// headerFault says why a header cannot be set, or "".
func headerFault(name string, seen bool) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isTokenRune(r) }) {
		return "is not a name of a header"
	}
	switch strings.ToLower(name) {
	case "connection", "content-length", "transfer-encoding":
		return "belongs to the connection and cannot be set"
	}
	if seen {
		return "is given twice"
	}
	return ""
}

// isTokenRune tells what a header's name is made of (RFC 9110, 5.6.2).
func isTokenRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
