package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"agentzero/bench"
)

func newFatesCommand(a *app) *cobra.Command {
	var (
		t    bench.Target
		wait time.Duration
	)
	cmd := &cobra.Command{
		Use:   "fates URL",
		Short: "Check that agentzero accounts for every message it has accepted",
		Long: `Read agentzero's /metrics until the messages that have ended and those in flight
are as many as were accepted. It fails when they are not within the wait.`,
		Example: `  agentzero-bench fates http://127.0.0.1:42617`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Name, t.URL = args[0], args[0]
			f, err := settledFates(cmd.Context(), t, wait)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%d accepted, %d in flight", f.Accepted, f.InFlight)
			for _, fate := range slices.Sorted(maps.Keys(f.Ended)) {
				fmt.Fprintf(a.stdout, ", %d %s", f.Ended[fate], fate)
			}
			fmt.Fprintln(a.stdout)
			if f.Sum() != f.Accepted {
				return fmt.Errorf("%d messages were accepted, but %d are accounted for", f.Accepted, f.Sum())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&t.Remote, "remote", false, "allow a server on another machine, which must be your own")
	cmd.Flags().DurationVar(&wait, "wait", 5*time.Second, "for the sum to come right; the counters of a busy gateway are not read in one instant")
	return cmd
}

// settledFates returns the first account that is right, or the last one.
func settledFates(ctx context.Context, t bench.Target, wait time.Duration) (*bench.Fates, error) {
	over := time.Now().Add(wait)
	for {
		f, err := bench.ReadFates(ctx, t)
		if err != nil || f.Sum() == f.Accepted || time.Now().After(over) {
			return f, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
