package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// gcPercent is by how much the heap may grow between two collections. Go's own
// 100 makes a gateway of many quiet streams twice as large as what it holds; a
// delta leaves so little garbage that collecting it sooner costs no CPU that
// could be measured.
const gcPercent = 40

// tuneMemory sets how eagerly memory is collected, and lets the collector know
// the limit of the control group (a container's), so that it works harder before
// the kernel ends the process. GOGC and GOMEMLIMIT are stronger.
func tuneMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	_, err := memlimit.Set() // of nine tenths
	if err != nil && !errors.Is(err, memlimit.ErrCgroupsNotSupported) && !errors.Is(err, memlimit.ErrNoCgroup) {
		log.Warn("the memory limit of this control group cannot be read", slog.Any("error", err))
	}
}
