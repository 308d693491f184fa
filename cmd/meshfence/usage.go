package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usage prints the second half of a help text, with lines of at most helpWidth. It is no template, as cobra's SetUsageTemplate wants
// one: text/template calls methods by names that the linker does not know, so it would have to keep every method of every
// type, a quarter of the binary.
func usage(c *cobra.Command) error {
	var text strings.Builder
	text.WriteString("Usage:")
	if c.Runnable() {
		fmt.Fprintf(&text, "\n  %s", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\n  %s [command]", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(&text, "\n\nExamples:\n%s", c.Example)
	}
	if c.HasAvailableSubCommands() {
		text.WriteString("\n\nAvailable Commands:")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&text, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		text.WriteString("\n\nFlags:\n" + strings.TrimRight(c.LocalFlags().FlagUsagesWrapped(helpWidth), " \t\n"))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\n\nUse %q for more information about a command.", c.CommandPath()+" [command] --help")
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text.String())
	return err
}
