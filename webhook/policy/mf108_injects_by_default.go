package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

const injectByDefaultField = "spec.values.sidecarInjectorWebhook.enableNamespacesByDefault"

// injectsByDefault finds a mesh that injects every namespace that does not say otherwise, although others exist. Alone in
// the cluster it gets a warning: it is the second mesh that makes it wrong, which is told too, or selectors of its own, because
// what it injects and does not discover gets no root certificate.
func injectsByDefault(m *mesh.Mesh, w *World) []Finding {
	others := otherMeshes(m, w)
	var found []Finding
	if source := injectingByDefault(m); source != nil {
		found = append(found, takesUnlabelled(m, source, others, w))
	}
	for _, other := range others {
		if source := injectingByDefault(other); source != nil {
			found = append(found, unlabelledTaken(m, other, source, w))
		}
	}
	return found
}

// injectingByDefault returns the first object of the mesh that switches it on, or nil: the Istio, or an IstioRevision
// that has kept its own values.
func injectingByDefault(m *mesh.Mesh) *mesh.Source {
	if i := slices.IndexFunc(m.Sources, func(s mesh.Source) bool { return s.InjectsByDefault }); i >= 0 {
		return &m.Sources[i]
	}
	return nil
}

// becomesDefault reports whether a mesh that had the setting before gets the name default only now: its own setting did nothing so
// far. A tag of that name is no part of this change.
func becomesDefault(f Finding, old, updated *mesh.Mesh, _ *World) bool {
	return f.Subjects[0] == itself && updated.Has(mesh.DefaultRevision) && !old.Has(mesh.DefaultRevision)
}

// itself is the first subject of a finding about the mesh's own setting.
const itself = "itself"

// takesUnlabelled is what is wrong with m's own setting. Istio's charts heed it only for the injector of the name default
// (istio issue 36258), but a tag is enough to give a mesh that name later.
func takesUnlabelled(m *mesh.Mesh, source *mesh.Source, others []*mesh.Mesh, w *World) Finding {
	f := Finding{Field: injectByDefaultField, Subjects: append([]string{itself}, refs(others)...)}
	f.Ways = w.remedied(func() remedy { return labelInstead(m, setBefore(m, w), w) })
	f.Detail = "it injects every namespace without an injection label"
	if source.Ref != m.Ref {
		f.Detail = source.String() + " of it injects every namespace without an injection label"
	}
	if !ownsDefault(m, w) {
		f.Detail += ", as soon as a revision or tag of it is called \"default\""
	}
	everything, _ := everythingBecause(m)
	switch {
	case len(others) > 0:
		f.Detail += ", including those meant for " + theMeshes(others)
	case everything == "" && !m.Remote():
		f.Action = Warn
		f.Detail += ", including those that its selectors leave out"
		f.Effect = fmt.Sprintf("these get no ConfigMap %s, so that their pods hang", m.Sources[0].TrustBundle)
	default:
		f.Action = Warn
		f.Effect = "that does no harm only while it is the only mesh in the cluster"
	}
	return f
}

// unlabelledTaken is what another mesh's setting means for m. As long as nothing of that mesh is called default, the
// setting does nothing, and there is only something to tell.
func unlabelledTaken(m, other *mesh.Mesh, source *mesh.Source, w *World) Finding {
	f := Finding{Field: "metadata.name", Subjects: []string{other.String()}}
	f.Ways = w.remedied(func() remedy { return labelInstead(other, true, w) })
	f.Detail = fmt.Sprintf("%s has %s: true and so injects every namespace without an injection label", source.Ref, injectByDefaultField)
	if !ownsDefault(other, w) {
		f.Action = Warn
		f.Detail += ", as soon as a revision or tag of it is called \"default\""
	}
	f.Detail += fmt.Sprintf(", including those meant for %s", m.Ref)
	return f
}

func ownsDefault(m *mesh.Mesh, w *World) bool {
	return belongs(w.Fleet.Revision(mesh.DefaultRevision), m)
}

// setBefore reports whether the stored mesh has the setting, so that a remedy has to take it away.
func setBefore(m *mesh.Mesh, w *World) bool {
	stored := w.Before.Mesh(m.Ref)
	return stored != nil && injectingByDefault(stored) != nil
}

// labelInstead lets labels take the place of the setting, which is stored or only asked for.
func labelInstead(m *mesh.Mesh, stored bool, w *World) remedy {
	label := fmt.Sprintf("label the namespaces that %s is to inject with %s=%s", m.Ref, mesh.RevisionLabel, revisionOf(m, w.Fleet))
	if !stored {
		return remedy{say(fmt.Sprintf("leave %s out, and %s", injectByDefaultField, label))}
	}
	off := say(fmt.Sprintf("then have the owner of %s turn %s off, once its selectors are right", m.Ref, injectByDefaultField))
	if commands := switchOff(m, w); len(commands) > 0 {
		off = run("then turn the setting off", commands...)
	}
	return remedy{say("first " + label), off}
}

// switchOff takes the setting away from all objects of the mesh that have it, but the copy that the operator keeps; no commands if that
// is not admitted.
func switchOff(m *mesh.Mesh, w *World) []string {
	var commands []string
	after := w.base()
	if m.Kind == mesh.KindIstiod { // all its istiods at once
		if w.tried(after, w.Namespaces, editing{m.Ref, mesh.Edit{NotByDefault: true}}) == nil {
			return nil
		}
		return setValues(m, notByDefault)
	}
	for _, s := range m.Sources {
		if !s.InjectsByDefault || s.Ref != m.Ref && s.Name == m.ActiveRevision {
			continue
		}
		if after = w.tried(after, w.Namespaces, editing{s.Ref, mesh.Edit{NotByDefault: true}}); after == nil {
			return nil
		}
		commands = append(commands, patchValues(s.Ref, notByDefault))
	}
	return commands
}

// notByDefault takes the setting away.
var notByDefault = setting{"sidecarInjectorWebhook.enableNamespacesByDefault", "false"}
