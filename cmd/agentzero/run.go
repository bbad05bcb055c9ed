package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"agentzero/actors"
	"agentzero/auth"
	"agentzero/config"
	"agentzero/daemon"
	"agentzero/store"
	"agentzero/transport"
)

// gateway is everything that runs, in the order in which it is started.
type gateway struct {
	app      *app
	flags    *gatewayFlags
	manner   manner
	config   *config.Config
	level    *slog.LevelVar
	log      *slog.Logger
	metrics  *transport.Metrics
	home     *daemon.Lock // on the data directory
	keyring  *auth.Keyring
	agent    *liveAgent
	journal  store.Journal
	lock     *flock.Flock            // on the journal's file
	channels []actors.ChannelOptions // of the start
	system   *actors.System
	listener net.Listener
	server   *transport.Server
}

// manner is how a gateway runs: by itself, or as a daemon.
type manner struct {
	// log takes the log.
	log io.Writer
	// logFile is the path of the log, "" where it is no file.
	logFile string
	// announce tells the person who started it that it serves.
	announce func(*gateway) error
	// args would start it again.
	args []string
}

// foreground is the manner of `agentzero gateway`.
func (a *app) foreground() manner {
	return manner{log: a.stderr, announce: func(g *gateway) error {
		_, err := fmt.Fprint(a.stdout, g.banner(true))
		return err
	}}
}

// runGateway starts a gateway, serves, and stops it. Its error is one sentence
// for the person who started it.
func (a *app) runGateway(ctx context.Context, f *gatewayFlags, m manner) error {
	c, err := a.loadConfig(f.overrides()...)
	if err != nil {
		return err
	}
	supervisor := daemon.NewSupervisor()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	g := &gateway{app: a, flags: f, manner: m, config: c, level: new(slog.LevelVar)}
	g.log = newLogger(m.log, c.Log, g.level)
	tuneMemory(g.log)
	if err := g.start(); err != nil {
		return errors.Join(err, g.home.Release())
	}
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(g.listener) }()
	g.tell()
	g.log.Info("gateway started", "address", g.listener.Addr().String(), "version", readVersion().Version)
	life, end := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { g.resume(life) })
	beside.Go(func() { supervisor.Watch(life, g.alive) })
	supervisor.Ready("serving " + baseURL(g.listener.Addr()))
	failure := g.serve(ctx, signals, served)
	supervisor.Stopping("finishing what runs")
	g.stop(signals)
	end()
	beside.Wait()
	g.release()
	return failure
}

// start makes the parts, from the innermost outwards. What it has opened when it
// fails ends with the process.
func (g *gateway) start() error {
	c := g.config
	warnings, err := config.EnsureDataDir(c.DataDir)
	if err != nil {
		return fmt.Errorf("%w: give a directory of your own with --data-dir, or mend its permissions", err)
	}
	for _, warning := range warnings {
		g.log.Warn(warning)
	}
	// A gateway that is running already is what people meet most.
	if g.home, err = lockHome(c); err != nil {
		return err
	}
	if g.listener, err = net.Listen("tcp", c.Gateway.Address()); err != nil {
		return listenError(c.Gateway, err)
	}
	g.keyring, err = auth.Open(auth.Options{Dir: c.DataDir, FixedToken: c.Gateway.BearerToken.Reveal(), Logger: g.log})
	if err != nil {
		return err
	}
	if g.flags.newPairing {
		if _, _, err := g.keyring.NewPairing(); err != nil {
			return err
		}
	}
	g.metrics = transport.NewMetrics(readVersion().Version)
	g.agent = newLiveAgent(c, g.metrics, g.log, g.listener.Addr().String())
	if err := g.openJournal(); err != nil {
		return err
	}
	if g.channels, err = channelOptions(c); err != nil {
		return err
	}
	g.system = actors.NewSystem(systemOptions(c, g))
	g.server = transport.New(serverOptions(c, g))
	return nil
}

// resume lets the sessions go on whose work the process before this one has not
// ended. New requests need not wait for that.
func (g *gateway) resume(ctx context.Context) {
	switch n, err := g.system.Resume(ctx); {
	case err != nil && ctx.Err() == nil:
		g.log.Error("sessions with unfinished work cannot be found", "error", err)
	case n > 0:
		g.log.Info("sessions with unfinished work go on", "count", n)
	}
}

// serve returns when the gateway is told to end, or cannot go on.
func (g *gateway) serve(ctx context.Context, signals <-chan os.Signal, served <-chan error) error {
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				g.reload()
				continue
			}
			g.log.Info("told to stop", "signal", s.String())
			return nil
		case <-ctx.Done():
			return nil
		case err := <-served:
			if err == nil {
				err = errors.New("the listener was closed")
			}
			return fmt.Errorf("the gateway cannot accept connections any more: %w", err)
		}
	}
}

// closeTime bounds what follows the drain: the last words to the streams that
// are left, and the closing of their connections.
const closeTime = 10 * time.Second

// stop ends all in the order of the data: no new work, then the turns, then the
// streams that tell of them, then the actors, and last what they wrote to. A
// further signal ends the process at once.
func (g *gateway) stop(signals <-chan os.Signal) {
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGHUP {
					continue
				}
				g.log.Warn("stopped at once", "signal", s.String())
				os.Exit(exitFailure)
			case <-stopped:
				return
			}
		}
	}()
	g.server.Drain()
	g.system.Drain()
	drain, cancelDrain := context.WithTimeout(context.Background(), g.config.Gateway.DrainTimeout)
	interrupted := g.system.Settle(drain)
	cancelDrain()
	closing, cancelClosing := context.WithTimeout(context.Background(), closeTime)
	defer cancelClosing()
	if err := g.server.Shutdown(closing); err != nil {
		g.log.Warn("connections were left open", "error", err)
	}
	g.system.Shutdown(closing)
	g.agent.close()
	for what, err := range map[string]error{"journal": g.journal.Close(), "tokens": g.keyring.Close()} {
		if err != nil {
			g.log.Error("not closed well", "part", what, "error", err)
		}
	}
	g.unlock()
	g.log.Info("gateway stopped", "interrupted_turns", interrupted)
}

// release lets another gateway have the data directory.
func (g *gateway) release() {
	if err := g.home.Release(); err != nil {
		g.log.Error("not closed well", "part", "lock", "error", err)
	}
}

// reload takes up what has changed in the configuration and can.
func (g *gateway) reload() {
	c, err := g.app.loadConfig(g.flags.overrides()...)
	if err != nil {
		g.log.Error("the configuration was not reloaded, the former one stays in force", "error", err)
		return
	}
	changes := config.Diff(g.config, c)
	g.level.Set(c.Log.Level)
	g.agent.replace(c)
	g.system.Reload(systemLive(c))
	g.reloadChannels(c)
	g.server.Reload(serverLive(c))
	g.config = c
	g.log.Info("configuration reloaded", "changed", changes.Live)
	if len(changes.Restart) > 0 {
		g.log.Warn("some changes wait for a restart", "keys", changes.Restart)
	}
}

// reloadChannels takes other channels. They have been looked at when the
// configuration was read.
func (g *gateway) reloadChannels(c *config.Config) {
	list, err := channelOptions(c)
	if err != nil {
		g.log.Error("the channels were not reloaded", "error", err)
		return
	}
	g.system.ReloadChannels(list)
}

// listenError says why an address cannot be listened on, and what to do.
func listenError(g config.Gateway, err error) error {
	remedy := "give another address with --host and --port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: the port is in use already, by a gateway that runs or another program; stop that one, or choose another port with --port", g.Address())
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 need rights that this user does not have; choose a higher one with --port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address; choose one of its own with --host"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s: %w; %s", g.Address(), err, remedy)
}
