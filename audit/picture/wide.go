package picture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is a table for a terminal: cells in columns that are as wide as their widest cell.
type table struct {
	rows [][]string
}

// none stands in an empty cell, as in kubectl's tables.
const none = "<none>"

func (t *table) add(cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = none
		}
	}
	t.rows = append(t.rows, cells)
}

// write writes the table. The last cell of a row is not padded.
func (t *table) write(b *strings.Builder) {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t.rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+3))
		}
		b.WriteString(row[last] + "\n")
	}
}

// wide writes the meshes and the namespaces as two tables, and a third of what is wrong.
func wide(v *view) string {
	name := clean
	if v.ascii {
		name = ascii
	}
	var b strings.Builder
	b.WriteString(v.headline() + "\n")
	for _, t := range []*table{v.faultTable(name), v.meshTable(name), v.namespaceTable(name), v.tagTable(name)} {
		if len(t.rows) > 1 {
			b.WriteString("\n")
			t.write(&b)
		}
	}
	for _, text := range append(v.notes(), v.missing()...) {
		fmt.Fprintf(&b, "\n%s\n", name(text))
	}
	return b.String()
}

func (v *view) faultTable(name func(string) string) *table {
	t := &table{}
	t.add("WRONG", "NAME", "STATE", "WHY")
	shown, more := some(v.wrong, v.limit)
	for _, f := range shown {
		t.add(f.kind, name(f.name), f.state.String(), v.sayFault(f, name))
	}
	if more > 0 {
		t.add(strconv.Itoa(more) + " more")
	}
	return t
}

func (v *view) meshTable(name func(string) string) *table {
	t := &table{}
	t.add("MESH", "KIND", "CONTROL PLANE", "VERSION", "REVISIONS", "TAGS", "TRAITS", "NAMESPACES", "FINDINGS", "DISCOVERS")
	for i := range v.Meshes {
		m := &v.Meshes[i]
		var revisions, tags []string
		for _, r := range m.Revisions {
			revisions = append(revisions, r.Name)
		}
		for _, tag := range m.Tags {
			tags = append(tags, tag.Name+"="+tag.Revision)
		}
		t.add(name(m.Name), name(m.Kind), name(m.ControlPlane), name(m.version()), name(strings.Join(revisions, ",")),
			name(strings.Join(tags, ",")), name(strings.Join(m.traits(), ",")), strconv.Itoa(len(m.Namespaces)), justCodes(m.Findings, name),
			name(strings.Join(m.discovers(), " or ")))
	}
	return t
}

// namespaceTable has a row for each namespace, also for one that several meshes discover.
func (v *view) namespaceTable(name func(string) string) *table {
	t := &table{}
	t.add("NAMESPACE", "STATE", "DISCOVERED BY", "INJECTED BY", "OF MESH", "FINDINGS", "LABELS")
	seen := map[string]bool{}
	add := func(list []Namespace) {
		shown, _ := some(list, v.limit)
		for _, ns := range shown {
			if !seen[ns.Name] {
				seen[ns.Name] = true
				t.add(name(ns.Name), v.stateOf(&ns).String(), name(strings.Join(ns.DiscoveredBy, ",")), name(ns.InjectedBy),
					name(ns.InjectedMesh), justCodes(ns.Findings, name), name(strings.Join(ns.Labels, ",")))
			}
		}
		if rest := v.rest(list); rest != "" {
			t.add(rest, "", name(strings.Join(list[0].DiscoveredBy[:min(1, len(list[0].DiscoveredBy))], ",")))
		}
	}
	for i := range v.Meshes {
		add(v.Meshes[i].Namespaces)
	}
	add(v.Unassigned)
	return t
}

func (v *view) tagTable(name func(string) string) *table {
	t := &table{}
	t.add("TAG WITHOUT REVISION", "POINTS AT")
	for _, tag := range v.TagsWithoutTarget {
		t.add(name(tag.Name), name(tag.Revision))
	}
	return t
}

// justCodes are the codes of findings, each once.
func justCodes(findings []Finding, name func(string) string) string {
	var list []string
	for _, f := range findings {
		if code := name(f.Code); !slices.Contains(list, code) {
			list = append(list, code)
		}
	}
	return strings.Join(list, ",")
}
