package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

// meshMaps validates the mesh map. The webhook configuration sends all ConfigMaps of our namespace but the ledger, so that
// it need not know the mesh map's name, which the configuration can change; the others pass. Like namespaces it calls
// nobody to allow one.
type meshMaps struct {
	name       string
	fleet      fleetReader
	stored     storedReader
	policy     *policy.Policy
	namespaces namespaceLister
	exempt     exemptions
	recorder   *recorder
	finisher   *finisher
}

// Handle judges a CREATE or UPDATE of the mesh map. Without it, or while nobody answers, the mesh map is stored unchecked,
// and entries that cannot be used are ignored, logged and counted. Failure policy: Ignore.
func (h *meshMaps) Handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, configMapKind); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if passes(&req) {
		return allow()
	}
	old, updated, err := decodeConfigMaps(&req)
	if err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if updated.Metadata.Name != h.name || updated.goesOn(old) || h.exempt.user(req.UserInfo.Username) {
		return allow()
	}
	if !h.fleet.Synced() {
		return h.recorder.notYet(ctx, &req, errNotSynced)
	}
	fleet := h.fleet.Fleet()
	change := policy.MapChange{
		Old: old.judged(req.Namespace), New: updated.judged(req.Namespace), Fleet: fleet, Namespaces: h.concerned(ctx, fleet),
	}
	return h.finisher.finish(ctx, &req, updated.Metadata.Annotations, h.confirmed(ctx, change, h.policy.Map(change)))
}

// concerned are the namespaces that the mesh map may put into another mesh: none once there are meshes, which decide then. What
// cannot be read of one is as it is known: the mesh map is stored also while meshfence does not answer.
func (h *meshMaps) concerned(ctx context.Context, fleet *mesh.Fleet) []mesh.Namespace {
	if len(fleet.Meshes()) > 0 {
		return nil
	}
	all, _ := h.namespaces.Namespaces(ctx, func() []string { return h.policy.JudgedKeys(fleet) })
	return h.exempt.judged(all)
}

// confirmed judges a mesh map again, against what is stored, before it is refused, as it is done with namespaces.
func (h *meshMaps) confirmed(ctx context.Context, change policy.MapChange, verdict policy.Verdict) policy.Verdict {
	if verdict.Answer == policy.Allowed {
		return verdict
	}
	fleet := confirming(ctx, h.stored, change.Fleet)
	if fleet == nil {
		return verdict
	}
	change.Fleet = fleet
	return h.policy.Map(change)
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

// goesOn reports whether the update only brings the deletion of a ConfigMap forward: its finalizers and the other metadata must
// get through. A map in deletion counts as long as it is stored, so a change of what it says is judged like any other.
func (c *configMapObject) goesOn(old *configMapObject) bool {
	return c.Metadata.DeletionTimestamp != "" && old != nil && maps.Equal(old.Data, c.Data) && maps.Equal(old.BinaryData, c.BinaryData)
}

// judged returns what the policy sees of a ConfigMap; nil for nil.
func (c *configMapObject) judged(namespace string) *mesh.Map {
	if c == nil {
		return nil
	}
	return &mesh.Map{Namespace: namespace, Name: c.Metadata.Name, Data: c.Data, Binary: slices.Sorted(maps.Keys(c.BinaryData))}
}

// decodeConfigMaps returns the new object and, for an UPDATE, the old one.
func decodeConfigMaps(req *admission.Request) (old, updated *configMapObject, err error) {
	if updated, err = decodeConfigMap(req, req.Object.Raw); err != nil {
		return nil, nil, err
	}
	if req.Operation == admissionv1.Update {
		if old, err = decodeConfigMap(req, req.OldObject.Raw); err != nil {
			return nil, nil, fmt.Errorf("oldObject: %w", err)
		}
	}
	return old, updated, nil
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
	if c.Metadata.Name == "" {
		c.Metadata.Name = req.Name
	}
	if c.Metadata.Name == "" {
		return nil, errors.New("the ConfigMap has no name")
	}
	return c, nil
}
