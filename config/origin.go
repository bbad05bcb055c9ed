package config

import "strconv"

// OriginKind tells which source a value came from.
type OriginKind string

// The sources, the weakest first.
const (
	FromDefault OriginKind = "default"
	FromFile    OriginKind = "file"
	FromEnv     OriginKind = "env"
	FromFlag    OriginKind = "flag"
)

// Origin is where a value was written. The zero value means the default.
type Origin struct {
	Kind OriginKind
	// Name is the file's path, the variable's name, or the flag with its dashes.
	Name string
	// Line is the line in the file, from 1; 0 elsewhere.
	Line int
	// Via is the reference a secret was written as (env:NAME or file:PATH), ""
	// for a literal one and for values that are no secrets.
	Via string
}

// String is one of default, file:PATH:LINE, env:NAME and flag:--name, followed
// by " via REFERENCE" where there is one.
func (o Origin) String() string {
	s := string(o.Kind)
	switch o.Kind {
	case FromFile:
		s += ":" + o.Name + ":" + strconv.Itoa(o.Line)
	case FromEnv, FromFlag:
		s += ":" + o.Name
	default:
		s = string(FromDefault)
	}
	if o.Via != "" {
		s += " via " + o.Via
	}
	return s
}

// Origin tells where the value of key came from, such as "gateway.port" or
// "providers.openai.api_key". A key that nobody set, or that does not exist,
// has the default origin. The fixed token's key is [BearerTokenKey].
func (c *Config) Origin(key string) Origin {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return Origin{Kind: FromDefault}
}
