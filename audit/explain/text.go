package explain

import (
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit/terminal"
)

// Formats of an explanation.
const (
	Text = "text"
	JSON = "json"
	YAML = "yaml"
)

// Write returns the explanation in a format.
func (x *Explanation) Write(format string) (string, error) {
	switch format {
	case Text:
		return x.text(), nil
	case JSON:
		raw, err := json.MarshalIndent(x, "", "  ")
		return string(raw) + "\n", err
	case YAML:
		raw, err := yaml.Marshal(x)
		return string(raw), err
	default:
		return "", fmt.Errorf("%q is not one of text, json, yaml", format)
	}
}

// text is what a person reads: facts in rows, now and then beside each other, then what is wrong and what the webhook would say.
func (x *Explanation) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", terminal.Line(x.Of))
	rows := membershipRows(x.Now, x.Then)
	for _, fact := range x.Facts {
		value := strings.Join(fact.Value, ", ")
		if value == "" {
			value = "none"
		}
		rows = append(rows, []string{fact.Name, value})
	}
	writeRows(&b, rows)
	if x.Now != nil && x.Now.Nearest != "" {
		section(&b, "Not discovered:", []string{x.Now.Nearest})
	}
	if x.Then != nil && x.Then.Nearest != "" {
		section(&b, "Not discovered then:", []string{x.Then.Nearest})
	}
	section(&b, "Wrong as it stands:", x.Findings)
	if x.Answer != nil {
		title := "The webhook would admit the change"
		if x.Answer.Refused {
			title = "The webhook would refuse the change"
		}
		if len(x.Answer.Messages) == 0 {
			fmt.Fprintf(&b, "\n%s.\n", title)
		}
		section(&b, title+":", x.Answer.Messages)
	}
	for _, note := range x.Notes {
		fmt.Fprintln(&b)
		fmt.Fprintln(&b, terminal.Lines(note))
	}
	if x.Text != "" {
		fmt.Fprintf(&b, "\n%s\n", x.Text)
	}
	return b.String()
}

func section(b *strings.Builder, title string, texts []string) {
	if len(texts) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, line := range lines(texts) {
		fmt.Fprintf(b, "  %s\n", terminal.Line(line))
	}
}

// membershipRows has a column for each membership.
func membershipRows(now, then *Membership) [][]string {
	if now == nil {
		return nil
	}
	columns := []*Membership{now}
	rows := [][]string{{"labels"}, {"discovered by"}, {"root certificate"}, {"injected by"}}
	if now.Injectors != nil {
		rows = append(rows, []string{"injectors"})
	}
	cells := len(rows)
	if then != nil {
		columns = append(columns, then)
		rows = append([][]string{{"", "now", "then"}}, rows...)
	}
	first := len(rows) - cells
	for _, m := range columns {
		for i, cell := range []string{m.labels(), m.discovery(), strings.Join(m.RootCertificates, ", "), m.injection(), strings.Join(m.Injectors, ", ")}[:cells] {
			if cell == "" {
				cell = "none"
			}
			rows[first+i] = append(rows[first+i], cell)
		}
	}
	return rows
}

func (m *Membership) labels() string {
	var all []string
	for _, key := range sortedKeys(m.Labels) {
		all = append(all, key+"="+m.Labels[key])
	}
	return strings.Join(all, " ")
}

func (m *Membership) discovery() string {
	var all []string
	for _, d := range m.DiscoveredBy {
		all = append(all, fmt.Sprintf("%s (%s)", d.Mesh, d.Selector))
	}
	return strings.Join(all, " and ")
}

func (m *Membership) injection() string {
	i := m.Injection
	switch {
	case i.Revision == "" && i.Label == "":
		return "nothing"
	case i.Mesh == "":
		return fmt.Sprintf("nothing: %s chooses %q, which no mesh has", i.Label, i.Revision)
	case i.Label == "":
		return i.Mesh + " (by default)"
	case i.Tag:
		return fmt.Sprintf("%s (%s chooses the tag %s)", i.Mesh, i.Label, i.Revision)
	default:
		return fmt.Sprintf("%s (%s chooses %s)", i.Mesh, i.Label, i.Revision)
	}
}

// writeRows writes cells in columns; a column is as wide as its widest cell, up to half a line.
func writeRows(b *strings.Builder, rows [][]string) {
	const most = 48
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(most, len([]rune(cell))))
		}
	}
	for _, row := range rows {
		line := " "
		for i, cell := range row {
			line += " " + terminal.Line(cell) + strings.Repeat(" ", max(1, widths[i]-len([]rune(cell))+1))
		}
		fmt.Fprintf(b, "%s\n", strings.TrimRight(line, " "))
	}
}
