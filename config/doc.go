// Package config reads the gateway's configuration: one TOML file, the
// environment, and command line flags.
//
// [Load] finds the file, lays the sources over the defaults (flag over
// environment over file over default), checks everything, and returns a
// [Config] that is complete and valid, or an [Errors] that names every fault
// at once, each with its file, line and column, or its variable, or its flag.
// A Config is not changed after Load; it may be read by many goroutines, and a
// reload is another Load followed by a [Diff].
//
// Every value remembers its [Origin]; [Show] prints them side by side. Secrets
// have the type [Secret], which no formatter, encoder or logger can print.
//
// One table (keys.go) holds each key's name, type, default, limits and
// meaning. Names in the environment, the file of [Template], the answers of
// [Show], [Diff] and the key list in docs/configuration.md are all made from
// it or tested against it, so they cannot disagree.
package config
