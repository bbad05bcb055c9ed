package gateway

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// output collects what the process prints, and lets a test wait for a part of it.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	ended   bool
	changed chan struct{} // closed and replaced with every write
}

// maxOutput bounds what a chatty gateway can make the test keep.
const maxOutput = 16 << 20

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxOutput {
		o.text.Write(p)
	}
	o.tellLocked()
	return len(p), nil
}

// end says that nothing more will come.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.tellLocked()
}

func (o *output) tellLocked() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns what find finds as soon as it does.
func (o *output) wait(what string, find func(string) (string, bool)) (string, error) {
	late := time.NewTimer(Patience)
	defer late.Stop()
	for {
		o.mu.Lock()
		text, ended, changed := o.text.String(), o.ended, o.changed
		o.mu.Unlock()
		if found, ok := find(text); ok {
			return found, nil
		}
		if ended {
			return "", fmt.Errorf("it ended without printing %s; it printed:\n%s", what, text)
		}
		select {
		case <-changed:
		case <-late.C:
			return "", errors.New("it did not print " + what + "; it printed:\n" + text)
		}
	}
}

var (
	addressPattern = regexp.MustCompile(`http://(?:127\.0\.0\.1|localhost|\[::1\]):[1-9][0-9]*`)
	codePattern    = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)
)

// address is the URL that the process says it listens at: the first one it
// prints that is not its upstream's.
func (o *output) address(upstream string) (string, error) {
	return o.wait("the address it listens at", func(text string) (string, bool) {
		for _, url := range addressPattern.FindAllString(text, -1) {
			if upstream == "" || !strings.HasPrefix(upstream, url) {
				return url, true
			}
		}
		return "", false
	})
}

// code is the pairing code that the process prints for the operator.
func (o *output) code() (string, error) {
	return o.wait("a pairing code", func(text string) (string, bool) {
		code := codePattern.FindString(text)
		return code, code != ""
	})
}
