package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agentzero/config"
	"agentzero/daemon"
)

func newDaemonCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run the gateway in the background",
		Long: `Run the gateway in the background, stop it, and see how it is. One gateway runs
on a data directory, however it was started. Its log is daemon.log there, rotated
at 10 MB; 5 rotated files are kept.`,
	}
	cmd.AddCommand(newDaemonStartCommand(a), newDaemonStopCommand(a), newDaemonRestartCommand(a),
		newDaemonStatusCommand(a), newDaemonLogsCommand(a))
	return cmd
}

// startFlags are those of `agentzero daemon start`.
type startFlags struct {
	gatewayFlags
	foreground, report bool
	wait               time.Duration
}

func newDaemonStartCommand(a *app) *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the gateway in the background",
		Long: `Start the gateway in the background and wait until it answers. Its PID, address,
log file and, when no client is paired, a pairing code are printed; the code is in
no log. If it cannot start, the reason is printed and the exit code is 1.

With --foreground it stays, as service managers want it: its log is on standard
error too, it tells systemd when it is ready, that it is alive and when it stops
(sd_notify), and a pairing code is printed on a terminal only.`,
		Example: `  agentzero daemon start --demo
  agentzero daemon start --port 8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.report:
				return a.runReporting(cmd.Context(), &f)
			case f.foreground:
				return a.runForeground(cmd.Context(), &f)
			default:
				return a.startDaemon(cmd.Context(), &f)
			}
		},
	}
	f.define(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.foreground, "foreground", false, "stay in the foreground, under a service manager")
	flags.BoolVar(&f.report, "report", false, "run as the process in the background that tells the one in the foreground how it is")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "`time` the gateway has to answer")
	mustComplete(flags.MarkHidden("report"))
	return cmd
}

// startDaemon starts a gateway in the background.
func (a *app) startDaemon(ctx context.Context, f *startFlags) error {
	c, err := a.loadConfig(f.overrides()...)
	if err != nil {
		return err
	}
	warnings, err := config.EnsureDataDir(c.DataDir)
	if err != nil {
		return fmt.Errorf("%w: give a directory of your own with --data-dir, or mend its permissions", err)
	}
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(a.stderr, "agentzero: warning: "+warning)
	}
	status, err := daemon.Look(c.DataDir)
	if err != nil {
		return err
	}
	if status.Running {
		return alreadyRunning(c)
	}
	if status.Crashed() {
		_, _ = fmt.Fprintf(a.stderr, "agentzero: the last gateway here (PID %d) ended without stopping well; what it had accepted goes on now.\n", status.State.PID)
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	args := append(a.commonArgs(c), f.args()...)
	if f.newPairing {
		args = append(args, "--new-pairing")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	started, err := daemon.Start(ctx, daemon.StartOptions{
		Dir: c.DataDir, Path: path, Env: a.environ, Patience: f.wait,
		Args: append([]string{"daemon", "start", "--report"}, args...),
	})
	if err != nil {
		return a.startFailure(c, err)
	}
	_, err = fmt.Fprintf(a.stdout, "agentzero runs in the background.\n  %-10s %d\n", "pid", started.PID)
	for _, line := range started.Report.Lines {
		_, more := fmt.Fprintln(a.stdout, line)
		err = errors.Join(err, more)
	}
	return err
}

func (a *app) startFailure(c *config.Config, err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: the gateway was not started")
	}
	var failed *daemon.StartError
	if errors.As(err, &failed) {
		return err
	}
	return fmt.Errorf("the gateway cannot be started in %s: %w", c.DataDir, err)
}

// commonArgs are the flags of all commands, so that they mean the same from
// another working directory.
func (a *app) commonArgs(c *config.Config) []string {
	var args []string
	if c.File != "" {
		args = append(args, "--config", c.File)
	}
	return append(args, "--data-dir", c.DataDir)
}

// runReporting is the gateway in the background: its log is the file, and
// standard output takes its report and nothing else.
func (a *app) runReporting(ctx context.Context, f *startFlags) error {
	// The one who reads the report goes away.
	signal.Ignore(syscall.SIGPIPE)
	c, err := a.loadConfig(f.overrides()...)
	if err == nil {
		log := daemon.OpenLog(c.DataDir)
		defer log.Close()
		err = a.runGateway(ctx, &f.gatewayFlags, manner{
			log: log, logFile: daemon.LogFile(c.DataDir), args: f.args(),
			announce: func(g *gateway) error { return a.report(g) },
		})
	}
	if err != nil {
		return errors.Join(err, daemon.Report{Error: err.Error()}.Send(a.stdout))
	}
	return nil
}

// report tells the starting command all that its person wants to know.
func (a *app) report(g *gateway) error {
	r := daemon.Report{Address: baseURL(g.listener.Addr()), Lines: g.bannerLines(true)}
	r.Lines = append(r.Lines, fmt.Sprintf("  %-10s %s", "log", g.manner.logFile))
	return r.Send(a.stdout)
}

// runForeground is the gateway under a service manager.
func (a *app) runForeground(ctx context.Context, f *startFlags) error {
	c, err := a.loadConfig(f.overrides()...)
	if err != nil {
		return err
	}
	log := daemon.OpenLog(c.DataDir)
	defer log.Close()
	withCode := isTerminal(a.stdout)
	return a.runGateway(ctx, &f.gatewayFlags, manner{
		log: io.MultiWriter(a.stderr, log), logFile: daemon.LogFile(c.DataDir), args: f.args(),
		announce: func(g *gateway) error {
			_, err := fmt.Fprint(a.stdout, g.banner(withCode))
			return err
		},
	})
}

func newDaemonStopCommand(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the gateway",
		Long: `Stop the gateway and wait until it is gone. It takes no new work and lets what
runs finish for gateway.drain_timeout; if it is still there after --timeout, it is
killed. Where none runs there is nothing to do, and the exit code is 0.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			_, err = a.stopDaemon(cmd.Context(), c, timeout)
			return err
		},
	}
	defineTimeout(cmd, &timeout)
	return cmd
}

func defineTimeout(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", 0, "`time` after which the gateway is killed (default: 15s longer than gateway.drain_timeout)")
}

// stopSlack is what a stop may take besides the drain.
const stopSlack = closeTime + 5*time.Second

// stopDaemon stops what runs and tells what it was; the zero State where nothing
// did.
func (a *app) stopDaemon(ctx context.Context, c *config.Config, timeout time.Duration) (daemon.State, error) {
	if timeout <= 0 {
		timeout = c.Gateway.DrainTimeout + stopSlack
	}
	before, err := daemon.Look(c.DataDir)
	if err != nil {
		return daemon.State{}, err
	}
	p := newProgress(a.stderr)
	stopped, err := daemon.Stop(ctx, daemon.StopOptions{
		Dir: c.DataDir, Patience: timeout, Interval: p.interval(),
		Progress: func(pid int, since time.Duration) {
			p.say(fmt.Sprintf("waiting for PID %d to finish%s: %.0fs of at most %.0fs", pid, runningTurns(ctx, before.State.Address), since.Seconds(), timeout.Seconds()))
		},
	})
	p.end()
	if errors.Is(err, daemon.ErrNotRunning) {
		_, err = fmt.Fprintf(a.stdout, "No gateway runs on %s.\n", c.DataDir)
		return daemon.State{}, err
	}
	if err != nil {
		return daemon.State{}, err
	}
	how := "stopped"
	if stopped.Killed {
		how = "killed, as it did not end by itself"
	}
	_, err = fmt.Fprintf(a.stdout, "The gateway (PID %d) was %s after %.1fs.\n", stopped.PID, how, stopped.Took.Seconds())
	return before.State, err
}

func newDaemonRestartCommand(a *app) *cobra.Command {
	var timeout time.Duration
	var f startFlags
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Stop the gateway, and start it again",
		Long: `Stop the gateway as "daemon stop" does, and start it again as "daemon start"
does. Without flags of its own it starts with the flags that it ran with. Where
none runs, it is started.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig(f.overrides()...)
			if err != nil {
				return err
			}
			was, err := a.stopDaemon(cmd.Context(), c, timeout)
			if err != nil {
				return err
			}
			if len(f.args()) == 0 && len(was.Args) > 0 {
				again := newDaemonStartCommand(a)
				if err := again.ParseFlags(was.Args); err != nil {
					return err
				}
				again.SetContext(cmd.Context())
				return again.RunE(again, nil)
			}
			return a.startDaemon(cmd.Context(), &f)
		},
	}
	f.define(cmd)
	cmd.Flags().DurationVar(&f.wait, "wait", 30*time.Second, "`time` the gateway has to answer")
	defineTimeout(cmd, &timeout)
	return cmd
}

func newDaemonLogsCommand(a *app) *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Print the end of the log",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 0 {
				return &usageError{"--lines is a number of lines, 0 or more"}
			}
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			path := daemon.LogFile(c.DataDir)
			err = daemon.Tail(ctx, a.stdout, path, lines, follow)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("there is no log %s: no gateway has run as a daemon on %s", path, filepath.Dir(path))
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is added, until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "`number` of lines to begin with")
	return cmd
}
