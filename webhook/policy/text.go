package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// maxNamed is how many objects a message names before it only counts.
const maxNamed = 10

// namespaceNames lists the first namespaces and counts the others.
func namespaceNames(names []string) string {
	return namesAndCount(names[:min(len(names), maxNamed)], len(names))
}

// namesAndCount lists the first of so many objects.
func namesAndCount(first []string, count int) string {
	if count == len(first) {
		return quoteAll(first)
	}
	return fmt.Sprintf("%s and %d more", quoteAll(first), count-len(first))
}

func quoteAll(names []string) string { return strings.Join(quoted(names), ", ") }

func quoted(names []string) []string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = strconv.Quote(name)
	}
	return texts
}

// theMesh is a mesh as a message about a namespace names it.
func theMesh(m *mesh.Mesh) string { return "mesh " + strconv.Quote(m.Name) }

// theMeshes names several, joined by "and": the first ones, if there are many.
func theMeshes(meshes []*mesh.Mesh) string {
	texts := make([]string, len(meshes))
	for i, m := range meshes {
		texts[i] = theMesh(m)
	}
	return joinAnd(texts)
}

func meshNames(meshes []*mesh.Mesh) []string {
	names := make([]string, len(meshes))
	for i, m := range meshes {
		names[i] = m.Name
	}
	return names
}

// meshSubjects names meshes so that an IstioRevision that no Istio owns is not taken for the Istio of the same name.
func meshSubjects(meshes []*mesh.Mesh) []string {
	names := meshNames(meshes)
	for i, m := range meshes {
		if m.Kind != mesh.KindIstio {
			names[i] = m.String()
		}
	}
	return names
}

// plainly names meshes as effects and labels do, which are read after a detail: without quotes.
func plainly(meshes []*mesh.Mesh) string { return joinAnd(meshNames(meshes)) }

// discoverIt is a clause that says which meshes discover the labels of a namespace, and through which selectors.
func discoverIt(meshes []*mesh.Mesh, labels map[string]string) string {
	if len(meshes) == 1 {
		source, term := meshes[0].Discovers(labels)
		return theMesh(meshes[0]) + " discovers it (" + selects(source, term) + ")"
	}
	return becauseAll(meshes, labels) + " discover it"
}

// because names a mesh and the selector through which it discovers the labels.
func because(m *mesh.Mesh, labels map[string]string) string {
	source, term := m.Discovers(labels)
	return becauseOf(m, source, term)
}

// becauseOf names a mesh and one of its selectors.
func becauseOf(m *mesh.Mesh, source *mesh.Source, term *mesh.Term) string {
	return theMesh(m) + " (" + selects(source, term) + ")"
}

// selects is what a selector matches.
func selects(source *mesh.Source, term *mesh.Term) string {
	switch {
	case source.Listing == mesh.Invalid:
		return "every namespace, because a selector of " + source.String() + " does not parse"
	case source.Listing == mesh.Unread && source.By == "":
		return "every namespace, because " + source.String() + " is missing or has no mesh configuration"
	case source.Listing == mesh.Unread:
		return "every namespace, because of " + source.By + " of " + source.String()
	case term.Selector.Everything():
		return "every namespace"
	default:
		return cut(term.Selector.String(), maxSelector)
	}
}

func becauseAll(meshes []*mesh.Mesh, labels map[string]string) string {
	texts := make([]string, len(meshes))
	for i, m := range meshes {
		texts[i] = because(m, labels)
	}
	return joinAnd(texts)
}

// the prefixes of field paths that findings name.
func labelPath(key string) string { return "metadata.labels[" + key + "]" }
