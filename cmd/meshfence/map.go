package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfence/meshfence/audit/picture"
	"github.com/meshfence/meshfence/audit/report"
)

// formatFleet is the format of map that is no picture.
const formatFleet = "fleet"

// allNamespaces is the value of --namespaces that hides none.
const allNamespaces = "all"

// mapCommand is the command and its flags.
type mapCommand struct {
	*input
	format     string
	meshes     []string
	namespaces string
}

func newMapCommand() *cobra.Command {
	m := &mapCommand{input: newInput()}
	cmd := &cobra.Command{
		Use:   "map",
		Short: "Show the meshes of a cluster and their namespaces",
		Long: `Show the meshes with their selectors, revisions, tags and control-plane namespaces, the
namespaces that each discovers, those that belong nowhere, and what is wrong at its
place: what is wrong comes first. What only a look at pods and certificates shows is
in meshfence check.

The exit status is 2 if something could not be read, and 0 otherwise.

The format fleet is no picture: it is a file that stands for the cluster in
meshfence check --against, where there are no credentials for it.`,
		Example: `  # a tree in the terminal, with all namespaces of one mesh
  meshfence map --mesh mesh-1 --namespaces all

  # a page to open in a browser, and a file to check against
  meshfence map -o html > map.html
  meshfence map -o fleet > fleet.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := m.complete()
			if err != nil {
				return err
			}
			text, all, err := m.draw(cmd, options)
			if err == nil {
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			}
			if err != nil {
				tellError(cmd.ErrOrStderr(), err.Error())
			}
			if err != nil || !all {
				return outcome(report.StatusUnjudged)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&m.format, "output", "o", string(picture.Tree), "`FORMAT`: tree, wide, json, yaml, fleet, mermaid, dot, svg or html")
	flags.StringArrayVar(&m.meshes, "mesh", nil, "show this `MESH` only; repeatable")
	flags.StringVar(&m.namespaces, "namespaces", "10", "how many namespaces of a mesh are shown before the rest is counted: a `NUMBER`, or all")
	m.addFlags(flags)
	return cmd
}

// complete checks the flags.
func (m *mapCommand) complete() (picture.Options, error) {
	if err := m.validate(); err != nil {
		return picture.Options{}, err
	}
	options := picture.Options{Meshes: m.meshes, ASCII: !isUTF8(os.Getenv)}
	if m.format != formatFleet {
		if _, err := picture.ParseFormat(m.format); err != nil {
			return options, fmt.Errorf("-o %w; and fleet is a file for check --against", err)
		}
	}
	if m.namespaces == allNamespaces {
		return options, nil
	}
	n, err := strconv.Atoi(m.namespaces)
	if err != nil || n < 1 {
		return options, fmt.Errorf("--namespaces %q is no number from 1, and not all", m.namespaces)
	}
	options.MaxNamespaces = n
	return options, nil
}

// isUTF8 reports whether the locale says that the terminal shows more than ASCII. The first variable that is set decides (POSIX.1-2017, 8.2);
// without any, a terminal of our days does.
func isUTF8(getenv func(string) string) bool {
	locale := cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"))
	name := strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return locale == "" || strings.Contains(name, "utf8")
}

// draw looks at the input, and tells on standard error what is missing; all reports whether nothing is.
func (m *mapCommand) draw(cmd *cobra.Command, options picture.Options) (text string, all bool, err error) {
	checker, err := m.checker()
	if err != nil {
		return "", false, err
	}
	l, err := m.look(cmd.Context(), checker.Scope, cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return "", false, err
	}
	shown := l.everything()
	var gaps []string
	for _, note := range slices.Concat(l.notices, l.problems) {
		tell(cmd.ErrOrStderr(), "left out: "+note.String())
	}
	for _, problem := range l.problems {
		gaps = append(gaps, problem.String())
	}
	if m.format == formatFleet && len(gaps) > 0 { // what is not in the file would be taken for absent
		return "", false, errors.New("no file is written that would stand for a part of the cluster; standard error says what was left out")
	}
	if m.format == formatFleet {
		file, err := shown.FleetFile()
		return string(file), true, err
	}
	if len(shown.Keys()) == 0 && len(gaps) > 0 {
		return "", false, errors.New("there is nothing to show: " + strings.Join(gaps, "; "))
	}
	drawn := pictureOf(checker, shown, checker.State(shown).Findings)
	drawn.Gaps = gaps
	text, err = picture.Draw(drawn, picture.Format(m.format), options)
	return text, len(gaps) == 0, err
}
