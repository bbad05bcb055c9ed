package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"agentzero/config"
	"agentzero/daemon/service"
)

// serviceFlags are those of all service commands.
type serviceFlags struct {
	init   string
	dryRun bool
}

func newServiceCommand(a *app) *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Make the gateway a service of this machine",
		Long: `Make the gateway a service that starts by itself and is started again when it
fails: a unit of your own under systemd, which needs no root, or a service of the
machine's under OpenRC, which does. On other systems let your service manager run
"agentzero daemon start --foreground".`,
		Example: `  agentzero service install && agentzero service start
  agentzero service install --service-init systemd --dry-run`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.init, "service-init", "auto", "service `manager`: auto, systemd or openrc")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be written and run, and do nothing")
	mustComplete(cmd.RegisterFlagCompletionFunc("service-init", cobra.FixedCompletions([]cobra.Completion{"auto", initSystemd, initOpenRC}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.AddCommand(newServiceInstallCommand(a, &f), newServiceUninstallCommand(a, &f))
	for _, c := range []struct {
		name, short string
		plan        func(service.Manager) service.Plan
	}{
		{"start", "Start the service", service.Manager.Start},
		{"stop", "Stop the service", service.Manager.Stop},
		{"restart", "Restart the service", service.Manager.Restart},
		{"status", "Tell whether the service runs: exit code 0, or 3 where it does not", service.Manager.Status},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.name, Short: c.short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				m, err := f.manager()
				if err != nil {
					return err
				}
				return a.operate(cmd.Context(), c.name, f, m, c.plan(m))
			},
		})
	}
	return cmd
}

func newServiceInstallCommand(a *app, f *serviceFlags) *cobra.Command {
	var gateway gatewayFlags
	var runAs string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the service, or install it anew",
		Long: `Install the service, which then starts with the machine (OpenRC) or with your
login (systemd). It runs this program's file with the configuration and the data
directory of this command; variables of this shell's environment are not its own.
Installing twice is safe.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig(gateway.overrides()...)
			if err != nil {
				return err
			}
			return a.installService(cmd.Context(), f, c, &gateway, runAs)
		},
	}
	gateway.define(cmd)
	mustComplete(cmd.Flags().MarkHidden("new-pairing"))
	cmd.Flags().StringVar(&runAs, "user", "", "`name` of the user it runs as under OpenRC (default: who calls sudo, else who runs this)")
	return cmd
}

func (a *app) installService(ctx context.Context, f *serviceFlags, c *config.Config, gateway *gatewayFlags, runAs string) error {
	m, err := f.manager()
	if err != nil {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	args := append([]string{"daemon", "start", "--foreground"}, a.commonArgs(c)...)
	plan, err := m.Install(service.Program{
		Path: path, Args: append(args, gateway.args()...), DataDir: c.DataDir,
		StopTimeout: c.Gateway.DrainTimeout + stopSlack, User: serviceUser(runAs),
	})
	if err != nil {
		return err
	}
	if f.dryRun {
		_, err = fmt.Fprint(a.stdout, plan)
		return err
	}
	if err := a.apply(ctx, m, plan); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "Installed %s.\nStart it: agentzero service start\n", m.Path())
	for _, hint := range a.serviceHints(m) {
		_, more := fmt.Fprintln(a.stdout, hint)
		err = errors.Join(err, more)
	}
	return err
}

// serviceHints are what a person should know besides.
func (a *app) serviceHints(m service.Manager) []string {
	var hints []string
	if s, ok := m.(service.Systemd); ok {
		if name, lingers := s.Lingers(); !lingers {
			hints = append(hints, "It ends when you log out, unless you linger: loginctl enable-linger "+name)
		}
	}
	environ := a.environ
	if environ == nil {
		environ = os.Environ()
	}
	var ignored []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AGENTZERO_") && strings.Contains(name, "__") || name == "AGENTZERO_GATEWAY_BEARER_TOKEN" {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) > 0 {
		hints = append(hints, "The service does not see this shell's "+strings.Join(ignored, ", ")+": set it in the configuration.")
	}
	return hints
}

func newServiceUninstallCommand(a *app, f *serviceFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the service and take it away; its data stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			m, err := f.manager()
			if err != nil {
				return err
			}
			if f.dryRun {
				_, err = fmt.Fprint(a.stdout, m.Uninstall())
				return err
			}
			if _, err := os.Stat(m.Path()); errors.Is(err, os.ErrNotExist) {
				_, err = fmt.Fprintf(a.stdout, "No service is installed (%s is not there).\n", m.Path())
				return err
			}
			if err := a.apply(cmd.Context(), m, m.Uninstall()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "Uninstalled %s. The data stays in %s.\n", m.Path(), c.DataDir)
			return err
		},
	}
}

// operate carries out a plan for a service that is installed.
func (a *app) operate(ctx context.Context, verb string, f serviceFlags, m service.Manager, plan service.Plan) error {
	if f.dryRun {
		_, err := fmt.Fprint(a.stdout, plan)
		return err
	}
	if _, err := os.Stat(m.Path()); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no service is installed (%s is not there): run \"agentzero service install\" first", m.Path())
	}
	err := a.apply(ctx, m, plan)
	var exit *service.ExitError
	if verb == "status" && errors.As(err, &exit) {
		return &exitError{exit.Code}
	}
	return err
}

// apply carries out a plan, and explains what goes wrong most.
func (a *app) apply(ctx context.Context, m service.Manager, plan service.Plan) error {
	err := service.Apply(ctx, plan, a.stderr)
	var exit *service.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: that service manager is not on this machine; choose another with --service-init", err)
	case errors.As(err, &exit) && strings.Contains(exit.Said, "Failed to connect to bus"):
		return fmt.Errorf("your own service manager (systemd --user) does not run: log in as this user, not by su or sudo, or run \"loginctl enable-linger\" once")
	}
	return err
}

// manager is the service manager that is meant.
func (f *serviceFlags) manager() (service.Manager, error) {
	name := f.init
	if name == "auto" {
		if name = detectInit(); name == "" {
			return nil, fmt.Errorf("neither systemd nor OpenRC runs this machine (%s): let its service manager run \"agentzero daemon start --foreground\", or name one with --service-init", runtime.GOOS)
		}
	}
	switch name {
	case initSystemd:
		return service.NewSystemd(), nil
	case initOpenRC:
		return service.OpenRC{}, nil
	default:
		return nil, &usageError{fmt.Sprintf("--service-init is auto, systemd or openrc, not %q", f.init)}
	}
}

// detectInit is the service manager that runs this machine, "" for none that is
// known. Both managers say how they are told.
func detectInit() string {
	if _, err := os.Stat("/run/systemd/system"); err == nil { // sd_booted(3)
		return initSystemd
	}
	if _, err := os.Stat("/run/openrc"); err == nil {
		return initOpenRC
	}
	return ""
}

// serviceUser is who a service of the machine's runs as.
func serviceUser(named string) string {
	if named != "" {
		return named
	}
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}
