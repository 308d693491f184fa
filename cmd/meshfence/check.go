package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/report"
	"github.com/meshfence/meshfence/webhook/config"
)

// check is the command and its flags.
type check struct {
	*input
	outputs       []string
	failOn        string
	baseline      string
	writeBaseline string
	replay, all   bool
}

func newCheckCommand() *cobra.Command {
	c := &check{input: newInput()}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Judge what exists, or files before they are applied",
		Long: `Judge the meshes, tags, namespaces and the mesh map of a cluster as they stand, or
files, by the rules of the webhook and with its messages. Nothing is changed. Of a
cluster the rules MF901 to MF916 are judged too: root certificates, injectors, pods,
mutual TLS, the state of the control planes.

Files alone need no cluster. What is not among them is not known, so what depends on
it is listed as not judged. With --against the files are laid over a cluster, as
kubectl apply would do it, and only what they make newly wrong counts.

The exit status is the same for every format:
  0  nothing is wrong, or nothing that --fail-on names
  1  there are findings
  2  something could not be judged: an input that cannot be read, a right that is
     missing, a cluster out of reach; also if there are findings besides`,
		Example: `  # a cluster, by its kubeconfig
  meshfence check

  # the files of a pull request, in continuous integration
  meshfence check -f manifests/ --against fleet.yaml -o table -o sarif=meshfence.sarif`,
		Args: cobra.NoArgs,
		RunE: c.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&c.outputs, "output", "o", []string{string(report.Table)}, "`FORMAT[=FILE]`, repeatable: table, wide, json, yaml, sarif, junit, github or markdown, to standard output or a file")
	flags.StringVar(&c.failOn, "fail-on", string(report.FailOnDeny), "which findings lead to exit status 1: `LEVEL` deny (what would be refused), warn (any) or never")
	flags.BoolVar(&c.replay, "replay", false, "answer the documents of the files in their order, as the webhook would: refused, warned, filled in")
	flags.BoolVar(&c.all, "all", false, "list also what does not count: what was wrong before, and what becomes wrong elsewhere")
	flags.StringVar(&c.baseline, "baseline", "", "`FILE` of findings that are accepted for now; only others count")
	flags.StringVar(&c.writeBaseline, "write-baseline", "", "write a `FILE` that accepts what is found now")
	c.addFlags(flags)
	return cmd
}

// run checks the flags, looks, judges and reports.
func (c *check) run(cmd *cobra.Command, _ []string) error {
	if err := c.validate(); err != nil {
		return err
	}
	failOn, err := report.ParseFailOn(c.failOn)
	if err != nil {
		return fmt.Errorf("--fail-on %w", err)
	}
	targets, err := parseTargets(c.outputs)
	if err != nil {
		return err
	}
	if c.replay && len(c.paths) == 0 {
		return errors.New("--replay needs files to answer: -f FILE")
	}
	r, err := c.report(cmd)
	if err == nil {
		err = c.write(cmd, r, targets)
	}
	if err != nil {
		tellError(cmd.ErrOrStderr(), err.Error())
		return outcome(report.StatusUnjudged)
	}
	if status := r.Status(failOn); status != report.StatusClean {
		return outcome(status)
	}
	return nil
}

// target is where one format of the report goes; standard output if file is "".
type target struct {
	format report.Format
	file   string
}

func parseTargets(outputs []string) ([]target, error) {
	var targets []target
	toStdout := 0
	for _, output := range outputs {
		name, file, named := strings.Cut(output, "=")
		format, err := report.ParseFormat(name)
		if err != nil {
			return nil, fmt.Errorf("-o %w", err)
		}
		if named && file == "" {
			return nil, fmt.Errorf("-o %s: there is no file behind the equals sign", output)
		}
		if file == "" {
			toStdout++
		} else if slices.ContainsFunc(targets, func(t target) bool { return t.file != "" && sameFile(t.file, file) }) {
			return nil, fmt.Errorf("-o %s: another format goes to that file already", output)
		}
		targets = append(targets, target{format, file})
	}
	if toStdout > 1 {
		return nil, errors.New("-o: only one format can go to standard output; give the others a file, as in -o sarif=meshfence.sarif")
	}
	return targets, nil
}

// sameFile reports whether two paths name one file, as far as that can be known before it is written.
func sameFile(a, b string) bool {
	absoluteA, errA := filepath.Abs(a)
	absoluteB, errB := filepath.Abs(b)
	if errA == nil && errB == nil && absoluteA == absoluteB {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
}

// report looks and judges.
func (c *check) report(cmd *cobra.Command) (*report.Report, error) {
	checker, err := c.checker()
	if err != nil {
		return nil, err
	}
	l, err := c.look(cmd.Context(), checker.Scope, cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	var r *report.Report
	if c.replay {
		r, err = c.replayed(checker, l)
	} else {
		l.last()
		r, err = c.judged(cmd, checker, l)
	}
	if err != nil {
		return nil, err
	}
	r.Version, r.ListAll = thisRelease(nil).version, c.all
	r.InRepository = (&repositories{stdinName: c.stdinName}).name
	addNotes(r, l)
	if c.baseline != "" {
		text, err := config.ReadFile(c.baseline)
		if err != nil {
			return nil, fmt.Errorf("--baseline: %w", err)
		}
		accepted, err := report.ParseBaseline(text)
		if err != nil {
			return nil, fmt.Errorf("--baseline %s: %w", c.baseline, err)
		}
		r.Accept(accepted)
	}
	r.Sort()
	return r, nil
}

// judged judges a cluster, files, or files laid over a cluster.
func (c *check) judged(cmd *cobra.Command, checker *audit.Checker, l *looked) (*report.Report, error) {
	where := newPlaces(l.documents)
	switch {
	case len(c.paths) == 0 && c.against == againstCluster:
		return c.judgedCluster(cmd, checker, l)
	case len(c.paths) == 0:
		r := newReport(checker, l.stored, false)
		r.Source = "the cluster of " + c.against
		r.Findings = where.findings(checker.State(l.stored).Findings)
		return r, nil
	case l.stored == nil:
		result := checker.Files(l.inventory())
		r := newReport(checker, l.inventory(), false)
		r.Source, r.Findings, r.NotJudged = "files", where.findings(result.Findings), gapsOf(result.NotJudged)
		return r, nil
	default:
		result, err := checker.Laid(l.stored, l.inventory())
		if err != nil {
			return nil, err
		}
		r := newReport(checker, l.inventory(), true)
		r.Source = "files laid over a cluster"
		r.Findings = where.findings(result.Findings)
		r.Elsewhere = append(where.findings(result.Before), where.findings(result.Elsewhere)...)
		return r, nil
	}
}

// judgedCluster judges a cluster, with what only a look at it can tell.
func (c *check) judgedCluster(cmd *cobra.Command, checker *audit.Checker, l *looked) (*report.Report, error) {
	seen, err := c.observe(cmd.Context(), checker, l.stored, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	l.note(seen.gaps, seen.notices)
	r := newReport(checker, l.stored, false)
	r.Source = "the cluster"
	addObserved(r, checker, seen.cluster)
	result := checker.Cluster(l.stored, seen.cluster)
	r.Findings, r.NotJudged = newPlaces(nil).findings(result.Findings), gapsOf(result.NotJudged)
	for i := range result.Accepted {
		f := newPlaces(nil).finding(&result.Accepted[i].Offence)
		f.Until = result.Accepted[i].Until
		r.ByObject = append(r.ByObject, f)
	}
	return r, nil
}

// replayed answers the documents in their order.
func (c *check) replayed(checker *audit.Checker, l *looked) (*report.Report, error) {
	stored := l.stored
	if stored == nil {
		stored = &audit.Inventory{}
	}
	answers, err := checker.Replay(stored, l.objects)
	if err != nil {
		return nil, err
	}
	r := newReport(checker, l.inventory(), true)
	r.Source = "files, replayed in their order"
	for i, answer := range answers {
		where := newPlaces(l.documents[i : i+1])
		r.Findings = append(r.Findings, where.findings(answer.Findings)...)
		for _, note := range answer.Notes {
			r.Notices = append(r.Notices, noteOf(l.documents[i].Place(), note))
		}
	}
	return r, nil
}

// write writes the report in each format, and what a person should know besides to standard error.
func (c *check) write(cmd *cobra.Command, r *report.Report, targets []target) error {
	for _, notes := range [][]report.Note{r.Notices, r.Problems} {
		for _, note := range notes {
			tell(cmd.ErrOrStderr(), note.String())
		}
	}
	if c.writeBaseline != "" {
		text, err := r.Baseline()
		if err == nil {
			err = os.WriteFile(c.writeBaseline, text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("--write-baseline: %w", err)
		}
	}
	if !slices.ContainsFunc(targets, func(t target) bool { return t.file == "" }) {
		for _, line := range r.Summary() {
			tell(cmd.ErrOrStderr(), line)
		}
	}
	for _, t := range targets {
		if err := writeTo(cmd.OutOrStdout(), r, t); err != nil {
			return fmt.Errorf("-o %s: %w", t.format, err)
		}
	}
	return nil
}

func writeTo(stdout io.Writer, r *report.Report, t target) error {
	if t.file == "" {
		return r.Write(stdout, t.format)
	}
	file, err := os.Create(t.file)
	if err != nil {
		return err
	}
	return errors.Join(r.Write(file, t.format), file.Close())
}
