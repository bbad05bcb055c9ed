package transport

import "sync/atomic"

// bell has work done that anybody may ring for and one at a time does. Who rings
// while it is done has it done once more. So a stream needs no goroutine of its
// own while it can be written by whoever has something for it.
type bell struct {
	rings atomic.Int64 // since it was last at rest
	// quick does the work on the ringer's goroutine, which it must not keep
	// waiting, and reports false where it cannot; nil never can.
	quick func() bool
	// slow does the work in a goroutine of its own. Once it reports false, the
	// bell is never answered again.
	slow func() (more bool)
}

func (b *bell) ring() {
	if b.rings.Add(1) > 1 {
		return
	}
	for {
		rings := b.rings.Load()
		if b.quick == nil || !b.quick() {
			go b.answer()
			return
		}
		if b.rings.CompareAndSwap(rings, 0) {
			return
		}
	}
}

// hold keeps the bell for the caller, before anybody can ring; answer lets it go.
func (b *bell) hold() { b.rings.Store(1) }

// answer does the work, for a bell that rings or is held, until it is at rest.
func (b *bell) answer() {
	for {
		rings := b.rings.Load()
		if !b.slow() || b.rings.CompareAndSwap(rings, 0) {
			return
		}
	}
}
