package main

import (
	"github.com/spf13/cobra"

	"agentzero/config"
)

// gatewayFlags are the flags of `agentzero gateway`. Most stand for a key of the
// configuration, and are stronger than all else that sets it.
type gatewayFlags struct {
	host, port, logLevel, logFormat string
	demo, newPairing                bool
}

func newGatewayCommand(a *app) *cobra.Command {
	var f gatewayFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run the gateway until it is told to stop",
		Long: `Run the gateway in the foreground. It prints its address and, when no client is
paired, a one-time code to pair the first one; what happens then is logged on
standard error.

SIGTERM and SIGINT (Ctrl-C) end it: it takes no new work, lets what runs finish
for gateway.drain_timeout, and exits with 0; a second signal ends it at once.
SIGHUP reads the configuration again.`,
		Example: `  agentzero gateway --demo
  agentzero gateway --port 8080 --log-format json
  AGENTZERO_AGENT__PROVIDER=local AGENTZERO_PROVIDERS__LOCAL__KIND=ollama agentzero gateway`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runGateway(cmd.Context(), &f, a.foreground())
		},
	}
	f.define(cmd)
	return cmd
}

// define makes the flags of a command.
func (f *gatewayFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "", "`address` to listen on (gateway.host)")
	flags.StringVar(&f.port, "port", "", "`port` to listen on, 0 for any that is free (gateway.port)")
	flags.BoolVar(&f.demo, "demo", false, "let the built-in demo agent answer: no key, no network (agent.provider = \"demo\")")
	flags.BoolVar(&f.newPairing, "new-pairing", false, "revoke all tokens and print a fresh pairing code")
	flags.StringVar(&f.logLevel, "log-level", "", "least `level` that is logged: debug, info, warn or error (log.level)")
	flags.StringVar(&f.logFormat, "log-format", "", "`form` of a line of the log: text or json (log.format)")
	for name, values := range map[string][]cobra.Completion{
		"host":       {"127.0.0.1", "0.0.0.0", "::1"},
		"port":       nil,
		"log-level":  {"debug", "info", "warn", "error"},
		"log-format": {"text", "json"},
	} {
		mustComplete(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
}

// args are the flags as a command line gives them.
func (f *gatewayFlags) args() []string {
	var args []string
	for _, flag := range []struct{ name, value string }{
		{"--host", f.host}, {"--port", f.port}, {"--log-level", f.logLevel}, {"--log-format", f.logFormat},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	if f.demo {
		args = append(args, "--demo")
	}
	return args
}

// overrides are the keys that the flags set.
func (f *gatewayFlags) overrides() []config.Override {
	var list []config.Override
	for _, o := range []config.Override{
		{Key: "gateway.host", Value: f.host, Flag: "--host"},
		{Key: "gateway.port", Value: f.port, Flag: "--port"},
		{Key: "log.level", Value: f.logLevel, Flag: "--log-level"},
		{Key: "log.format", Value: f.logFormat, Flag: "--log-format"},
	} {
		if o.Value != "" {
			list = append(list, o)
		}
	}
	if f.demo {
		list = append(list,
			config.Override{Key: "agent.provider", Value: "demo", Flag: "--demo"},
			// A model chosen for another provider is not the demo agent's.
			config.Override{Key: "agent.model", Value: "", Flag: "--demo"})
	}
	return list
}
