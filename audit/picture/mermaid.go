package picture

import (
	"fmt"
	"strings"
	"unicode"
)

// mermaid draws a flowchart: a subgraph for each mesh with its namespaces, and arrows from those that another mesh injects.
func mermaid(v *view) string {
	g := &graph{view: v, text: mermaidText}
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	fmt.Fprintf(&b, "  accTitle: %s\n", v.headline())
	for _, c := range g.clusters() {
		fmt.Fprintf(&b, "  subgraph %s[\"%s\"]\n    direction TB\n", c.id, strings.Join(c.lines, "<br/>"))
		for _, n := range c.nodes {
			fmt.Fprintf(&b, "    %s[\"%s\"]%s\n", n.id, strings.Join(n.lines, "<br/>"), classOf(n.state))
		}
		b.WriteString("  end\n")
	}
	var red []string
	for i, e := range g.edges() {
		if e.overlap {
			fmt.Fprintf(&b, "  %s -. \"%s\" .- %s\n", e.from, e.label, e.to)
			continue
		}
		fmt.Fprintf(&b, "  %s == \"%s\" ==> %s\n", e.from, e.label, e.to)
		red = append(red, fmt.Sprint(i))
	}
	b.WriteString("  classDef wrong stroke:#cf222e,stroke-width:3px\n  classDef overlap stroke:#cf222e,stroke-width:3px,stroke-dasharray:6 3\n" +
		"  classDef warned stroke:#9a6700,stroke-width:2px\n")
	if len(red) > 0 {
		fmt.Fprintf(&b, "  linkStyle %s stroke:#cf222e,stroke-width:3px\n", strings.Join(red, ","))
	}
	return b.String()
}

func classOf(s state) string {
	switch {
	case s == overlapping:
		return ":::overlap"
	case s.wrong():
		return ":::wrong"
	case s == warned:
		return ":::warned"
	}
	return ""
}

// mermaidText makes a text that can stand between quotes, as Mermaid's documentation says ("Entity codes to escape characters"): whatever is
// neither a letter, a digit nor harmless becomes the number of its character.
func mermaidText(s string) string {
	if s == "" {
		return "#160;" // two quotes with nothing between them are an error
	}
	var b strings.Builder
	for _, r := range clean(s) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" -_./=,:()", r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "#%d;", r)
	}
	return b.String()
}
