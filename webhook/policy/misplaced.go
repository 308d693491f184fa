package policy

import (
	"maps"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// names are names of revisions and tags.
type names struct {
	chosen map[string]bool
	// byDefault says that namespaces which choose none are among those that have one.
	byDefault bool
}

func (n *names) none() bool { return len(n.chosen) == 0 && !n.byDefault }

// by reports whether the labels choose one of the names.
func (n *names) by(labels map[string]string) bool {
	if n.none() {
		return false
	}
	injection := mesh.InjectionOf(labels)
	if injection == (mesh.Injection{}) {
		return n.byDefault
	}
	return n.chosen[injection.Revision]
}

// rechosen returns the names that lead to other meshes after a change than before, or to none, or to one whose istiod has moved
// into this cluster or out of it. What they inject is injected by others. If ConfigMaps of root certificates are renamed, then those of
// meshes of other clusters are among them: whether what they inject is right depends on that, see crossed.
func rechosen(before, after *mesh.Fleet) names {
	found := names{chosen: map[string]bool{}, byDefault: !sameOwners(before.Injecting(nil), after.Injecting(nil))}
	renamed := !maps.Equal(bundlesOf(before), bundlesOf(after))
	for _, list := range [][]string{before.RevisionNames(), after.RevisionNames()} {
		for _, name := range list {
			if !sameOwners(owners(before.Revision(name)), owners(after.Revision(name))) || !sameOwners(injecting(before, name), injecting(after, name)) ||
				renamed && slices.ContainsFunc(owners(after.Revision(name)), (*mesh.Mesh).Remote) {
				found.chosen[name] = true
			}
		}
	}
	return found
}

// bundles are the ConfigMaps of the root certificate that an object's istiod writes and its pods mount.
type bundles struct{ written, mounted string }

func bundlesOf(fleet *mesh.Fleet) map[mesh.Ref]bundles {
	all := map[mesh.Ref]bundles{}
	for _, m := range fleet.Meshes() {
		for i := range m.Sources {
			all[m.Sources[i].Ref] = bundles{m.Sources[i].TrustBundle, m.Sources[i].MountedBundle}
		}
	}
	return all
}

// injecting are the meshes that inject a namespace with istio.io/rev=name.
func injecting(fleet *mesh.Fleet, name string) []*mesh.Mesh {
	return fleet.Injecting(map[string]string{mesh.RevisionLabel: name})
}

// sameOwners compares meshes of two fleets, by name: an Istio that takes over the IstioRevision of its name is the mesh that this was.
func sameOwners(before, after []*mesh.Mesh) bool {
	return slices.EqualFunc(before, after, func(a, b *mesh.Mesh) bool { return a.Name == b.Name && a.Remote() == b.Remote() })
}

// within reports whether all meshes are among those of another fleet.
func within(meshes, others []*mesh.Mesh) bool {
	return !slices.ContainsFunc(meshes, func(m *mesh.Mesh) bool {
		return !slices.ContainsFunc(others, func(other *mesh.Mesh) bool { return other.Name == m.Name })
	})
}

// side is a fleet on one side of a change.
type side struct {
	fleet *mesh.Fleet
	// changed is the fleet's mesh that changes, and serving what it discovers; nil if none does.
	changed *mesh.Mesh
	serving *serving
}

func newSide(fleet *mesh.Fleet, ref mesh.Ref) *side {
	s := &side{fleet: fleet}
	if m := fleet.Mesh(ref); m != nil {
		s.changed, s.serving = m, newServing(m, fleet)
	}
	return s
}

// standing is who discovers a namespace, and whose revision its labels choose.
type standing struct {
	discovering, injecting []*mesh.Mesh
	labels                 map[string]string // of the namespace
	// injected reports whether anything injects its pods, byDefault whether that does so without being chosen.
	injected, byDefault bool
}

func (s *side) standing(labels map[string]string) standing {
	at := standing{labels: labels, discovering: s.fleet.DiscoveredBy(labels), injected: len(s.fleet.Injecting(labels)) > 0}
	if injection := s.fleet.InjectionOf(labels); injection.By {
		at.injecting, at.byDefault = owners(s.fleet.Revision(injection.Revision)), injection.ByDefault()
	}
	if s.changed != nil && !s.serving.discovers(labels) {
		at.discovering = slices.DeleteFunc(at.discovering, func(m *mesh.Mesh) bool { return m == s.changed })
	}
	return at
}

// crossed and hanging are what revisionOfAnotherMesh and injectedNotDiscovered find.
func (at *standing) crossed() bool { return crossed(at.discovering, at.injecting, at.labels) }
func (at *standing) hanging() bool { return hanging(at.discovering, at.injecting) }

// displaced is a namespace that a change puts where its labels would be refused, or leaves without an injector.
type displaced struct {
	*mesh.Namespace
	before, after standing
}

// misplacement are the namespaces that a change makes wrong, each by the first that holds.
type misplacement struct {
	crossed, hanging, lost []displaced
}

// misplaced compares what becomes of namespaces. What was wrong in the same way before does not count. Nor does what several
// meshes come to discover: the change of a mesh that does so is one that discoversEverything or overlappingSelectors find.
func misplaced(namespaces []*mesh.Namespace, before, after *side) (found misplacement) {
	for _, ns := range namespaces {
		d := displaced{ns, before.standing(ns.Labels), after.standing(ns.Labels)}
		switch {
		case d.before.byDefault && !d.after.injected && d.wrongBefore(): // a repair
		case d.before.injected && !d.after.injected:
			found.lost = append(found.lost, d)
		case d.asBefore():
		case d.after.crossed():
			found.crossed = append(found.crossed, d)
		case d.after.hanging():
			found.hanging = append(found.hanging, d)
		}
	}
	return found
}

// asBefore reports whether a namespace is wrong in the way in which it was before, with no other meshes.
func (d *displaced) asBefore() bool {
	same := within(d.after.injecting, d.before.injecting) && within(d.after.discovering, d.before.discovering)
	return same && (d.after.crossed() && d.before.crossed() || d.after.hanging() && d.before.hanging())
}

// wrongBefore reports whether a namespace was wrong before in any way.
func (d *displaced) wrongBefore() bool { return d.before.crossed() || d.before.hanging() }

// unchosen reports whether the wrong is done by what injects a namespace by default, or did so until now.
func (d *displaced) unchosen() bool {
	return d.after.byDefault || d.before.byDefault && !d.after.injected
}

// where leaves only those that satisfy a condition.
func (m *misplacement) where(condition func(*displaced) bool) misplacement {
	kept := func(all []displaced) []displaced {
		return slices.DeleteFunc(slices.Clone(all), func(d displaced) bool { return !condition(&d) })
	}
	return misplacement{crossed: kept(m.crossed), hanging: kept(m.hanging), lost: kept(m.lost)}
}

// exempted reports whether a namespace is never judged.
func (w *World) exempted(ns *mesh.Namespace) bool { return w.exempt != nil && w.exempt(ns.Name) }

// without is the fleet without the change, but with what may come true beside it.
func (w *World) without() *mesh.Fleet {
	if w.beside != nil {
		return w.beside
	}
	return w.Before
}
