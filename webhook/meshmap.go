package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

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
	return &kindHandler[configMapObject]{
		common: c, kind: configMapKind, decode: decodeConfigMap, subresources: true, skip: m.skip, judge: m.judge,
	}
}

// skip reports whether a ConfigMap is not the mesh map, or the update only brings the deletion of the mesh map forward: its finalizers
// and the other metadata must get through. A map in deletion counts as long as it is stored, so a change of what it says is judged
// like any other.
func (m meshMaps) skip(old, updated *configMapObject) bool {
	return updated.Metadata.Name != m.name || updated.Metadata.DeletionTimestamp != "" && updated.sameData(old)
}

// judge asks the policy about the mesh map.
func (m meshMaps) judge(ctx context.Context, req *admission.Request, old, updated *configMapObject) admission.Response {
	fleet := m.cluster.Fleet()
	change := policy.MapChange{Old: old.toMesh(req.Namespace), New: updated.toMesh(req.Namespace), Namespaces: m.movable(ctx, fleet)}
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

// configMapObject is what is read of a ConfigMap.
type configMapObject struct {
	Metadata struct {
		Name              string            `json:"name"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data       map[string]string `json:"data"`
	BinaryData map[string]string `json:"binaryData"`
}

// sameData reports whether two versions of a ConfigMap hold the same; old is nil for none.
func (c *configMapObject) sameData(old *configMapObject) bool {
	return old != nil && maps.Equal(old.Data, c.Data) && maps.Equal(old.BinaryData, c.BinaryData)
}

// toMesh returns what the policy sees of a ConfigMap; nil for nil.
func (c *configMapObject) toMesh(namespace string) *mesh.Map {
	if c == nil {
		return nil
	}
	return &mesh.Map{Namespace: namespace, Name: c.Metadata.Name, Data: c.Data, Binary: slices.Sorted(maps.Keys(c.BinaryData))}
}

// decodeConfigMap reads one object; its name is the request's if it has none. The API server has checked its types.
func decodeConfigMap(req *admission.Request, raw []byte) (*configMapObject, error) {
	if !isObject(raw) {
		return nil, errNoObject
	}
	c := &configMapObject{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, c); err != nil {
		return nil, fmt.Errorf("the ConfigMap cannot be read: %w", err)
	}
	return c, completeName(&c.Metadata.Name, req, "ConfigMap")
}
