// Package scenario keeps plans by name, in TOML files. Some are part of the
// program; others can be read from anywhere.
package scenario

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"agentzero/bench"
	"agentzero/bench/upstream"
)

//go:embed *.toml
var files embed.FS

// Scenario is a plan and what it is for.
type Scenario struct {
	Name  string
	About string // a sentence or two
	Plan  bench.Plan
}

// file is a scenario as TOML has it.
type file struct {
	About       string   `toml:"about"`
	Door        string   `toml:"door"`
	Sessions    string   `toml:"sessions"`
	Channel     string   `toml:"channel"`
	Clients     int      `toml:"clients"`
	Rate        float64  `toml:"rate"`
	Ramp        duration `toml:"ramp"`
	Warmup      duration `toml:"warmup"`
	Duration    duration `toml:"duration"`
	Answers     int64    `toml:"answers"`
	Pause       duration `toml:"pause"`
	Timeout     duration `toml:"timeout"`
	HangUpAfter int      `toml:"hang_up_after"`
	Reconnect   bool     `toml:"reconnect"`
	SlowShare   float64  `toml:"slow_share"`
	SlowBytes   int      `toml:"slow_bytes"`
	Prompt      int      `toml:"prompt"`
	Model       string   `toml:"model"`
	Answer      answer   `toml:"answer"`
}

type answer struct {
	Tokens   int      `toml:"tokens"`
	Interval duration `toml:"interval"`
	First    duration `toml:"first"`
	Jitter   duration `toml:"jitter"`
	Bytes    int      `toml:"bytes"`
	Errors   float64  `toml:"errors"`
	Status   int      `toml:"status"`
	Cuts     float64  `toml:"cuts"`
}

// duration is written as Go writes it: "20ms", "1m30s".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time; write it like \"20ms\" or \"1m30s\"", text)
	}
	*d = duration(v)
	return nil
}

// Names are those of the scenarios that are part of the program, sorted.
func Names() []string {
	list, _ := fs.Glob(files, "*.toml") // the pattern is good
	for i, name := range list {
		list[i] = strings.TrimSuffix(name, ".toml")
	}
	return list
}

// Load returns a scenario that is part of the program.
func Load(name string) (*Scenario, error) {
	text, err := files.ReadFile(name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return Parse(name+".toml", text)
}

// Parse reads a scenario. Its errors tell the file's name, and the line and
// column where they can.
func Parse(name string, text []byte) (*Scenario, error) {
	var f file
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, located(name, err)
	}
	a := f.Answer
	s := &Scenario{
		Name: strings.TrimSuffix(path.Base(name), ".toml"), About: strings.TrimSpace(f.About),
		Plan: bench.Plan{
			Door: bench.Door(f.Door), Sessions: bench.Sessions(f.Sessions), Channel: f.Channel,
			Clients: f.Clients, Rate: f.Rate,
			Ramp: time.Duration(f.Ramp), Warmup: time.Duration(f.Warmup), Duration: time.Duration(f.Duration),
			Answers: f.Answers, Pause: time.Duration(f.Pause), Timeout: time.Duration(f.Timeout),
			HangUpAfter: f.HangUpAfter, Reconnect: f.Reconnect, SlowShare: f.SlowShare, SlowBytes: f.SlowBytes,
			Prompt: f.Prompt, Model: f.Model,
			Answer: upstream.Behaviour{
				Tokens: a.Tokens, Interval: time.Duration(a.Interval), First: time.Duration(a.First),
				Jitter: time.Duration(a.Jitter), Bytes: a.Bytes, Errors: a.Errors, Status: a.Status, Cuts: a.Cuts,
			},
		},
	}
	if err := s.Plan.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// located puts the place before an error of the TOML.
func located(name string, err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) && len(missing.Errors) > 0 {
		e := missing.Errors[0]
		line, column := e.Position()
		return fmt.Errorf("%s:%d:%d: there is no key %q", name, line, column, strings.Join(e.Key(), "."))
	}
	var e *toml.DecodeError
	if errors.As(err, &e) {
		line, column := e.Position()
		return fmt.Errorf("%s:%d:%d: %s", name, line, column, strings.TrimPrefix(e.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", name, err)
}
