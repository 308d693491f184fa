package picture

import (
	"fmt"
	"strings"
)

// dot draws a graph for Graphviz: a cluster for each mesh with its namespaces, and arrows from those that another mesh injects.
func dot(v *view) string {
	g := &graph{view: v, text: dotText}
	var b strings.Builder
	fmt.Fprintf(&b, "digraph meshes {\n  label=\"%s\"; labelloc=t; rankdir=LR; fontname=\"sans-serif\";\n", dotText(v.headline()))
	b.WriteString("  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n")
	for _, c := range g.clusters() {
		fmt.Fprintf(&b, "  subgraph cluster_%s {\n    label=\"%s\";\n", c.id, strings.Join(c.lines, `\n`))
		for i, n := range c.nodes {
			style := styleOf(n.state)
			if i == 0 && strings.HasPrefix(c.id, "mesh") {
				style += ", shape=box3d"
			}
			fmt.Fprintf(&b, "    %s [label=\"%s\"%s];\n", n.id, strings.Join(n.lines, `\n`), style)
		}
		b.WriteString("  }\n")
	}
	for _, e := range g.edges() {
		style := "color=\"#cf222e\", penwidth=3"
		if e.overlap {
			style = "color=\"#cf222e\", style=dashed, dir=none, constraint=false"
		}
		fmt.Fprintf(&b, "  %s -> %s [label=\"%s\", %s];\n", e.from, e.to, e.label, style)
	}
	b.WriteString("}\n")
	return b.String()
}

func styleOf(s state) string {
	switch {
	case s == overlapping:
		return ", color=\"#cf222e\", penwidth=3, style=dashed"
	case s.wrong():
		return ", color=\"#cf222e\", penwidth=3"
	case s == warned:
		return ", color=\"#9a6700\", penwidth=2"
	}
	return ""
}

// dotText makes a text that can stand between quotes. Graphviz reads entities and, after a backslash, escapes such as \N in labels, so both are
// kept from it.
func dotText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`, `<`, `&lt;`, `>`, `&gt;`).Replace(clean(s))
}
