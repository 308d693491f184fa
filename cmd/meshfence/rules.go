package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/policy"
)

func newRulesCommand() *cobra.Command {
	s := newSource()
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List the rules, with the action of each",
		Long: `List the rules by code, each with the action that it has by default and, where the
configuration or --rules says otherwise, the one that it has there.`,
		Example: `  # the defaults
  meshfence rules

  # as a configuration file has them
  meshfence rules --config config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.configuration()
			if err != nil {
				return &failure{err}
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), rulesTable(webhook.Settings(c).Actions)); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	s.addConfigurationFlags(cmd.Flags())
	return cmd
}

// rulesTable lists the rules in columns.
func rulesTable(actions policy.Actions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-6s %-28s %-8s %s\n", "CODE", "NAME", "DEFAULT", "HERE")
	for _, rule := range policy.AllRules() {
		here := "as by default"
		if action := actions.Of(rule); action != rule.Action {
			here = action.String()
		}
		fmt.Fprintf(&b, "%-6s %-28s %-8s %s\n", rule.Code, rule.Name, rule.Action, here)
	}
	return b.String()
}
