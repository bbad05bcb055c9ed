package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// anyName stands in a key's path for the NAME of [providers.NAME] and
// [channels.NAME].
const anyName = "NAME"

// namedTables hold tables whose names are free.
var namedTables = []string{providersTable, channelsTable}

func isNamedTable(name string) bool { return slices.Contains(namedTables, name) }

// namedTable is the table above a section of free name, or "".
func namedTable(section string) string {
	table, _ := strings.CutSuffix(section, "."+anyName)
	if table == section {
		return ""
	}
	return table
}

// key is one entry of the key table.
type key struct {
	// path is the dotted name, such as gateway.port or providers.NAME.kind.
	path string
	// doc is its meaning, in one or two sentences.
	doc string
	// want is what is allowed.
	want string
	// def is the default in TOML.
	def string
	// example replaces the default in the file of Template.
	example string
	// live values change on a reload without a restart.
	live bool
	// secret values may be written as a reference.
	secret bool

	reset  func(c *Config, name string)
	set    func(c *Config, name string, n *node, from source) []problem
	encode func(c *Config, name string) string
	plain  func(c *Config, name string) any
	equal  func(a, b *Config, name string) bool
}

// section is the path of the key's table, "" for the top level.
func (k *key) section() string {
	section, _ := splitLast(k.path)
	return section
}

// table is the named table that the key's section is of, or "".
func (k *key) table() string { return namedTable(k.section()) }

// name is the last part of the path.
func (k *key) name() string {
	_, name := splitLast(k.path)
	return name
}

// under is the key's path with the NAME of its table filled in.
func (k *key) under(name string) string {
	return strings.Replace(k.path, "."+anyName+".", "."+quoteKey(name)+".", 1)
}

// env is the variable that sets the key.
func (k *key) env() string { return envName(k.path) }

// envName is the variable of a dotted path.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "__"))
}

func splitLast(path string) (section, name string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// entry ties a key's place in the Config to its codec.
type entry[T any] struct {
	path string
	def  T
	codec[T]
	get func(c *Config, name string) T
	put func(c *Config, name string, v T)
}

func (e entry[T]) key(doc string) key {
	_, secret := any(e.def).(Secret)
	return key{
		path:   e.path,
		doc:    doc,
		want:   e.want,
		def:    e.codec.encode(e.def),
		secret: secret,
		reset:  func(c *Config, name string) { e.put(c, name, e.def) },
		set: func(c *Config, name string, n *node, from source) []problem {
			v, problems := e.decode(n, from)
			if len(problems) == 0 {
				e.put(c, name, v)
			}
			return problems
		},
		encode: func(c *Config, name string) string { return e.codec.encode(e.get(c, name)) },
		plain:  func(c *Config, name string) any { return e.codec.plain(e.get(c, name)) },
		equal: func(a, b *Config, name string) bool {
			return reflect.DeepEqual(e.get(a, name), e.get(b, name))
		},
	}
}

// define makes the key of a field of Config.
func define[T any](path string, c codec[T], def T, field func(*Config) *T, doc string) key {
	return entry[T]{
		path: path, codec: c, def: def,
		get: func(c *Config, _ string) T { return *field(c) },
		put: func(c *Config, _ string, v T) { *field(c) = v },
	}.key(doc)
}

// defineProvider makes the key of a field of each Provider.
func defineProvider[T any](name string, c codec[T], def T, field func(*Provider) *T, doc string) key {
	k := entry[T]{
		path: providersTable + "." + anyName + "." + name, codec: c, def: def,
		get: func(c *Config, provider string) T {
			p := c.Providers[provider]
			return *field(&p)
		},
		put: func(c *Config, provider string, v T) {
			p := c.Providers[provider]
			*field(&p) = v
			c.Providers[provider] = p
		},
	}.key(doc)
	k.live = true
	return k
}

// defineChannel makes the key of a field of each Channel.
func defineChannel[T any](name string, c codec[T], def T, field func(*Channel) *T, doc string) key {
	k := entry[T]{
		path: channelsTable + "." + anyName + "." + name, codec: c, def: def,
		get: func(c *Config, channel string) T {
			ch := c.Channels[channel]
			return *field(&ch)
		},
		put: func(c *Config, channel string, v T) {
			ch := c.Channels[channel]
			*field(&ch) = v
			c.Channels[channel] = ch
		},
	}.key(doc)
	k.live = true
	return k
}

// live marks keys that a reload can change.
func live(k key) key {
	k.live = true
	return k
}

// withExample sets what the file of Template shows.
func withExample(example string, k key) key {
	k.example = example
	return k
}

// keyTable is the table of all keys, with its index.
type keyTable struct {
	keys     []key
	byPath   map[string]*key
	sections []string // in the table's order, "" first
}

func newKeyTable() *keyTable {
	t := &keyTable{keys: allKeys()}
	t.byPath = make(map[string]*key, len(t.keys))
	for i := range t.keys {
		k := &t.keys[i]
		t.byPath[k.path] = k
		if !slices.Contains(t.sections, k.section()) {
			t.sections = append(t.sections, k.section())
		}
	}
	return t
}

// find returns the key of a dotted path's parts, and the NAME in it.
func (t *keyTable) find(path []string) (k *key, name string) {
	pattern, name := generalize(path)
	return t.byPath[pattern], name
}

// isSection tells whether the parts name a table.
func (t *keyTable) isSection(path []string) bool {
	pattern, _ := generalize(path)
	return isNamedTable(pattern) || slices.Contains(t.sections, pattern)
}

// generalize puts anyName in the place of a provider's or channel's name.
func generalize(path []string) (pattern, name string) {
	if len(path) < 2 || !isNamedTable(path[0]) {
		return joinKey(path), ""
	}
	general := slices.Clone(path)
	name, general[1] = path[1], anyName
	return joinKey(general), name
}

// in returns the keys of a table.
func (t *keyTable) in(section string) []*key {
	var keys []*key
	for i := range t.keys {
		if t.keys[i].section() == section {
			keys = append(keys, &t.keys[i])
		}
	}
	return keys
}

// suggest returns the dotted name of the key or table that was meant by an
// unknown one, or "".
func (t *keyTable) suggest(path []string) string {
	parent, word := path[:len(path)-1], path[len(path)-1]
	section, _ := generalize(parent)
	var siblings, strangers []string
	home := make(map[string]string)
	for i := range t.keys {
		k := &t.keys[i]
		if k.section() == section {
			siblings = append(siblings, k.name())
		} else if !strings.Contains(k.path, "."+anyName+".") {
			strangers = append(strangers, k.name())
			home[k.name()] = k.path
		}
	}
	for _, s := range append(slices.Clone(t.sections), namedTables...) {
		if above, name := splitLast(s); above == section && name != anyName {
			siblings = append(siblings, name)
		}
	}
	if near := closest(word, siblings); near != "" {
		return joinKey(append(slices.Clone(parent), near))
	}
	// The right name in the wrong table.
	if slices.Contains(strangers, word) {
		return home[word]
	}
	return ""
}

// providerNames returns the names of the providers, sorted.
func (c *Config) providerNames() []string { return slices.Sorted(maps.Keys(c.Providers)) }

// channelNames returns the names of the channels, sorted.
func (c *Config) channelNames() []string { return slices.Sorted(maps.Keys(c.Channels)) }

// namesIn returns the names of the tables of a named table.
func (c *Config) namesIn(table string) []string {
	if table == channelsTable {
		return c.channelNames()
	}
	return c.providerNames()
}

// names returns the names a section's keys exist under: one empty one, or the
// providers' or channels'.
func (c *Config) names(section string) []string {
	if table := namedTable(section); table != "" {
		return c.namesIn(table)
	}
	return []string{""}
}
