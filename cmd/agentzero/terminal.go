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

// style writes in colours, or does not.
type style struct{ on bool }

// styleOf is the style for what is written to w: colours only on a terminal that
// has them, and never with NO_COLOR (https://no-color.org).
func (a *app) styleOf(w io.Writer) style {
	return style{isTerminal(w) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"}
}

func (s style) paint(code, text string) string {
	if !s.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }
func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }

// prompt reads lines from a terminal, with editing and a history. The terminal is
// in its raw mode only while a line is read, so that Ctrl-C is a signal otherwise.
type prompt struct {
	file *os.File
	term *term.Terminal
}

func newPrompt(in io.Reader, out io.Writer, text string) (*prompt, error) {
	file, ok := in.(*os.File)
	if !ok {
		return nil, fmt.Errorf("standard input is no terminal")
	}
	p := &prompt{file: file}
	p.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, text)
	return p, nil
}

// read returns a line; io.EOF for Ctrl-D and Ctrl-C.
func (p *prompt) read() (string, error) {
	before, err := term.MakeRaw(int(p.file.Fd()))
	if err != nil {
		return "", err
	}
	if width, height, err := term.GetSize(int(p.file.Fd())); err == nil && width > 0 {
		_ = p.term.SetSize(width, height) // the size of before is as good
	}
	p.term.SetBracketedPasteMode(true)
	line, err := p.term.ReadLine()
	p.term.SetBracketedPasteMode(false)
	if restored := term.Restore(int(p.file.Fd()), before); err == nil || err == term.ErrPasteIndicator {
		err = restored
	}
	return line, err
}
