package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"agentzero/config"
)

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and show the configuration",
	}
	cmd.AddCommand(newConfigInitCommand(a), newConfigCheckCommand(a), newConfigShowCommand(a))
	return cmd
}

func newConfigInitCommand(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "init [PATH]",
		Short: "Write a commented configuration file with every key",
		Long: `Write a commented configuration file with every key and its default, readable
by you only, and print its path. Without PATH it goes where the gateway will
find it: to --config, $AGENTZERO_CONFIG, or the data directory.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeConfigFile,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.nameConfigFile(args); err != nil {
				return err
			}
			return a.initConfig(force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	return cmd
}

func newConfigCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [PATH]",
		Short: "Check the configuration and report every error",
		Long: `Check the configuration as the gateway would read it: the file, the
environment and the secrets they refer to. Every error is reported with its
place; the exit code is 1 then.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeConfigFile,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.nameConfigFile(args); err != nil {
				return err
			}
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			what := c.File
			if what == "" {
				what = "no configuration file, the defaults and the environment are used"
			}
			_, err = fmt.Fprintln(a.stdout, "ok: "+what)
			return err
		},
	}
}

func newConfigShowCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print every value and where it came from",
		Long: `Print every value in use and its origin: default, file:PATH:LINE, env:NAME or
flag:--name. Secrets are printed as ***.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.loadConfig()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, struct {
					File     string           `json:"file"`
					Settings []config.Setting `json:"settings"`
				}{c.File, config.Settings(c)})
			}
			_, err = fmt.Fprint(a.stdout, config.Show(c))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func completeConfigFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// nameConfigFile takes the PATH of a command as --config.
func (a *app) nameConfigFile(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if a.configFile != "" {
		return &usageError{"give the file as an argument or as --config, not both"}
	}
	if args[0] == "" {
		return &usageError{"the path of the file is empty"}
	}
	a.configFile = args[0]
	return nil
}

// initConfig writes the file of config.Template.
func (a *app) initConfig(force bool) error {
	path, dataDir, err := config.InitPath(a.configOptions())
	if err != nil {
		return err
	}
	if dataDir != "" {
		warnings, err := config.EnsureDataDir(dataDir)
		if err != nil {
			return err
		}
		for _, warning := range warnings {
			_, _ = fmt.Fprintln(a.stderr, "agentzero: warning: "+warning)
		}
	}
	if force {
		err = replaceFile(path, config.Template())
	} else if err = createFile(path, config.Template()); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: use --force to replace it", path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, path)
	return err
}

// createFile writes a new file, and leaves none behind if it cannot.
func createFile(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// replaceFile writes beside the old file and then takes its place, so that a
// failure leaves the old one.
func replaceFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".agentzero-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
