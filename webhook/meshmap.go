package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

// meshMaps validates the mesh map. The webhook configuration sends all ConfigMaps of our namespace but the ledger, so that
// it need not know the mesh map's name, which the configuration can change; the others pass. Like namespaces it does not call the
// API server to allow one.
type meshMaps struct {
	*common
	name string
}

// validateMeshMaps returns the handler of CREATE and UPDATE of the mesh map. Without it, or while it does not answer, the mesh map is
// stored unchecked, and entries that cannot be used are ignored, logged and counted. Failure policy: Ignore.
func validateMeshMaps(c *common, name string) admission.Handler {
	m := meshMaps{common: c, name: name}
	return &kindHandler[kube.ConfigMap]{
		common: c, kind: configMapKind, decode: decodeConfigMap, subresources: true, skip: m.skip,
		annotations: func(c *kube.ConfigMap) map[string]string { return c.Metadata.Annotations }, judge: m.judge,
	}
}

// skip reports whether a ConfigMap is not the mesh map, or the update only brings the deletion of the mesh map forward: its finalizers
// and the other metadata must get through. A map in deletion counts as long as it is stored, so a change of what it says is judged
// like any other.
func (m meshMaps) skip(old, updated *kube.ConfigMap) bool {
	return updated.Metadata.Name != m.name || updated.Metadata.DeletionTimestamp != "" && updated.SameData(old)
}

// judge asks the policy about the mesh map.
func (m meshMaps) judge(ctx context.Context, req *admission.Request, old, updated *kube.ConfigMap) admission.Response {
	fleet := m.cluster.Fleet()
	change := policy.MapChange{Old: old.ToMesh(req.Namespace), New: updated.ToMesh(req.Namespace), Namespaces: m.movable(ctx, fleet)}
	verdict := m.confirmed(ctx, fleet, func(fleet *mesh.Fleet) policy.Verdict {
		change.Fleet = fleet
		return m.policy.Map(change)
	})
	return m.finish(ctx, req, updated.Metadata.Annotations, verdict)
}

// movable are the namespaces that the mesh map may put into another mesh: none once there are meshes, which decide then. What
// cannot be read of one is as it is known: the mesh map is stored also while meshfence does not answer.
func (m meshMaps) movable(ctx context.Context, fleet *mesh.Fleet) []mesh.Namespace {
	if len(fleet.Meshes()) > 0 {
		return nil
	}
	all, _ := m.cluster.Namespaces(ctx, func() []string { return m.policy.JudgedKeys(fleet) })
	return m.exempt.without(all)
}

// decodeConfigMap reads one object; its name is the request's if it has none. The API server has checked its types.
func decodeConfigMap(req *admission.Request, raw []byte) (*kube.ConfigMap, error) {
	c, err := kube.DecodeConfigMap(raw)
	if err != nil {
		return nil, err
	}
	return c, completeName(&c.Metadata.Name, req, "ConfigMap")
}
