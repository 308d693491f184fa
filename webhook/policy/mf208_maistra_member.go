package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maistraIgnoreLabel with the value "true" tells OpenShift Service Mesh 2 to leave a member namespace's pods alone
// (OpenShift Service Mesh 3, "Migrating from Service Mesh 2 to Service Mesh 3").
const maistraIgnoreLabel = api.MaistraIgnoreLabel

// maistraMember finds a member of an OpenShift Service Mesh 2 mesh that also has a revision which injects: both versions
// would inject its pods. A change of that product's labels alone is not sent here, so this is mostly seen when a revision is
// set.
func maistraMember(ns *mesh.Namespace, w *World) []Finding {
	member := ns.Labels[mesh.MaistraMemberLabel]
	revision, hasRevision := ns.Labels[mesh.RevisionLabel]
	if !hasRevision || !maistraInjects(ns.Labels) || !mesh.InjectionOf(ns.Labels).By {
		return nil
	}
	f := Finding{
		Field:  labelPath(mesh.MaistraMemberLabel),
		Detail: fmt.Sprintf("with %s=%s and istio.io/rev=%s, OpenShift Service Mesh 2 and 3 would both inject its pods", mesh.MaistraMemberLabel, member, revision),
		Effect: "pods with two sidecars do not start",
	}
	f.Ways = w.remedied(func() remedy {
		return w.labels(ns, f, maistraMember,
			labelling{"keep Service Mesh 2 from injecting its pods", []selector.Edit{set(maistraIgnoreLabel, "true")}},
			labelling{"leave it to Service Mesh 2", []selector.Edit{remove(mesh.RevisionLabel)}}).or(unlabelled)
	})
	return []Finding{f}
}

// maistraInjects reports whether a namespace is left to OpenShift Service Mesh 2: it is a member of one of its meshes, and that is
// not told to leave the pods alone.
func maistraInjects(labels map[string]string) bool {
	_, isMember := labels[mesh.MaistraMemberLabel]
	return isMember && labels[maistraIgnoreLabel] != "true"
}
