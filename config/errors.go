package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxErrors bounds a report: a file that is no configuration at all must not
// answer with a line for each of its own.
const maxErrors = 100

// maxKeyShown bounds what an error repeats of a file's keys, in bytes.
const maxKeyShown = 200

// Error is one fault of a configuration.
type Error struct {
	// Origin is where the fault stands; the zero value where it stands nowhere
	// (something is missing).
	Origin Origin
	// Column is the byte in the line, from 1, where Origin is a file.
	Column int
	// Key is the dotted name of the key at fault, "" where there is none.
	Key string
	// Message says what is wrong and what is allowed. It holds no secret.
	Message string
}

// Error is one line: the place (PATH:LINE:COLUMN, the variable, or the flag),
// the key, and the message.
func (e *Error) Error() string {
	var parts []string
	switch e.Origin.Kind {
	case FromFile:
		place := e.Origin.Name
		if e.Origin.Line > 0 {
			place += ":" + strconv.Itoa(e.Origin.Line) + ":" + strconv.Itoa(e.Column)
		}
		parts = append(parts, place)
	case FromEnv, FromFlag:
		parts = append(parts, e.Origin.Name)
	}
	if e.Key != "" {
		parts = append(parts, e.Key)
	}
	return strings.Join(append(parts, e.Message), ": ")
}

// Fault is an error about a key that whoever uses the values has found: its place
// is where the key's value stands, else where its table does.
func (c *Config) Fault(key, message string) *Error {
	at, ok := c.places[key]
	if !ok {
		table, _ := splitLast(key)
		at = c.places[table]
	}
	return &Error{Origin: at.Origin, Column: at.column, Key: key, Message: message}
}

// Errors is all that is wrong with a configuration: first the file in the order
// of its lines, then the environment and the flags by name. It has at most 100
// entries and one more that counts the rest.
type Errors []*Error

// Error is one line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, fault := range e {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the faults to errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, fault := range e {
		list[i] = fault
	}
	return list
}

// report puts faults in the order a reader wants them, and bounds them.
func report(faults []*Error) error {
	if len(faults) == 0 {
		return nil
	}
	rank := map[OriginKind]int{FromFile: 0, FromEnv: 1, FromFlag: 2}
	slices.SortStableFunc(faults, func(a, b *Error) int {
		rankOf := func(e *Error) int {
			if r, ok := rank[e.Origin.Kind]; ok {
				return r
			}
			return len(rank)
		}
		return cmp.Or(
			cmp.Compare(rankOf(a), rankOf(b)),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Origin.Name, b.Origin.Name),
		)
	})
	if more := len(faults) - maxErrors; more > 0 {
		faults = append(faults[:maxErrors:maxErrors], &Error{Message: fmt.Sprintf("and %d more errors", more)})
	}
	return Errors(faults)
}
