package config

import (
	"os"
	"path/filepath"
	"strings"
)

// Options tell Load where to look. The zero value is what a program without
// flags wants.
type Options struct {
	// File is the value of --config: the file that must be read. "" looks for
	// one: $AGENTZERO_CONFIG, ./agentzero.toml, {data_dir}/agentzero.toml.
	File string
	// DataDir is the value of --data-dir, "" without that flag.
	DataDir string
	// Environ is the environment as os.Environ returns it; nil means
	// os.Environ() itself.
	Environ []string
	// Overrides are the values of other flags, stronger than all else. A later
	// one overrides an earlier one of the same key.
	Overrides []Override
}

// Override is a value from the command line.
type Override struct {
	// Key is the dotted name, such as "gateway.port".
	Key string
	// Value is written as in the environment: lists are separated by commas.
	Value string
	// Flag is the flag's name with its dashes, such as "--port".
	Flag string
}

// Load reads and checks the configuration. Its error is an [Errors] that holds
// everything found wrong, not only the first fault; there is no Config then.
//
// It reads the file, the files that secrets refer to, and nothing else.
func Load(o Options) (*Config, error) {
	l := newLoader(o)
	l.readFile(l.findFile())
	l.readEnviron()
	l.readFlags()
	return l.finish()
}

// loader builds one Config.
type loader struct {
	options Options
	environ map[string]string
	table   *keyTable
	config  *Config
	given   []given
	// mentions are the places that name a provider or a channel first.
	mentions map[mention]place
	// places are where the values in use were written.
	places map[string]place
	// unread tells that there is a file whose values are not known.
	unread bool
	faults []*Error
}

// mention names a table [TABLE.NAME].
type mention struct{ table, name string }

// place is an origin, and the column where it is a file.
type place struct {
	Origin
	column int
}

// given is a value that a source gives for a key.
type given struct {
	key   *key
	name  string // of the provider or channel, in its keys
	value *node
	place place
}

func (g given) path() string { return g.key.under(g.name) }

func newLoader(o Options) *loader {
	environ := o.Environ
	if environ == nil {
		environ = os.Environ()
	}
	l := &loader{
		options:  o,
		environ:  make(map[string]string, len(environ)),
		table:    newKeyTable(),
		config:   &Config{Providers: make(map[string]Provider), Channels: make(map[string]Channel), origins: make(map[string]Origin)},
		mentions: make(map[mention]place),
		places:   make(map[string]place),
	}
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok {
			l.environ[name] = value
		}
	}
	for i := range l.table.keys {
		if k := &l.table.keys[i]; k.table() == "" {
			k.reset(l.config, "")
		}
	}
	return l
}

func (l *loader) fail(at place, key, message string) {
	l.faults = append(l.faults, &Error{Origin: at.Origin, Column: at.column, Key: shorten(key, maxKeyShown), Message: message})
}

// didYouMean is the clause about an unknown key. Past the errors that are
// reported it is not worth the search.
func (l *loader) didYouMean(suggest func() string) string {
	if len(l.faults) >= maxErrors {
		return ""
	}
	return didYouMean(suggest())
}

// give notes a value; sources call it from the weakest to the strongest.
func (l *loader) give(k *key, name string, value *node, at place) {
	if table := k.table(); table != "" {
		l.mention(mention{table, name}, at)
	}
	l.given = append(l.given, given{key: k, name: name, value: value, place: at})
}

// mention makes sure that a provider or channel exists.
func (l *loader) mention(m mention, at place) {
	if _, ok := l.mentions[m]; ok {
		return
	}
	l.mentions[m] = at
	for _, k := range l.table.in(m.table + "." + anyName) {
		k.reset(l.config, m.name)
	}
}

// finish turns what was given into the Config, or all faults.
func (l *loader) finish() (*Config, error) {
	winner := make(map[string]int)
	for i, g := range l.given {
		winner[g.path()] = i
	}
	for i, g := range l.given {
		l.assign(g, winner[g.path()] != i)
	}
	l.setDataDir()
	l.setStorePath()
	l.setBearerToken()
	for name, p := range l.config.Providers {
		if p.BaseURL == "" {
			p.BaseURL = defaultBaseURL(p.Kind)
			l.config.Providers[name] = p
		}
	}
	l.validate()
	if err := report(l.faults); err != nil {
		return nil, err
	}
	l.config.places = l.places
	for m, at := range l.mentions {
		l.config.places[joinKey([]string{m.table, m.name})] = at
	}
	return l.config, nil
}

// validate adds the faults of values that are well by themselves.
func (l *loader) validate() {
	if l.unread {
		return // what looks wrong may be right with the file's values
	}
	wrong := make(map[string]bool)
	for _, e := range l.faults {
		wrong[e.Key] = e.Key != ""
	}
	for _, f := range validate(l.config) {
		if wrong[f.key] || wrong[f.other] {
			continue
		}
		at := l.placeOf(f.key)
		if at == (place{}) {
			at = l.placeOf(f.other)
		}
		l.fail(at, f.key, f.text)
	}
}

// assign decodes a value into the Config.
func (l *loader) assign(g given, shadowed bool) {
	path := g.path()
	from := source{environ: l.environ, dir: l.baseDir(g.place.Origin), shadowed: shadowed}
	for _, p := range g.key.set(l.config, g.name, g.value, from) {
		at := g.place
		if at.Kind == FromFile {
			at.Line, at.column = p.at.line, p.at.column
		}
		l.fail(at, path, p.text)
	}
	if shadowed {
		return
	}
	origin := g.place.Origin
	if g.key.secret && g.value.isText() && isReference(g.value.text) {
		origin.Via = g.value.text
	}
	l.config.origins[path] = origin
	at := g.place
	if at.Kind == FromFile {
		at.Line, at.column = g.value.valueAt.line, g.value.valueAt.column
	}
	l.places[path] = at
}

// placeOf is where a key's value stands: its own place, else its table's.
func (l *loader) placeOf(key string) place {
	if at, ok := l.places[key]; ok {
		return at
	}
	table, rest, _ := strings.Cut(key, ".")
	name, _, _ := strings.Cut(rest, ".") // names that are mentioned hold no dot
	return l.mentions[mention{table, name}]
}

// baseDir is where a relative path of a source starts.
func (l *loader) baseDir(o Origin) string {
	if o.Kind == FromFile {
		return filepath.Dir(o.Name)
	}
	return "."
}

// setDataDir makes the directory's path absolute.
func (l *loader) setDataDir() {
	const key = "data_dir"
	from := source{environ: l.environ, dir: l.baseDir(l.config.origins[key])}
	written := l.config.DataDir
	if strings.HasPrefix(written, "~") && from.home() == "" {
		l.fail(l.placeOf(key), key, "no home directory is known: set --data-dir, AGENTZERO_DATA_DIR or data_dir to an absolute path")
		return
	}
	if written == "" {
		l.fail(l.placeOf(key), key, `got "", want the path of a directory`)
		return
	}
	dir, err := filepath.Abs(from.path(written))
	if err != nil {
		l.fail(l.placeOf(key), key, "cannot make the path absolute: "+err.Error())
		return
	}
	l.config.DataDir = dir
}

// storeFile is sqlite's file in the data directory.
const storeFile = "agentzero.db"

// setStorePath makes the path of sqlite's file absolute.
func (l *loader) setStorePath() {
	const key = "store.path"
	written := l.config.Store.Path
	if written == "" {
		l.config.Store.Path = filepath.Join(l.config.DataDir, storeFile)
		return
	}
	from := source{environ: l.environ, dir: l.baseDir(l.config.origins[key])}
	absolute, err := filepath.Abs(from.path(written))
	if err != nil {
		l.fail(l.placeOf(key), key, "cannot make the path absolute: "+err.Error())
		return
	}
	l.config.Store.Path = absolute
}

// setBearerToken reads the fixed token.
func (l *loader) setBearerToken() {
	written := l.environ[bearerTokenVariable]
	if written == "" {
		return
	}
	origin := Origin{Kind: FromEnv, Name: bearerTokenVariable}
	value := &node{kind: kindText, text: written}
	token, problems := secret().decode(value, source{environ: l.environ, dir: "."})
	if len(problems) == 0 && strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		problems = []problem{{text: "the token must be visible ASCII without spaces, because it travels in a header"}}
	}
	for _, p := range problems {
		l.fail(place{Origin: origin}, "", p.text)
	}
	if isReference(written) {
		origin.Via = written
	}
	l.config.Gateway.BearerToken = token
	l.config.origins[BearerTokenKey] = origin
}
