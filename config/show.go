package config

import (
	"strings"
	"unicode/utf8"
)

// Setting is one value of a Config, for people and programs to look at.
type Setting struct {
	// Key is the dotted name.
	Key string `json:"key"`
	// Value is the value in JSON's types: durations are strings such as "30s",
	// sizes are bytes, secrets are "***" or "".
	Value any `json:"value"`
	// Origin is where the value came from, as [Origin.String] tells it.
	Origin string `json:"origin"`

	section, name, toml string
}

// Settings lists all values of c in the order of the key table, the providers
// by name. The fixed token stands in it only if it is set.
func Settings(c *Config) []Setting {
	var list []Setting
	table := newKeyTable()
	for _, section := range table.sections {
		for _, name := range c.names(section) {
			for _, k := range table.in(section) {
				path := k.under(name)
				above, last := splitLast(path)
				list = append(list, Setting{
					Key:     path,
					Value:   k.plain(c, name),
					Origin:  c.Origin(path).String(),
					section: above,
					name:    last,
					toml:    k.encode(c, name),
				})
			}
		}
	}
	if token := c.Gateway.BearerToken; token.IsSet() {
		list = append(list, Setting{Key: BearerTokenKey, Value: token.String(), Origin: c.Origin(BearerTokenKey).String()})
	}
	return list
}

// Show writes c as TOML with the origin of each value beside it and with "***"
// for secrets. But for those, reading it gives the same values again.
func Show(c *Config) string {
	var b strings.Builder
	if c.File != "" {
		b.WriteString("# file: " + oneLine(c.File) + "\n")
	} else {
		b.WriteString("# no file\n")
	}
	if token := c.Gateway.BearerToken; token.IsSet() {
		b.WriteString("# fixed token: " + token.String() + "  # " + oneLine(c.Origin(BearerTokenKey).String()) + "\n")
	}
	settings := Settings(c)
	for start := 0; start < len(settings); {
		end := start
		for end < len(settings) && settings[end].section == settings[start].section {
			end++
		}
		if settings[start].toml != "" {
			showSection(&b, settings[start:end])
		}
		start = end
	}
	return b.String()
}

// showSection writes one table, its comments in one column.
func showSection(b *strings.Builder, settings []Setting) {
	const widest = 48 // a longer value does not push the others' comments away
	width := 0
	lines := make([]string, len(settings))
	for i, s := range settings {
		lines[i] = s.name + " = " + s.toml
		if n := utf8.RuneCountInString(lines[i]); n <= widest {
			width = max(width, n)
		}
	}
	b.WriteString("\n")
	if section := settings[0].section; section != "" {
		b.WriteString("[" + section + "]\n")
	}
	for i, s := range settings {
		padding := max(0, width-utf8.RuneCountInString(lines[i]))
		b.WriteString(lines[i] + strings.Repeat(" ", padding) + "  # " + oneLine(s.Origin) + "\n")
	}
}

// oneLine keeps a path with a line break in it from leaving its comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
