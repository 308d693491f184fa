package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// view is the part of a map that is shown, in order: meshes by name, namespaces worst first, each list of its own making.
type view struct {
	Map
	remotes
	ascii bool
	limit int
	wrong []fault
	total int // namespaces, each counted once
}

// fault is an entry of the list of what is wrong, which every format for people begins with.
type fault struct {
	kind, name string // of the object: namespace, mesh or tag
	state      state
	ns         *Namespace // nil where it is not one
	mesh       *Mesh      // the same
	tag        *Tag       // the same
}

// look makes the view of a map.
func look(m *Map, o Options) (*view, error) {
	if err := known(m, o.Meshes); err != nil {
		return nil, err
	}
	v := &view{remotes: remotes{}, ascii: o.ASCII, limit: o.MaxNamespaces}
	for _, mesh := range m.Meshes {
		v.remotes[mesh.Name] = mesh.Remote
	}
	shown := func(name string) bool { return len(o.Meshes) == 0 || slices.Contains(o.Meshes, name) }
	v.Notices, v.Gaps = slices.Sorted(slices.Values(m.Notices)), slices.Sorted(slices.Values(m.Gaps))
	for _, mesh := range m.Meshes {
		if shown(mesh.Name) {
			v.Meshes = append(v.Meshes, v.inOrder(mesh))
		}
	}
	slices.SortStableFunc(v.Meshes, func(a, b Mesh) int {
		return cmp.Or(natural(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	for _, ns := range m.Unassigned {
		if len(o.Meshes) == 0 || ns.InjectedMesh != "" && shown(ns.InjectedMesh) {
			v.Unassigned = append(v.Unassigned, namespaceInOrder(ns))
		}
	}
	slices.SortStableFunc(v.Unassigned, v.worseFirst)
	if len(o.Meshes) == 0 {
		v.TagsWithoutTarget = tagsInOrder(m.TagsWithoutTarget)
	}
	v.findFaults(m, shown)
	return v, nil
}

// known returns an error if a name is not that of a mesh.
func known(m *Map, names []string) error {
	var all []string
	for _, mesh := range m.Meshes {
		all = append(all, mesh.Name)
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("no mesh is called %q%s", name, didYouMean(name, all))
		}
	}
	return nil
}

// inOrder copies a mesh with its lists in order.
func (far remotes) inOrder(mesh Mesh) Mesh {
	mesh.Selectors = slices.Sorted(slices.Values(mesh.Selectors))
	mesh.Revisions = slices.Clone(mesh.Revisions)
	slices.SortStableFunc(mesh.Revisions, func(a, b Revision) int { return natural(a.Name, b.Name) })
	mesh.Tags, mesh.Findings = tagsInOrder(mesh.Tags), findingsInOrder(mesh.Findings)
	namespaces := make([]Namespace, len(mesh.Namespaces))
	for i, ns := range mesh.Namespaces {
		namespaces[i] = namespaceInOrder(ns)
	}
	slices.SortStableFunc(namespaces, far.worseFirst)
	mesh.Namespaces = namespaces
	return mesh
}

func namespaceInOrder(ns Namespace) Namespace {
	ns.Labels, ns.DiscoveredBy = slices.Sorted(slices.Values(ns.Labels)), slices.Sorted(slices.Values(ns.DiscoveredBy))
	ns.Findings = findingsInOrder(ns.Findings)
	return ns
}

func tagsInOrder(tags []Tag) []Tag {
	tags = slices.Clone(tags)
	slices.SortStableFunc(tags, func(a, b Tag) int {
		return cmp.Or(natural(a.Name, b.Name), strings.Compare(a.Revision, b.Revision))
	})
	return tags
}

// findingsInOrder puts what denies before what warns.
func findingsInOrder(findings []Finding) []Finding {
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Action, b.Action), strings.Compare(a.Code, b.Code), strings.Compare(a.Detail, b.Detail))
	})
	return findings
}

// findFaults fills the list of what is wrong, and counts the namespaces. A namespace that a shown mesh injects is wrong for that mesh too,
// though it may stand in one that is not shown.
func (v *view) findFaults(m *Map, shown func(string) bool) {
	seen := map[string]bool{}
	judge := func(ns Namespace, visible bool) {
		if seen[ns.Name] || !visible && !shown(ns.InjectedMesh) {
			return
		}
		seen[ns.Name] = true
		if ns = namespaceInOrder(ns); v.stateOf(&ns).wrong() {
			v.wrong = append(v.wrong, fault{kind: "namespace", name: ns.Name, state: v.stateOf(&ns), ns: &ns})
		}
	}
	for i := range m.Meshes {
		for _, ns := range m.Meshes[i].Namespaces {
			judge(ns, shown(m.Meshes[i].Name))
		}
	}
	for _, ns := range v.Unassigned {
		judge(ns, true)
	}
	v.total = len(seen)
	for i := range v.Meshes {
		if mesh := &v.Meshes[i]; hasAction(mesh.Findings, "deny") {
			v.wrong = append(v.wrong, fault{kind: "mesh", name: mesh.Name, state: denied, mesh: mesh})
		}
	}
	for i := range v.TagsWithoutTarget {
		v.wrong = append(v.wrong, fault{kind: "tag", name: v.TagsWithoutTarget[i].Name, state: unknown, tag: &v.TagsWithoutTarget[i]})
	}
	slices.SortStableFunc(v.wrong, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.state, b.state), strings.Compare(a.kind, b.kind), natural(a.name, b.name))
	})
}

// all are the namespaces that are shown, each once, the worst first.
func (v *view) all() []Namespace {
	var list []Namespace
	seen := map[string]bool{}
	add := func(namespaces []Namespace) {
		for _, ns := range namespaces {
			if !seen[ns.Name] {
				seen[ns.Name] = true
				list = append(list, ns)
			}
		}
	}
	for i := range v.Meshes {
		add(v.Meshes[i].Namespaces)
	}
	add(v.Unassigned)
	slices.SortStableFunc(list, v.worseFirst)
	return list
}

// sayFault says what is wrong. The names in it are made by name.
func (v *view) sayFault(f fault, name func(string) string) string {
	switch {
	case f.ns != nil:
		return v.say(f.ns, name)
	case f.mesh != nil:
		return codes(f.mesh.Findings, name)
	}
	return "no revision is called " + name(f.tag.Revision)
}

// injectsElsewhere returns the namespaces that a mesh injects and does not discover, though it should: those whose pods are in its mesh by
// mistake.
func (v *view) injectsElsewhere(mesh string) []*Namespace {
	var list []*Namespace
	for _, f := range v.wrong {
		if f.ns != nil && f.ns.InjectedMesh == mesh && (f.state == wrongMesh || f.state == undiscovered) {
			list = append(list, f.ns)
		}
	}
	return list
}

// some returns as many as are to be shown, and how many more there are.
func some[T any](list []T, limit int) (shown []T, more int) {
	if limit == 0 || len(list) <= limit {
		return list, 0
	}
	return list[:limit], len(list) - limit
}

// rest says how many namespaces are left out of a list, and is empty if none are. Those that are wrong stand first, so few of them ever are.
func (v *view) rest(list []Namespace) string {
	shown, more := some(list, v.limit)
	if more == 0 {
		return ""
	}
	wrong := 0
	for i := len(shown); i < len(list) && v.stateOf(&list[i]).wrong(); i++ {
		wrong++
	}
	if wrong == 0 {
		return fmt.Sprintf("%d more", more)
	}
	return fmt.Sprintf("%d more, %d of them wrong", more, wrong)
}

// headline sums the map up.
func (v *view) headline() string {
	total := count(len(v.Meshes), "mesh") + ", " + count(v.total, "namespace")
	if len(v.wrong) == 0 {
		return total + ", nothing wrong"
	}
	return total + " (wrong: " + strings.Join(v.wrongCounts(), ", ") + ")"
}

// wrongCounts are the numbers of what is wrong, each with its kind.
func (v *view) wrongCounts() []string {
	var counts []string
	for _, kind := range []string{"namespace", "mesh", "tag"} {
		n := 0
		for _, f := range v.wrong {
			if f.kind == kind {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, count(n, kind))
		}
	}
	return counts
}

// version is that of the active revision, else of the only one.
func (m *Mesh) version() string {
	for _, r := range m.Revisions {
		if r.Active || len(m.Revisions) == 1 {
			return r.Version
		}
	}
	return ""
}

// traits are the words that tell what is special about a mesh.
func (m *Mesh) traits() []string {
	var words []string
	if m.Profile != "" {
		words = append(words, "profile "+clean(m.Profile))
	}
	if m.Remote {
		words = append(words, "remote")
	}
	if m.Ambient {
		words = append(words, "ambient")
	}
	return words
}

// discovers are its selectors as words.
func (m *Mesh) discovers() []string {
	if m.Everything {
		return []string{"every namespace"}
	}
	if len(m.Selectors) == 0 {
		return []string{"nothing"}
	}
	words := make([]string, len(m.Selectors))
	for i, s := range m.Selectors {
		words[i] = clean(s)
	}
	return words
}
