package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// Loss is a mesh configuration that goes while its istiod runs.
type Loss struct {
	// Revision is that of the istiod, and ConfigMap the name of what it reads.
	Revision, ConfigMap string
	// Unlabelled says that the ConfigMap stays, and is no longer known as one of istiod's.
	Unlabelled bool
	// Adopted says that it stays, and names an owner of the Sail operator's kinds, of which there is none.
	Adopted bool
}

// discoversEverythingOnceDeleted finds that the ConfigMap of an istiod goes which runs: from that moment on it has no selectors
// (istio/pkg/config/mesh/kubemesh/watcher_test.go). helm uninstall deletes the Deployment first.
func discoversEverythingOnceDeleted(old *mesh.Mesh, w *World) []Finding {
	if w.losing == nil {
		return nil
	}
	f := Finding{
		Field:    "metadata.name",
		Detail:   fmt.Sprintf("the istiod of revision %q in namespace %q runs, and without ConfigMap %q it discovers every namespace at once", w.losing.Revision, old.ControlPlane, w.losing.ConfigMap),
		Effect:   "it would write its root certificate to all namespaces, also to those of other meshes, until the ConfigMap is back",
		Ways:     uninstallFirst(old, w),
		Subjects: []string{w.losing.Revision},
	}
	switch {
	case w.losing.Adopted:
		f.Field = "metadata.ownerReferences"
		f.Detail = fmt.Sprintf("the istiod of revision %q in namespace %q runs, and the Sail operator has none there to which its ConfigMap %q could belong", w.losing.Revision, old.ControlPlane, w.losing.ConfigMap)
		f.Effect = "meshfence would no longer know what it discovers"
		f.Ways = remedy{say("leave the reference out, or create the IstioRevision first")}
	case w.losing.Unlabelled:
		f.Field = "metadata.labels[" + mesh.RevisionLabel + "]"
		f.Detail = fmt.Sprintf("the istiod of revision %q in namespace %q runs, and by this label its ConfigMap %q is known", w.losing.Revision, old.ControlPlane, w.losing.ConfigMap)
		f.Effect = "meshfence would no longer know what it discovers"
		f.Ways = remedy{say("leave the label as it is")}
	}
	return []Finding{f}
}

// uninstallFirst stops the istiod before its ConfigMap goes. An upgrade that gives a release another revision deletes the ConfigMap a moment before the Deployment: repeated, it
// passes, and to uninstall the release would take the new istiod too.
func uninstallFirst(m *mesh.Mesh, w *World) remedy {
	loss := w.losing
	for i := range m.Sources {
		s := &m.Sources[i]
		if s.Revision != loss.Revision || s.Release == "" {
			continue
		}
		if next := otherOfRelease(w.Fleet, m.ControlPlane, s); next != "" {
			return remedy{say(fmt.Sprintf("release %q has an istiod of revision %q already: if this is its upgrade, repeat it once the Deployment of revision %q is gone", s.Release, next, loss.Revision))}
		}
		return remedy{run("uninstall the istiod, which deletes the ConfigMap too", uninstall(s.Release, m.ControlPlane))}
	}
	selector := "app=istiod," + mesh.RevisionLabel + "=" + loss.Revision
	return remedy{run("delete the istiod first", fmt.Sprintf("kubectl delete deployments --selector %s --namespace %s", ShellWord(selector), NameWord(m.ControlPlane)))}
}

// otherOfRelease returns another revision that the Helm release of an istiod has in its namespace, "" for none. Without its ConfigMap the istiod itself is still there.
func otherOfRelease(fleet *mesh.Fleet, namespace string, of *mesh.Source) string {
	for _, m := range fleet.Meshes() {
		for i := range m.Sources {
			if s := &m.Sources[i]; m.ControlPlane == namespace && s.Release == of.Release && s.Revision != of.Revision {
				return s.Revision
			}
		}
	}
	return ""
}
