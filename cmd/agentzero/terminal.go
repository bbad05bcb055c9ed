package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// isTerminal tells whether a person reads what is written there.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is a line that changes while something is waited for. On a terminal it
// is one line; elsewhere it is a line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	said     bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func (p *progress) interval() time.Duration {
	if p.terminal {
		return time.Second
	}
	return 5 * time.Second
}

func (p *progress) say(text string) {
	p.said = true
	if p.terminal {
		_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(p.w, text)
}

// end takes the line away.
func (p *progress) end() {
	if p.said && p.terminal {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}
