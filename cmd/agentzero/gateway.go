package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newGatewayCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:   "gateway",
		Short: "Run the gateway",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("the gateway is not part of this build")
		},
	}
}
