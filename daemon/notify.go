package daemon

import (
	"context"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// Supervisor tells a supervisor that speaks systemd's protocol (sd_notify(3)) how
// the process is. Where there is none, that is, no NOTIFY_SOCKET, it does
// nothing; a supervisor that cannot be reached is no reason to fail.
type Supervisor struct {
	watchdog time.Duration
}

// NewSupervisor looks for a supervisor in the environment.
func NewSupervisor() *Supervisor {
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		every = 0 // a value nobody can read asks for nothing
	}
	return &Supervisor{watchdog: every}
}

// Ready says that the process serves, with a line for people.
func (*Supervisor) Ready(status string) { say(systemd.SdNotifyReady + "\nSTATUS=" + status) }

// Stopping says that the process ends.
func (*Supervisor) Stopping(status string) { say(systemd.SdNotifyStopping + "\nSTATUS=" + status) }

// Watch says that the process is alive, twice in each interval that the
// supervisor has set, as long as alive returns nil; a process that hangs is thus
// restarted. alive is given a fourth of the interval. Watch returns when ctx
// ends, at once where no interval is set.
func (s *Supervisor) Watch(ctx context.Context, alive func(context.Context) error) {
	if s.watchdog <= 0 {
		return
	}
	tick := time.NewTicker(s.watchdog / 2)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, s.watchdog/4)
		if alive(limited) == nil {
			say(systemd.SdNotifyWatchdog)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func say(text string) {
	_, _ = systemd.SdNotify(false, text) // nobody listens, or cannot
}
