package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// Formats of map.
const formatFleet = "fleet"

func newMapCommand() *cobra.Command {
	s := newSource()
	var format string
	cmd := &cobra.Command{
		Use:   "map",
		Short: "Show the meshes of a cluster and their namespaces",
		Long: `Show the meshes of a cluster. The format fleet is a file that stands for the cluster
where there are no credentials for it.`,
		Example: `  # keep what a check of files depends on, to check them elsewhere
  meshfence map -o fleet > fleet.yaml

  # of another cluster
  meshfence map -o fleet --context production`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != formatFleet {
				return fmt.Errorf("-o %q is not one of %s", format, formatFleet)
			}
			checker, err := s.checker()
			if err != nil {
				return &failure{err}
			}
			found, err := s.read(cmd.Context(), checker.Scope, cmd.ErrOrStderr())
			if err != nil {
				return &failure{err}
			}
			text, err := found.inventory.FleetFile()
			if err != nil {
				return &failure{err}
			}
			for _, gap := range found.gaps {
				fmt.Fprintln(cmd.ErrOrStderr(), "left out: "+gap)
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatFleet, "`FORMAT`: fleet")
	s.addFlags(cmd.Flags())
	return cmd
}
