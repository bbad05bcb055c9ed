package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"agentzero/bench/upstream"
)

func newUpstreamCommand(a *app) *cobra.Command {
	o := upstream.Options{Behaviour: upstream.Default}
	var address string
	cmd := &cobra.Command{
		Use:   "upstream",
		Short: "Serve a mock OpenAI-compatible model whose deltas tell when they were sent",
		Long: `Serve a mock of an OpenAI-compatible model until told to stop.

The flags say how it answers. A request can ask for something else by the name of
its model, for example "mock:tokens=200,interval=20ms,first=300ms,errors=0.01".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := upstream.New(o)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), l, s.Serve, func() error {
				err := s.Close()
				fmt.Fprintf(a.stdout, "%+v\n", s.Stats())
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "listen", "127.0.0.1:18701", "`address` to listen on")
	flags.DurationVar(&o.Tick, "tick", 250*time.Microsecond, "how exactly deltas keep their times")
	flags.Uint64Var(&o.Seed, "seed", 0, "of all chances")
	behaviourFlags(cmd, &o.Behaviour)
	return cmd
}

func behaviourFlags(cmd *cobra.Command, b *upstream.Behaviour) {
	flags := cmd.Flags()
	flags.IntVar(&b.Tokens, "tokens", b.Tokens, "deltas in an answer")
	flags.DurationVar(&b.Interval, "interval", b.Interval, "between two deltas")
	flags.DurationVar(&b.First, "first", b.First, "from the request to the first delta")
	flags.DurationVar(&b.Jitter, "jitter", b.Jitter, "each wait is longer or shorter by up to this")
	flags.IntVar(&b.Bytes, "bytes", b.Bytes, "least length of a delta's text")
	flags.Float64Var(&b.Errors, "errors", b.Errors, "`share` of requests that are refused, 0 to 1")
	flags.IntVar(&b.Status, "error-status", b.Status, "of a refusal (0: 500)")
	flags.Float64Var(&b.Cuts, "cuts", b.Cuts, "`share` of answers that break off, 0 to 1")
}

// serve prints the address and serves until the context ends.
func (a *app) serve(ctx context.Context, l net.Listener, serve func(net.Listener) error, stop func() error) error {
	fmt.Fprintf(a.stdout, "listening on %s\n", l.Addr())
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	select {
	case err := <-served:
		return errors.Join(err, stop())
	case <-ctx.Done():
		return stop()
	}
}
