package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentzero/config"
	"agentzero/daemon"
)

// statusJSON is how a gateway is, for programs.
type statusJSON struct {
	Running bool `json:"running"`
	PID     int  `json:"pid"`
	// Health is ok, draining or unreachable; "" where none runs.
	Health  string  `json:"health"`
	Uptime  float64 `json:"uptime_seconds"`
	Address string  `json:"address"`
	Version string  `json:"version"`
	Agent   string  `json:"agent"`
	// Sessions are those in memory; a turn that runs calls a model now.
	Sessions   int    `json:"sessions"`
	Turns      int    `json:"running_turns"`
	Queued     int    `json:"queued_turns"`
	Supervisor string `json:"supervisor"`
	DataDir    string `json:"data_dir"`
	LogFile    string `json:"log_file"`
	LogBytes   int64  `json:"log_bytes"`
	// Crashed tells that the last gateway ended without stopping.
	Crashed bool `json:"crashed"`
}

func newDaemonStatusCommand(a *app) *cobra.Command {
	cmd := newStatusCommand(a)
	cmd.Short = "Tell whether the gateway runs, and how it is"
	return cmd
}

func newStatusCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how the gateway is that runs on the data directory",
		Long: `Tell how the gateway is that runs on the data directory, however it was started.
The exit code is 0 when it runs, and 3 when it does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			s, err := lookAt(cmd.Context(), c)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(a.stdout, s)
			} else {
				_, err = fmt.Fprint(a.stdout, s)
			}
			if err == nil && !s.Running {
				err = &exitError{exitStopped}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// lookAt finds out how the gateway of a data directory is.
func lookAt(ctx context.Context, c *config.Config) (statusJSON, error) {
	found, err := daemon.Look(c.DataDir)
	if err != nil {
		return statusJSON{}, err
	}
	s := statusJSON{Running: found.Running, DataDir: c.DataDir, Crashed: found.Crashed(), PID: found.State.PID}
	s.LogFile = daemon.LogFile(c.DataDir)
	if info, err := os.Stat(s.LogFile); err == nil {
		s.LogBytes = info.Size()
	}
	if !s.Running {
		return s, nil
	}
	t := found.State
	if !t.Started.IsZero() {
		s.Uptime = max(0, time.Since(t.Started).Seconds())
	}
	s.Address, s.Version, s.Agent, s.Supervisor, s.LogFile = t.Address, t.Version, t.Agent, t.Supervisor, t.LogFile
	s.Health = "starting"
	if t.Address != "" {
		s.ask(ctx)
	}
	return s, nil
}

// askPatience bounds a question to a gateway of this machine.
const askPatience = 3 * time.Second

// ask asks the gateway itself.
func (s *statusJSON) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	s.Health = healthOf(ctx, s.Address)
	gauges := gaugesOf(ctx, s.Address)
	s.Sessions, s.Turns, s.Queued = int(gauges["agentzero_active_sessions"]), int(gauges["agentzero_running_turns"]), int(gauges["agentzero_queued_turns"])
}

func healthOf(ctx context.Context, address string) string {
	status, _, err := get(ctx, address+"/health")
	switch {
	case err != nil:
		return "unreachable"
	case status == http.StatusOK:
		return "ok"
	default:
		return "draining"
	}
}

// gaugesOf are a gateway's metrics that have no labels, by name; none where it
// cannot be asked.
func gaugesOf(ctx context.Context, address string) map[string]float64 {
	_, body, err := get(ctx, address+"/metrics")
	if err != nil {
		return nil
	}
	gauges := make(map[string]float64)
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			gauges[name] = value
		}
	}
	return gauges
}

// runningTurns is a clause about what a gateway still does.
func runningTurns(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	switch n := gaugesOf(ctx, address)["agentzero_running_turns"]; {
	case n == 1:
		return " 1 running turn"
	case n > 1:
		return fmt.Sprintf(" %.0f running turns", n)
	default:
		return ""
	}
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// get asks a gateway of this machine.
func get(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, string(data), err
}

// String is for people.
func (s statusJSON) String() string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", name, text)
		}
	}
	if !s.Running {
		fmt.Fprintf(&b, "No gateway runs on %s.\n", s.DataDir)
		if s.Crashed {
			line("last", fmt.Sprintf("PID %d ended without stopping well; what it had accepted goes on at the next start", s.PID))
			line("see", s.LogFile+" and daemon.err beside it")
		}
		return b.String()
	}
	fmt.Fprintf(&b, "agentzero runs: %s\n", s.Health)
	line("pid", strconv.Itoa(s.PID))
	line("uptime", roundTime(time.Duration(s.Uptime*float64(time.Second))))
	line("address", s.Address)
	line("version", s.Version)
	line("agent", s.Agent)
	line("sessions", fmt.Sprintf("%d in memory; turns: %d running, %d queued", s.Sessions, s.Turns, s.Queued))
	line("service", s.Supervisor)
	line("data", s.DataDir)
	if s.LogFile != "" {
		line("log", fmt.Sprintf("%s (%s)", s.LogFile, byteSize(s.LogBytes)))
	}
	return b.String()
}

// roundTime is a time as a person says it.
func roundTime(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return d.Round(time.Second).String()
	}
}

// byteSize is a number of bytes as a person says it.
func byteSize(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

func newHealthCommand(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the gateway for its health: exit code 0 when it takes work",
		Long: `Ask the gateway of the data directory, or of the configured address where none is
known to run there, for its health. The exit code is 0 when it takes work, and 1
when it is draining, does not answer, or does not run: for a container's health
check and for scripts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			address, err := gatewayAddress(c)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if err := daemon.Healthy(ctx, client, address); err != nil {
				return fmt.Errorf("not healthy: %w", err)
			}
			_, err = fmt.Fprintln(a.stdout, "ok")
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", askPatience, "`time` the gateway has to answer")
	return cmd
}

// gatewayAddress is the base URL of the gateway that runs on the data directory,
// or else of the one that the configuration means.
func gatewayAddress(c *config.Config) (string, error) {
	found, err := daemon.Look(c.DataDir)
	if err != nil {
		return "", err
	}
	if found.Running && found.State.Address != "" {
		return found.State.Address, nil
	}
	if c.Gateway.Port == 0 {
		return "", errors.New("no gateway runs on " + c.DataDir + ", and gateway.port is 0, which is no address")
	}
	host := c.Gateway.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.Gateway.Port)), nil
}
