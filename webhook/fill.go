package webhook

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// filler fills in a namespace's missing istio.io/rev, and takes care of one that it has filled in.
type filler struct {
	fleet    fleetReader
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
}

// Handle patches a CREATE or UPDATE of a namespace. It never refuses a well-formed request, not even by a panic: to the API
// server an answer of any kind is no failure that failurePolicy Ignore would pass over. Failure policy: Ignore.
func (h *filler) Handle(ctx context.Context, req admission.Request) (response admission.Response) {
	defer func() {
		if r := recover(); r != nil {
			log.FromContext(ctx).Error(fmt.Errorf("panic: %v", r), "cannot decide whether to fill in", "stack", string(debug.Stack()))
			response = allowWarning("meshfence could not decide whether istio.io/rev is to be filled in; its log says why")
		}
	}()
	return h.handle(ctx, req)
}

func (h *filler) handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, namespaceKind); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if passes(&req) {
		return allow()
	}
	old, updated, err := decodeNamespaces(&req)
	if err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if !h.fleet.Synced() {
		return allowWarning("meshfence did not look whether istio.io/rev is to be filled in: it has not read the cluster's meshes yet")
	}
	change := policy.FillChange{
		Old: old.judged(), New: updated.judged(), Fleet: h.fleet.Fleet(), OptedOut: updated.optedOut(),
		Before: originOf(old, req.OldObject.Raw), After: originOf(updated, req.Object.Raw),
	}
	if h.exempt.object(updated) {
		return allow()
	}
	fill := h.policy.Fill(change)
	if fill.Answer == policy.LeaveAlone {
		return allowWarning(fill.Warning)
	}
	h.recorder.fill(ctx, &req, fill)
	return patch(fill.Warning, patchOf(updated, fill))
}

// patchOperation is one of a JSON patch (RFC 6902); "add" replaces a member that is there already.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patchOf sets or removes the label and the annotation that remembers it.
func patchOf(ns *namespaceObject, fill policy.Fill) []patchOperation {
	change := set
	if fill.Answer == policy.Remove {
		change = remove
	}
	return append(change("labels", ns.Metadata.Labels, mesh.RevisionLabel, fill.Revision),
		change("annotations", ns.Metadata.Annotations, FilledRevisionAnnotation, fill.Revision)...)
}

// set adds a key to labels or annotations, and their map where it is missing.
func set(field string, in map[string]string, key, value string) []patchOperation {
	var operations []patchOperation
	if in == nil {
		operations = append(operations, patchOperation{Op: "add", Path: "/metadata/" + field, Value: map[string]string{}})
	}
	return append(operations, patchOperation{Op: "add", Path: pointer(field, key), Value: value})
}

// remove takes a key away if it is there, or the patch would fail.
func remove(field string, in map[string]string, key, _ string) []patchOperation {
	if _, present := in[key]; !present {
		return nil
	}
	return []patchOperation{{Op: "remove", Path: pointer(field, key)}}
}

// pointer is the JSON pointer (RFC 6901, 3) to a label or annotation. A key has no other character that must be escaped.
func pointer(field, key string) string {
	return "/metadata/" + field + "/" + strings.ReplaceAll(key, "/", "~1")
}
