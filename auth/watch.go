package auth

import (
	"errors"
	"io/fs"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollEvery is how often the file is looked at where it cannot be watched.
	pollEvery = time.Second
	// missingFor is how long the file must be gone before its tokens are: some
	// editors take a file away for a moment when they save it.
	missingFor = time.Second
)

// watcher keeps a keyring in step with its file. It watches the file and not
// its directory, which holds the journal as well: thousands of events a second
// that say nothing about tokens.
type watcher struct {
	k *Keyring
	// system is nil where the system gives no change events.
	system *fsnotify.Watcher
	// armed says that a change of the file that is there now gives an event.
	armed bool
	// told says that failing to watch has been logged.
	told bool
}

func newWatcher(k *Keyring, poll bool) *watcher {
	w := &watcher{k: k}
	if !poll {
		var err error
		if w.system, err = fsnotify.NewWatcher(); err != nil {
			k.log.Warn("cannot watch the token file, looking at it every second", "path", k.file.path, "error", err)
			w.system = nil
		}
	}
	w.arm()
	return w
}

// run lasts until stop is closed.
func (w *watcher) run(stop <-chan struct{}) {
	var events <-chan fsnotify.Event
	var faults <-chan error
	if w.system != nil {
		defer w.system.Close()
		events, faults = w.system.Events, w.system.Errors
	}
	minute := time.NewTicker(usedEvery)
	defer minute.Stop()
	second := time.NewTicker(pollEvery)
	defer second.Stop()
	var missed <-chan time.Time

	for {
		var poll <-chan time.Time
		if !w.armed {
			poll = second.C
		}
		gone := false
		select {
		case <-stop:
			return
		case <-events:
		case err := <-faults:
			// Events may have been lost; what follows finds what they told.
			w.k.log.Warn("watching the token file failed", "path", w.k.file.path, "error", err)
		case <-poll:
		case <-minute.C:
			if err := w.k.flushUsed(); err != nil {
				w.k.log.Warn("cannot note when tokens were last used", "error", err)
			}
		case <-missed:
			gone = true
		}
		// Armed first and read second, so that no change falls between.
		w.arm()
		switch missing := w.k.reload(gone); {
		case !missing:
			missed = nil
		case missed == nil:
			missed = time.After(missingFor)
		}
	}
}

// arm watches the file that now bears the name: each change puts another one
// in the place of the one watched.
func (w *watcher) arm() {
	if w.system == nil {
		return
	}
	err := w.system.Add(w.k.file.path)
	w.armed = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !w.told {
		w.told = true
		w.k.log.Warn("cannot watch the token file, looking at it every second", "path", w.k.file.path, "error", err)
	}
}

// reload takes up what the file holds now. A file that cannot be used leaves
// the tokens as they were and is logged once. A file that is missing does so
// too, unless the caller knows that it is gone for good.
func (k *Keyring) reload(gone bool) (missing bool) {
	k.mu.Lock()
	l, err := k.file.read()
	k.noteFault(err)
	var over ended
	switch {
	case err != nil:
	case l.missing && k.set.Load().sum == l.sum:
		// It was gone before.
	case l.missing && !gone:
		missing = true
	default:
		if l.missing {
			k.log.Warn("the token file has been removed, its tokens are revoked", "path", k.file.path)
		}
		over = k.adopt(l)
	}
	k.mu.Unlock()
	over.end()
	return missing
}

// noteFault logs what is wrong with the file when it changes. The caller holds
// mu.
func (k *Keyring) noteFault(err error) {
	var fault string
	if err != nil {
		fault = err.Error()
	}
	if fault == k.fault {
		return
	}
	k.fault = fault
	if err != nil {
		k.log.Error("the token file cannot be used, the tokens stay as they were", "error", err)
	} else {
		k.log.Info("the token file can be used again", "path", k.file.path)
	}
}
