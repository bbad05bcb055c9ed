// Command agentzero-bench measures servers that stream chat answers. What it does
// is in the package bench and its folders; here are the commands only.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{stdout: os.Stdout, stderr: os.Stderr}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// tokenVariable is where a server's bearer token is looked for.
const tokenVariable = "AGENTZERO_BENCH_TOKEN"

// secretVariable is where the secret is looked for that signs webhooks, as Standard
// Webhooks has it: whsec_ and base64.
const secretVariable = "AGENTZERO_BENCH_WEBHOOK_SECRET"

// app is what all commands share.
type app struct {
	stdout, stderr io.Writer
}

// run executes a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := newRootCommand(a)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(a.stderr, "agentzero-bench: %v\n", err)
		return 1
	}
	return 0
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "agentzero-bench",
		Short: "Measure servers that stream chat answers",
		Long: `agentzero-bench measures any server that streams chat answers: how late its
deltas come, what it fails at, and what a delta and a stream cost it.

Start "agentzero-bench upstream" as the model, the server under test in front of
it, and let "agentzero-bench run" ask that server. $` + tokenVariable + ` is sent as
the bearer token; $` + secretVariable + ` signs webhooks.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(newUpstreamCommand(a), newFloorCommand(a), newRunCommand(a), newCompareCommand(a), newScenarioCommand(a), newFatesCommand(a))
	return root
}
