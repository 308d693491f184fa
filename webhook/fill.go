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
	return patch(fill.Warning, patchText(updated, fill))
}

// patchText writes or removes the label and the annotation that remembers it, and adds the maps that hold them where they are
// missing: a JSON patch (RFC 6902; the operation add replaces a member that is there already).
func patchText(ns *namespaceObject, fill policy.Fill) []byte {
	text := make([]byte, 0, 1<<9)
	operation := func(op, path, value string) {
		text = append(text, `,{"op":"`+op+`","path":"/metadata/`+path+`"`+value+`}`...)
	}
	write := func(field string, in map[string]string, key string) {
		if in == nil {
			operation("add", field, `,"value":{}`)
		}
		operation("add", field+"/"+pointer(key), `,"value":`+string(appendString(nil, fill.Revision)))
	}
	if fill.Answer == policy.Remove {
		write = func(field string, in map[string]string, key string) {
			if _, present := in[key]; present { // or the patch would fail
				operation("remove", field+"/"+pointer(key), "")
			}
		}
	}
	write("labels", ns.Metadata.Labels, mesh.RevisionLabel)
	write("annotations", ns.Metadata.Annotations, FilledRevisionAnnotation)
	text[0] = '['
	return append(text, ']')
}

// pointer escapes a key for a JSON pointer (RFC 6901, 3). It has no other character that would need it.
func pointer(key string) string { return strings.ReplaceAll(key, "/", "~1") }
