package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"agentzero/config"
	"agentzero/daemon"
)

// lockHome takes the data directory: one gateway runs on it, whatever started it.
func lockHome(c *config.Config) (*daemon.Lock, error) {
	lock, err := daemon.Acquire(c.DataDir)
	if errors.Is(err, daemon.ErrRunning) {
		return nil, alreadyRunning(c)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; let the user that runs agentzero write to %s", err, c.DataDir)
	}
	return lock, nil
}

// alreadyRunning says which gateway has the data directory.
func alreadyRunning(c *config.Config) error {
	who := ""
	if s, err := daemon.Look(c.DataDir); err == nil && s.State.PID != 0 {
		who = fmt.Sprintf(" (PID %d", s.State.PID)
		if s.State.Address != "" {
			who += ", " + s.State.Address
		}
		who += ")"
	}
	return fmt.Errorf("a gateway runs already on the data directory %s%s: stop it with \"agentzero daemon stop\", or give this one a directory of its own with --data-dir", c.DataDir, who)
}

// tell lets others know of this gateway, and the person who started it.
func (g *gateway) tell() {
	state := daemon.State{
		Started: time.Now().UTC(), Address: baseURL(g.listener.Addr()), Version: readVersion().Version,
		Agent: g.describeAgent(), LogFile: g.manner.logFile, Supervisor: supervisedBy(), Args: g.manner.args,
	}
	if err := g.home.Tell(state); err != nil {
		g.log.Error("other commands will not find this gateway", "error", err)
	}
	if err := g.manner.announce(g); err != nil {
		g.log.Warn("the banner could not be printed", "error", err)
	}
}

// supervisedBy names the service manager that has started this process.
func supervisedBy() string {
	switch {
	case os.Getenv("NOTIFY_SOCKET") != "":
		return initSystemd
	case os.Getenv("RC_SVCNAME") != "":
		return initOpenRC
	default:
		return ""
	}
}

// The service managers.
const (
	initSystemd = "systemd"
	initOpenRC  = "openrc"
)

// alive asks this gateway over its own port. Any answer will do: one that is
// draining, or has no room for a connection more, is alive.
func (g *gateway) alive(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL(g.listener.Addr())+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		g.log.Warn("the gateway does not answer itself", "error", err)
		return err
	}
	return resp.Body.Close()
}
