package picture

import (
	"fmt"
	"strings"
)

// strokes are the characters that a tree is drawn with.
type strokes struct {
	branch, last, trunk, cross, warn, arrow, more string
}

var (
	unicodeStrokes = strokes{branch: "├─ ", last: "└─ ", trunk: "│  ", cross: "✗ ", warn: "! ", arrow: " → ", more: "… "}
	asciiStrokes   = strokes{branch: "|- ", last: "`- ", trunk: "|  ", cross: "x ", warn: "! ", arrow: " -> ", more: "... "}
)

// node is a line of a tree with those below it.
type node struct {
	text     string
	children []*node
}

func (n *node) add(format string, values ...any) *node {
	child := &node{text: fmt.Sprintf(format, values...)}
	n.children = append(n.children, child)
	return child
}

// write writes the nodes below n, each line behind what is drawn in front of it.
func (n *node) write(b *strings.Builder, s *strokes, front string) {
	for i, child := range n.children {
		branch, trunk := s.branch, s.trunk
		if i == len(n.children)-1 {
			branch, trunk = s.last, strings.Repeat(" ", len(asciiStrokes.trunk))
		}
		fmt.Fprintf(b, "%s%s%s\n", front, branch, child.text)
		child.write(b, s, front+trunk)
	}
}

// treeWriter makes the lines of a tree.
type treeWriter struct {
	*view
	strokes
	name func(string) string
}

// tree draws the meshes with what they discover below them, after a list of what is wrong.
func tree(v *view) string {
	w := treeWriter{view: v, strokes: unicodeStrokes, name: clean}
	if v.ascii {
		w.strokes, w.name = asciiStrokes, ascii
	}
	var b strings.Builder
	b.WriteString(v.headline() + "\n")
	w.wrongList(&b)
	for i := range v.Meshes {
		w.root(&b, w.mesh(&v.Meshes[i]))
	}
	if len(v.Unassigned) > 0 {
		n := &node{text: "discovered by no mesh"}
		w.namespaces(n, v.Unassigned)
		w.root(&b, n)
	}
	if len(v.TagsWithoutTarget) > 0 {
		n := &node{text: "tags without a revision"}
		for _, t := range v.TagsWithoutTarget {
			n.add("%s%s%s%s", w.cross, w.name(t.Name), w.arrow, w.name(t.Revision))
		}
		w.root(&b, n)
	}
	for _, text := range append(v.notes(), v.missing()...) {
		fmt.Fprintf(&b, "\n%s\n", w.name(text))
	}
	return b.String()
}

// root writes a tree with a line of its own above it.
func (w *treeWriter) root(b *strings.Builder, n *node) {
	fmt.Fprintf(b, "\n%s\n", n.text)
	n.write(b, &w.strokes, "")
}

// wrongList writes what is wrong, the worst first.
func (w *treeWriter) wrongList(b *strings.Builder) {
	shown, more := some(w.wrong, w.limit)
	for _, f := range shown {
		fmt.Fprintf(b, "%s%s %s: %s\n", w.cross, f.kind, w.name(f.name), w.sayFault(f, w.name))
	}
	if more > 0 {
		fmt.Fprintf(b, "%s%d more\n", w.more, more)
	}
}

func (w *treeWriter) mesh(m *Mesh) *node {
	n := &node{text: fmt.Sprintf("%s (%s)", w.name(m.Name), strings.Join(w.facts(m), ", "))}
	n.add("discovers %s", w.name(strings.Join(m.discovers(), " or ")))
	for _, r := range m.Revisions {
		n.add("revision %s%s", w.name(r.Name), w.name(r.remark()))
	}
	for _, t := range m.Tags {
		n.add("tag %s%s%s", w.name(t.Name), w.arrow, w.name(t.Revision))
	}
	w.findings(n, m.Findings)
	if elsewhere, more := some(w.injectsElsewhere(m.Name), w.limit); len(elsewhere) > 0 {
		list := n.add("injects what it does not discover")
		for _, ns := range elsewhere {
			list.add("%s%s%s%s", w.cross, w.name(ns.Name), w.arrow, w.say(ns, w.name))
		}
		if more > 0 {
			list.add("%s%d more", w.more, more)
		}
	}
	if len(m.Namespaces) > 0 {
		w.namespaces(n.add("%s", count(len(m.Namespaces), "namespace")), m.Namespaces)
	}
	return n
}

// facts are what stands behind the name of a mesh.
func (w *treeWriter) facts(m *Mesh) []string {
	facts := []string{w.name(m.Kind)}
	if m.ControlPlane != "" {
		facts = append(facts, "control plane "+w.name(m.ControlPlane))
	}
	for _, t := range m.traits() {
		facts = append(facts, w.name(t))
	}
	return facts
}

// namespaces adds namespaces, and how many are left out.
func (w *treeWriter) namespaces(n *node, list []Namespace) {
	shown, _ := some(list, w.limit)
	for i := range shown {
		ns := &shown[i]
		text := w.mark(w.stateOf(ns)) + w.name(ns.Name) + ": " + w.say(ns, w.name)
		if s := w.stateOf(ns); len(ns.Labels) > 0 && (s.wrong() || s == warned) {
			text += " (" + w.name(strings.Join(ns.Labels, ", ")) + ")"
		}
		w.findings(n.add("%s", text), ns.Findings)
	}
	if rest := w.rest(list); rest != "" {
		n.add("%s%s", w.more, rest)
	}
}

func (w *treeWriter) findings(n *node, findings []Finding) {
	for _, f := range findings {
		mark := w.warn
		if f.Action == "deny" {
			mark = w.cross
		}
		n.add("%s%s %s (%s): %s", mark, w.name(f.Code), w.name(f.Name), w.name(f.Action), w.name(f.Detail))
	}
}

// mark is the sign in front of a namespace.
func (w *treeWriter) mark(s state) string {
	switch {
	case s.wrong():
		return w.cross
	case s == warned:
		return w.warn
	}
	return ""
}
