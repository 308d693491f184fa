package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// state is how a namespace stands: the worst that can be said of it.
type state int

const (
	unclassified state = iota
	wrongMesh          // one mesh discovers it, and another one injects it
	overlapping        // several meshes discover it
	undiscovered       // a mesh of this cluster injects it, and none discovers it
	unknown            // a rule denies that it chooses a revision which does not exist
	denied             // another rule is broken that denies
	warned             // a rule is broken that warns
	terminating        // it is being deleted, and nothing of it matters any more
	injected           // a mesh discovers and injects it
	fromAfar           // a mesh injects it whose istiod runs in another cluster: what that one discovers is not known here
	discovered         // a mesh discovers it, and none injects it
	outside            // it has nothing to do with any mesh, or is not judged
)

// wrong reports whether what is in this state has to be repaired.
func (s state) wrong() bool { return s >= wrongMesh && s <= denied }

// String is the state in the formats for programs, and in tables.
func (s state) String() string {
	return [...]string{"", "WrongMesh", "DiscoveredByMany", "InjectedNotDiscovered", "UnknownRevision", "Denied", "Warned", "Terminating",
		"Injected", "InjectedFromAfar", "Discovered", "Outside"}[s]
}

// remotes are the names of the meshes whose istiod runs in another cluster.
type remotes map[string]bool

// stateOf returns how a namespace stands.
func (far remotes) stateOf(ns *Namespace) state {
	elsewhere := ns.InjectedMesh != "" && !slices.Contains(ns.DiscoveredBy, ns.InjectedMesh)
	nowhere := len(ns.DiscoveredBy) == 0
	switch {
	case ns.Terminating:
		return terminating
	case ns.Exempt && (elsewhere || len(ns.DiscoveredBy) > 1):
		return outside
	case elsewhere && !nowhere:
		return wrongMesh
	case len(ns.DiscoveredBy) > 1:
		return overlapping
	case elsewhere && !far[ns.InjectedMesh]:
		return undiscovered
	case hasAction(ns.Findings, "deny"):
		if noRevision(ns) {
			return unknown
		}
		return denied
	case len(ns.Findings) > 0:
		return warned
	case elsewhere:
		return fromAfar
	case ns.InjectedMesh != "":
		return injected
	case !nowhere:
		return discovered
	}
	return outside
}

// noRevision reports whether a namespace chooses a revision that does not exist.
func noRevision(ns *Namespace) bool { return ns.InjectedBy != "" && ns.InjectedMesh == "" }

func hasAction(findings []Finding, action string) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Action == action })
}

// say says in a few words how a namespace stands. The names in it are made by name.
func (far remotes) say(ns *Namespace, name func(string) string) string {
	discoverers := make([]string, len(ns.DiscoveredBy))
	for i, m := range ns.DiscoveredBy {
		discoverers[i] = name(m)
	}
	switch far.stateOf(ns) {
	case wrongMesh:
		return fmt.Sprintf("discovered by %s, injected by %s%s", and(discoverers), name(ns.InjectedMesh), through(ns, name))
	case overlapping:
		return "discovered by " + and(discoverers)
	case undiscovered:
		return fmt.Sprintf("injected by %s%s, discovered by none", name(ns.InjectedMesh), through(ns, name))
	case denied, warned:
		return codes(ns.Findings, name)
	case terminating:
		return "being deleted"
	case injected:
		return "injected by " + name(ns.InjectedMesh) + through(ns, name)
	case fromAfar:
		return fmt.Sprintf("injected by %s%s, whose istiod runs in another cluster", name(ns.InjectedMesh), through(ns, name))
	default:
		return notInjected(ns, name)
	}
}

// notInjected says why a namespace is not injected.
func notInjected(ns *Namespace, name func(string) string) string {
	switch {
	case noRevision(ns):
		return "not injected, because no revision is called " + name(ns.InjectedBy)
	case len(ns.DiscoveredBy) > 0:
		return "not injected"
	}
	return "in no mesh"
}

// through names the revision that injects, unless it has the name of its mesh.
func through(ns *Namespace, name func(string) string) string {
	if ns.InjectedBy == ns.InjectedMesh || ns.InjectedBy == "" {
		return ""
	}
	return " through " + name(ns.InjectedBy)
}

// codes names the rules of findings.
func codes(findings []Finding, name func(string) string) string {
	var names []string
	for _, f := range findings {
		if code := name(f.Code + " " + f.Name); !slices.Contains(names, code) {
			names = append(names, code)
		}
	}
	return strings.Join(names, ", ")
}

// worseFirst orders namespaces by what is wrong with them, and then by name.
func (far remotes) worseFirst(a, b Namespace) int {
	return cmp.Or(cmp.Compare(far.rank(&a), far.rank(&b)), natural(a.Name, b.Name))
}

// rank is the place of a namespace in a list: those without a fault stand together.
func (far remotes) rank(ns *Namespace) state { return min(far.stateOf(ns), terminating) }
