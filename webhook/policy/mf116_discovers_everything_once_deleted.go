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
		Ways:     uninstallFirst(old, w.losing),
		Subjects: []string{w.losing.Revision},
	}
	if w.losing.Unlabelled {
		f.Field = "metadata.labels[" + mesh.RevisionLabel + "]"
		f.Detail = fmt.Sprintf("the istiod of revision %q in namespace %q runs, and by this label its ConfigMap %q is known", w.losing.Revision, old.ControlPlane, w.losing.ConfigMap)
		f.Effect = "meshfence would no longer know what it discovers"
		f.Ways = remedy{say("leave the label as it is")}
	}
	return []Finding{f}
}

// uninstallFirst stops the istiod before its ConfigMap goes.
func uninstallFirst(m *mesh.Mesh, loss *Loss) remedy {
	for i := range m.Sources {
		if s := &m.Sources[i]; s.Revision == loss.Revision && s.Release != "" {
			return remedy{run("uninstall the istiod, which deletes the ConfigMap too", uninstall(s.Release, m.ControlPlane))}
		}
	}
	selector := "app=istiod," + mesh.RevisionLabel + "=" + loss.Revision
	return remedy{run("delete the istiod first", fmt.Sprintf("kubectl delete deployments --selector %s --namespace %s", ShellWord(selector), NameWord(m.ControlPlane)))}
}
