package picture

import (
	"fmt"
	"strings"
)

// graph is what mermaid and dot draw: clusters of nodes, and edges. Its texts are escaped for their language.
type graph struct {
	*view
	text func(string) string
}

// cluster is a mesh, or the namespaces of none. The first of its nodes stands for the mesh itself.
type cluster struct {
	id    string
	lines []string
	nodes []graphNode
}

type graphNode struct {
	id    string
	lines []string
	state state
}

// edge leads from a namespace to the mesh that injects it, or joins two nodes of one namespace that two meshes discover.
type edge struct {
	from, to, label string
	overlap         bool
}

func meshNode(i int) string               { return fmt.Sprintf("m%d", i) }
func namespaceNode(cluster, i int) string { return fmt.Sprintf("n%d_%d", cluster, i) }

func (g *graph) clusters() []cluster {
	var all []cluster
	for i := range g.Meshes {
		all = append(all, g.mesh(i))
	}
	return append(all, g.others()...)
}

// mesh is the cluster of a mesh.
func (g *graph) mesh(i int) cluster {
	m := &g.Meshes[i]
	c := cluster{id: fmt.Sprintf("mesh%d", i), lines: []string{g.text(m.Name)}}
	c.nodes = append(c.nodes, graphNode{id: meshNode(i), lines: g.meshLines(m), state: meshState(m)})
	c.nodes = append(c.nodes, g.nodes(i, m.Namespaces)...)
	return c
}

// others are the clusters of what is in no mesh.
func (g *graph) others() []cluster {
	var all []cluster
	if len(g.Unassigned) > 0 {
		all = append(all, cluster{id: "nowhere", lines: []string{"discovered by no mesh"}, nodes: g.nodes(len(g.Meshes), g.Unassigned)})
	}
	if len(g.TagsWithoutTarget) > 0 {
		c := cluster{id: "tags", lines: []string{"tags without a revision"}}
		for i, t := range g.TagsWithoutTarget {
			c.nodes = append(c.nodes, graphNode{id: fmt.Sprintf("t%d", i), state: unknown,
				lines: []string{g.text(t.Name), "no revision is called " + g.text(t.Revision)}})
		}
		all = append(all, c)
	}
	if notes := append(g.notes(), g.missing()...); len(notes) > 0 {
		c := cluster{id: "notes", lines: []string{"notes"}}
		for i, text := range notes {
			c.nodes = append(c.nodes, graphNode{id: fmt.Sprintf("note%d", i), lines: []string{g.text(text)}, state: outside})
		}
		all = append(all, c)
	}
	return all
}

// meshState is that of a mesh by its findings.
func meshState(m *Mesh) state {
	switch {
	case hasAction(m.Findings, "deny"):
		return denied
	case len(m.Findings) > 0:
		return warned
	}
	return injected
}

func (g *graph) meshLines(m *Mesh) []string {
	lines := []string{g.text(strings.TrimSpace(m.Kind + " " + m.Name))}
	if m.ControlPlane != "" {
		lines = append(lines, "control plane "+g.text(m.ControlPlane))
	}
	lines = append(lines, "discovers "+g.text(strings.Join(m.discovers(), " or ")))
	for _, r := range m.Revisions {
		lines = append(lines, "revision "+g.text(r.Name+r.remark()))
	}
	for _, t := range m.Tags {
		lines = append(lines, "tag "+g.text(t.Name)+" of "+g.text(t.Revision))
	}
	if len(m.Findings) > 0 {
		lines = append(lines, codes(m.Findings, g.text))
	}
	return lines
}

func (g *graph) nodes(cluster int, list []Namespace) []graphNode {
	shown, _ := some(list, g.limit)
	var nodes []graphNode
	for i := range shown {
		ns := &shown[i]
		lines := []string{g.text(ns.Name)}
		if s := g.stateOf(ns); s != injected && s != outside {
			lines = append(lines, g.say(ns, g.text))
		}
		nodes = append(nodes, graphNode{id: namespaceNode(cluster, i), lines: lines, state: g.stateOf(ns)})
	}
	if rest := g.rest(list); rest != "" {
		nodes = append(nodes, graphNode{id: fmt.Sprintf("more%d", cluster), lines: []string{rest}, state: outside})
	}
	return nodes
}

func (g *graph) edges() []edge {
	var edges []edge
	meshes, first := map[string]int{}, map[string]string{}
	for i := range g.Meshes {
		meshes[g.Meshes[i].Name] = i
	}
	each := func(cluster int, list []Namespace) {
		shown, _ := some(list, g.limit)
		for i := range shown {
			ns, id := &shown[i], namespaceNode(cluster, i)
			target, here := meshes[ns.InjectedMesh]
			if s := g.stateOf(ns); here && (s == wrongMesh || s == undiscovered) {
				edges = append(edges, edge{from: id, to: meshNode(target), label: "injected by " + g.text(ns.InjectedMesh)})
			}
			if other, twice := first[ns.Name]; twice {
				edges = append(edges, edge{from: other, to: id, label: "the same namespace", overlap: true})
			} else {
				first[ns.Name] = id
			}
		}
	}
	for i := range g.Meshes {
		each(i, g.Meshes[i].Namespaces)
	}
	each(len(g.Meshes), g.Unassigned)
	return edges
}
