package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
		own, kubectl := flagsOf(c)
		text.WriteString("\n\nFlags:\n" + strings.TrimRight(own.FlagUsagesWrapped(helpWidth), " \t\n"))
		if len(kubectl) > 0 {
			text.WriteString("\n\nFlags that choose the cluster and the user, as in kubectl:\n" + wrapped(kubectl))
		}
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\n\nUse %q for more information about a command.", c.CommandPath()+" [command] --help")
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text.String())
	return err
}

// flagsOf returns the flags that a help text explains, and the names of those that are kubectl's.
func flagsOf(c *cobra.Command) (own *pflag.FlagSet, kubectl []string) {
	own = pflag.NewFlagSet(c.Name(), pflag.ContinueOnError)
	own.SortFlags = c.Flags().SortFlags
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if _, marked := flag.Annotations[ofKubectl]; marked {
			kubectl = append(kubectl, "--"+flag.Name)
		} else {
			own.AddFlag(flag)
		}
	})
	return own, kubectl
}

// wrapped sets words in lines of at most helpWidth, indented.
func wrapped(words []string) string {
	line, lines := " ", []string(nil)
	for _, word := range words {
		if len(line)+1+len(word) > helpWidth {
			lines, line = append(lines, line), " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}
