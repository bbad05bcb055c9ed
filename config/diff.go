package config

import "slices"

// Changes are the keys in which two configurations differ, each list in the
// order of the key table.
type Changes struct {
	// Live keys take effect on a reload.
	Live []string
	// Restart keys keep their old value until the gateway starts anew.
	Restart []string
}

// Empty tells whether nothing changed.
func (c Changes) Empty() bool { return len(c.Live) == 0 && len(c.Restart) == 0 }

// Diff compares two configurations. A provider or
// channel that is in one of them only is named as a whole ("providers.NAME"). Secrets are compared by their values, so
// one whose reference now leads to another value has changed.
func Diff(before, after *Config) Changes {
	var changes Changes
	add := func(path string, live bool) {
		if live {
			changes.Live = append(changes.Live, path)
		} else {
			changes.Restart = append(changes.Restart, path)
		}
	}
	table := newKeyTable()
	for _, section := range table.sections {
		names := before.names(section)
		for _, name := range after.names(section) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if above := namedTable(section); above != "" && !(before.has(above, name) && after.has(above, name)) {
				add(joinKey([]string{above, name}), true)
				continue
			}
			for _, k := range table.in(section) {
				if !k.equal(before, after, name) {
					add(k.under(name), k.live)
				}
			}
		}
	}
	if !before.Gateway.BearerToken.Equal(after.Gateway.BearerToken) {
		add(BearerTokenKey, false)
	}
	return changes
}

func (c *Config) has(table, name string) bool {
	return slices.Contains(c.namesIn(table), name)
}
