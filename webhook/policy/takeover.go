package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// takesOver finds an IstioRevision without an owner that becomes part of the mesh by this change, because it has the name of
// the active revision: the operator takes it over. That is meant where it runs in the mesh's namespace with the mesh's
// selectors, as when an Istio is made again, so it is only told. Otherwise the operator would give a running istiod other
// selectors in one step, or leave it in another namespace than the Istio says. Once it is part of the mesh, it changes with it.
func takesOver(m *mesh.Mesh, w *World) []Finding {
	stored := w.Before.Mesh(m.Ref)
	if m.TakenOver.Name == "" || stored != nil && stored.TakenOver.Name == m.TakenOver.Name {
		return nil
	}
	revision := mesh.Ref{Kind: mesh.KindIstioRevision, Name: m.TakenOver.Name}
	f := Finding{Field: takingField(stored, m, w), Subjects: []string{revision.String()}}
	if unlike := unlikeTakenOver(m, revision); unlike != "" {
		f.Detail = fmt.Sprintf("%s, which no Istio owns, has the name of the active revision of %s, but %s", revision, m.Ref, unlike)
		f.Effect = fmt.Sprintf("the operator would write the values of %s into a control plane that runs, and leave it in its namespace", m.Ref)
		f.Ways = takeOrLeave(stored, m, revision, w)
		return []Finding{f}
	}
	f.Action = Warn
	f.Detail = fmt.Sprintf("%s, which no Istio owns, has the name of the active revision of %s, and its namespace and selectors: the operator takes it over",
		revision, m.Ref)
	f.Effect = fmt.Sprintf("the operator writes the version and the values of %[1]s into it; it stays without an owner, and so stays when %[1]s is deleted", m.Ref)
	f.Ways = remedy{say("if that is not meant, " + notMeant(stored, m))}
	return []Finding{f}
}

// comes reports whether it is the IstioRevision that comes to its Istio.
func comes(stored, m *mesh.Mesh) bool {
	return stored != nil && stored.ActiveRevision == m.ActiveRevision
}

func takingField(stored, m *mesh.Mesh, w *World) string {
	if comes(stored, m) {
		return "metadata.name"
	}
	return namingField(m.ActiveRevision, m, w)
}

// takeOrLeave is the way out: an Istio that is new can be like the revision, one that is stored must not become like it.
func takeOrLeave(stored, m *mesh.Mesh, revision mesh.Ref, w *World) remedy {
	switch {
	case stored == nil:
		return remedy{
			say(fmt.Sprintf("to have the operator take it over, create %s with its spec.namespace and its discoverySelectors, and change the rest afterwards", m.Ref)),
			run("see them", showOne(revision.Kind, revision.Name)),
		}
	case comes(stored, m):
		return remedy{
			say(fmt.Sprintf("leave it to the operator, which creates the one of %s", m.Ref)),
			say("for a mesh of its own, give it another metadata.name"),
		}
	default:
		return remedy{say(anotherName(m.ActiveRevision, m, w))}
	}
}

func notMeant(stored, m *mesh.Mesh) string {
	switch {
	case stored == nil:
		return fmt.Sprintf("give %s another metadata.name", m.Ref)
	case comes(stored, m):
		return "give the IstioRevision another metadata.name"
	default:
		return "keep the version and the update strategy that it has"
	}
}

// unlikeTakenOver says in what the mesh differs from the revision that it takes over, "" if in nothing that decides.
func unlikeTakenOver(m *mesh.Mesh, revision mesh.Ref) string {
	var unlike []string
	if own := m.TakenOver.ControlPlane; own != m.ControlPlane {
		unlike = append(unlike, fmt.Sprintf("its spec.namespace is %q and not %q", own, m.ControlPlane))
	}
	i := slices.IndexFunc(m.Sources, func(s mesh.Source) bool { return s.Ref == revision })
	if !m.Sources[0].SameSelectors(&m.Sources[i]) {
		unlike = append(unlike, "its discoverySelectors are others")
	}
	return strings.Join(unlike, ", and ")
}
