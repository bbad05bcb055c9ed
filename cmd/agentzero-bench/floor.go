package main

import (
	"net"

	"github.com/spf13/cobra"

	"agentzero/bench/floor"
)

func newFloorCommand(a *app) *cobra.Command {
	var address, up, variant string
	cmd := &cobra.Command{
		Use:   "floor",
		Short: "Serve the least that a gateway in Go can do, to compare with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := floor.New(floor.Variant(variant), up)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			// Its streams end with the process: a floor keeps no account of them.
			return a.serve(cmd.Context(), l, s.Serve, func() error { return nil })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "listen", "127.0.0.1:18702", "`address` to listen on")
	flags.StringVar(&up, "upstream", "127.0.0.1:18701", "`address` to pass everything to")
	flags.StringVar(&variant, "variant", string(floor.Hijack), "how it streams: hijack or body-stream")
	return cmd
}
