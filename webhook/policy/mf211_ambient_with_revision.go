package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// ambientMode is the value of mesh.DataplaneModeLabel that sends a namespace's traffic through ztunnel.
const ambientMode = "ambient"

// ambientWithRevision finds a namespace of ambient mode with a label that injects: the sidecar wins, so ambient mode stays
// without effect (Istio, "Migrate from Sidecar to Ambient"). That guide sets the mode first and
// removes the revision last, and is told of it in between.
func ambientWithRevision(ns *mesh.Namespace, w *World) []Finding {
	if ns.Labels[mesh.DataplaneModeLabel] != ambientMode {
		return nil
	}
	injection := w.Fleet.InjectionOf(ns.Labels)
	if !injection.By {
		return nil
	}
	why := injection.Label + "=" + ns.Labels[injection.Label] + " is set too"
	if injection.ByDefault() {
		why = "no label chooses a revision, so that it is injected by default"
	}
	f := Finding{
		Field:  labelPath(mesh.DataplaneModeLabel),
		Detail: fmt.Sprintf("%s=%s is set, but %s", mesh.DataplaneModeLabel, ambientMode, why),
		Effect: "its pods would get sidecars, and a pod with a sidecar does not take part in ambient mode",
	}
	f.Ways = w.remedied(func() remedy {
		return w.labels(ns, f, ambientWithRevision,
			labelling{"use sidecars", []selector.Edit{remove(mesh.DataplaneModeLabel)}},
			labelling{"use ambient mode", release(ns.Labels, w.Fleet)}).or(unlabelled)
	})
	return []Finding{f}
}
