package config

import (
	"maps"
	"slices"
	"strings"
)

// BearerTokenKey is the name of the fixed token in [Config.Origin] and
// [Settings]. It is no key of the file: only the environment sets it.
const BearerTokenKey = "gateway.bearer_token"

const (
	envPrefix           = "AGENTZERO_"
	fileVariable        = envPrefix + "CONFIG"
	dataDirVariable     = envPrefix + "DATA_DIR"
	bearerTokenVariable = envPrefix + "GATEWAY_BEARER_TOKEN"
)

// readEnviron takes the values of the environment. Other programs may use the
// prefix (container platforms make AGENTZERO_PORT from a service's name), but
// two underscores are ours: a variable with them that names no key is a fault.
func (l *loader) readEnviron() {
	for _, variable := range slices.Sorted(maps.Keys(l.environ)) {
		rest, ours := strings.CutPrefix(variable, envPrefix)
		value := l.environ[variable]
		if !ours || variable == dataDirVariable && value == "" {
			continue
		}
		at := place{Origin: Origin{Kind: FromEnv, Name: variable}}
		k, name := l.keyOfVariable(variable)
		switch {
		case k == nil && strings.Contains(rest, "__"):
			l.fail(at, "", "names no key"+l.didYouMean(func() string { return l.suggestVariable(variable) }))
		case k == nil:
		case k.table() != "" && nameFault(k.table(), name) != "":
			l.fail(at, joinKey([]string{k.table(), name}), nameFault(k.table(), name))
		default:
			l.give(k, name, &node{kind: kindText, text: value}, at)
		}
	}
}

// namedVariable takes a variable apart that sets a key of a [TABLE.NAME].
func namedVariable(variable string) (table, name, member string, ok bool) {
	for _, table := range namedTables {
		if rest, found := strings.CutPrefix(variable, envPrefix+strings.ToUpper(table)+"__"); found {
			name, member, ok = cutLast(rest, "__")
			return table, strings.ToLower(name), member, ok
		}
	}
	return "", "", "", false
}

// keyOfVariable returns the key that a variable sets, and the NAME in it.
func (l *loader) keyOfVariable(variable string) (*key, string) {
	if table, name, member, ok := namedVariable(variable); ok {
		for _, k := range l.table.in(table + "." + anyName) {
			if strings.ToUpper(k.name()) == member {
				return k, l.nameOfVariable(table, name)
			}
		}
		return nil, ""
	}
	for i := range l.table.keys {
		if k := &l.table.keys[i]; k.table() == "" && k.env() == variable {
			return k, ""
		}
	}
	return nil, ""
}

// nameOfVariable finds the provider or channel of the file that a variable means:
// a variable's name has no dashes, so my_server may be my-server.
func (l *loader) nameOfVariable(table, name string) string {
	if _, ok := l.mentions[mention{table, name}]; ok {
		return name
	}
	var dashed []string
	for known := range l.mentions {
		if known.table == table && strings.ReplaceAll(known.name, "-", "_") == name {
			dashed = append(dashed, known.name)
		}
	}
	if len(dashed) == 1 {
		return dashed[0]
	}
	return name
}

// suggestVariable returns the variable that was meant by an unknown one, or "".
func (l *loader) suggestVariable(variable string) string {
	table, name, _, named := namedVariable(variable)
	var candidates []string // without the prefix, which all share
	for i := range l.table.keys {
		k := &l.table.keys[i]
		path := k.path
		if k.table() != "" {
			if !named || k.table() != table {
				continue
			}
			path = k.under(name)
		}
		candidates = append(candidates, strings.TrimPrefix(envName(path), envPrefix))
	}
	near := closest(strings.TrimPrefix(variable, envPrefix), candidates)
	if near == "" {
		return ""
	}
	return envPrefix + near
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// readFlags takes the values of the command line.
func (l *loader) readFlags() {
	overrides := l.options.Overrides
	if l.options.DataDir != "" {
		overrides = append([]Override{{Key: "data_dir", Value: l.options.DataDir, Flag: "--data-dir"}}, overrides...)
	}
	for _, o := range overrides {
		at := place{Origin: Origin{Kind: FromFlag, Name: o.Flag}}
		path := strings.Split(o.Key, ".")
		k, name := l.table.find(path)
		switch {
		case k == nil:
			l.fail(at, o.Key, "unknown key"+didYouMean(l.table.suggest(path)))
		case k.table() != "" && nameFault(k.table(), name) != "":
			l.fail(at, o.Key, nameFault(k.table(), name))
		default:
			l.give(k, name, &node{kind: kindText, text: o.Value}, at)
		}
	}
}
