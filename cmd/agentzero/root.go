package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"agentzero/config"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // the command was understood, and failed
	exitUsage   = 2 // the command line is wrong
	exitStopped = 3 // status: no gateway runs, as LSB's init scripts say
)

// app is what all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// environ is the environment as os.Environ returns it; nil means the
	// process's own.
	environ []string

	configFile string // --config, "" without it
	dataDir    string // --data-dir, "" without it
}

// run executes a command line and returns the exit code. An error is printed
// here and nowhere else.
func (a *app) run(ctx context.Context, args []string) int {
	running := false
	root := newRootCommand(a)
	adopt(root, &running)
	root.SetArgs(args)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var silent *exitError
	if errors.As(err, &silent) {
		return silent.code
	}
	var usage *usageError
	if running && !errors.As(err, &usage) {
		a.printError(err.Error())
		return exitFailure
	}
	a.printError(fmt.Sprintf("%v (see \"%s --help\")", err, cmd.CommandPath()))
	return exitUsage
}

func (a *app) printError(message string) {
	_, _ = fmt.Fprintf(a.stderr, "agentzero: %s\n", message)
}

// loadConfig reads the configuration the command line asks for; flags are the
// command's own flags that set keys.
func (a *app) loadConfig(flags ...config.Override) (*config.Config, error) {
	c, err := config.Load(a.configOptions(flags...))
	if err == nil {
		_, err = channelOptions(c) // what a kind needs is not config's to know
	}
	var faults config.Errors
	if errors.As(err, &faults) && len(faults) > 1 {
		return nil, fmt.Errorf("the configuration has %d errors:\n%w", len(faults), err)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (a *app) configOptions(flags ...config.Override) config.Options {
	return config.Options{File: a.configFile, DataDir: a.dataDir, Environ: a.environ, Overrides: flags}
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "agentzero",
		Short: "A gateway for AI agents",
		Long: `agentzero is a gateway for AI agents: it speaks OpenAI's API, WebSocket and
webhooks, and keeps each conversation in an actor of its own.`,
		Version:       readVersion().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)

	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration `file` (default: $AGENTZERO_CONFIG, ./agentzero.toml, {data-dir}/agentzero.toml)")
	flags.StringVar(&a.dataDir, "data-dir", "", "`directory` of the gateway's state (default: $AGENTZERO_DATA_DIR, ~/.agentzero)")
	mustComplete(root.MarkPersistentFlagFilename("config", "toml"))
	mustComplete(root.MarkPersistentFlagDirname("data-dir"))

	root.AddCommand(
		newGatewayCommand(a),
		newChatCommand(a),
		newDaemonCommand(a),
		newServiceCommand(a),
		newStatusCommand(a),
		newHealthCommand(a),
		newDiscoverCommand(a),
		newTokenCommand(a),
		newSessionsCommand(a),
		newChannelsCommand(a),
		newBackupCommand(a),
		newRestoreCommand(a),
		newConfigCommand(a),
		newDoctorCommand(a),
		newManCommand(a),
		newVersionCommand(a),
	)
	root.SetHelpCommand(newHelpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// mustComplete stops a program that is wrong in itself: cobra's completion
// setters fail only for flags that do not exist.
func mustComplete(err error) {
	if err != nil {
		panic(err)
	}
}

// usageError is a wrong command line that cobra cannot see.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// exitError ends a command with an exit code that says all there is to say.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// adopt prepares a command and those below it. A group answers a word that is
// no command of it with an error, where cobra would show its help and succeed.
// The flag running is set when a command's own code starts: an error before
// that is the command line's.
func adopt(cmd *cobra.Command, running *bool) {
	for _, child := range cmd.Commands() {
		adopt(child, running)
	}
	if !cmd.Runnable() {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = runGroup
		return
	}
	run, runE := cmd.Run, cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		*running = true
		if runE != nil {
			return runE(cmd, args)
		}
		run(cmd, args)
		return nil
	}
}

// runGroup runs a command that only holds others.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(group *cobra.Command, name string) error {
	message := fmt.Sprintf("unknown command %q for %q", name, group.CommandPath())
	group.SuggestionsMinimumDistance = 2
	if near := group.SuggestionsFor(name); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{message}
}

// newHelpCommand is cobra's help command, but fails for what does not exist.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			group, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, child := range group.Commands() {
				if child.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(child.Name(), child.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil {
				return &usageError{err.Error()}
			}
			if len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			return found.Help()
		},
	}
}
