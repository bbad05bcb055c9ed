package config

import "strings"

// Template is a commented configuration file with every key. Each stands there
// as a comment with its default, so that the file as it is means the defaults,
// and those of a later version where a line is left alone.
func Template() string {
	var b strings.Builder
	b.WriteString(`# agentzero's configuration. A line "#key = value" tells the key's default;
# take its # away to set it.
#
# Every key has an environment name: AGENTZERO_ and the key's path in upper
# case, with two underscores between its levels (AGENTZERO_GATEWAY__PORT).
# Flags are stronger than the environment, which is stronger than this file.
#
# Durations are strings such as "30s" or whole seconds, sizes are bytes or
# strings such as "10MiB". A secret is the secret itself, or better "env:NAME"
# or "file:PATH". Check the file with "agentzero config check".
`)
	table := newKeyTable()
	for _, section := range table.sections {
		b.WriteString("\n")
		switch section {
		case providerSection:
			b.WriteString("# One table for each model server; the name after the dot is free.\n#[" + providersTable + ".openai]\n")
		case channelSection:
			b.WriteString("# One table for each webhook channel; the name after the dot is free, and its\n# path is /v1/webhook/NAME.\n#[" + channelsTable + ".support]\n")
		}
		if namedTable(section) == "" && section != "" {
			b.WriteString("[" + section + "]\n")
		}
		for _, k := range table.in(section) {
			value := k.def
			if k.example != "" {
				value = k.example
			}
			writeComment(&b, k.doc)
			b.WriteString("#" + k.name() + " = " + value + "\n")
		}
	}
	return b.String()
}

// writeComment wraps a text into comment lines.
func writeComment(b *strings.Builder, text string) {
	const width = 78
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
