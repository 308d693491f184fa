package webhook

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// namespaceFiller fills in a namespace's missing istio.io/rev, and takes care of one that it has filled in.
type namespaceFiller struct{ *common }

// fillNamespaces returns the handler that patches a CREATE or UPDATE of a namespace. It never refuses a well-formed request, not even
// by a panic: to the API server an answer of any kind is no failure that failurePolicy Ignore would pass over. A label hurts no user,
// so none is exempt. Failure policy: Ignore.
func fillNamespaces(c *common) admission.Handler {
	f := namespaceFiller{c}
	return allowOnPanic{&kindHandler[kube.Namespace]{
		common: c, kind: namespaceKind, decode: decodeNamespace, subresources: true, allUsers: true, skip: f.skip, judge: f.judge,
		notSynced: func() admission.Response {
			return allowWarning("meshfence did not look whether istio.io/rev is to be filled in: it has not read the cluster's meshes yet")
		},
	}}
}

// allowOnPanic allows a request whose handler panics.
type allowOnPanic struct{ admission.Handler }

// Handle returns the response of the handler, if it does not panic.
func (h allowOnPanic) Handle(ctx context.Context, req admission.Request) (response admission.Response) {
	defer func() {
		if r := recover(); r != nil {
			log.FromContext(ctx).Error(fmt.Errorf("panic: %v", r), "cannot decide whether to fill in", "stack", string(debug.Stack()))
			response = allowWarning("meshfence could not decide whether istio.io/rev is to be filled in; its log says why")
		}
	}()
	return h.Handler.Handle(ctx, req)
}

func (f namespaceFiller) skip(_, updated *kube.Namespace) bool { return f.exempt.object(updated) }

// judge asks the policy what to fill in, and replies with the patch that does it.
func (f namespaceFiller) judge(ctx context.Context, req *admission.Request, old, updated *kube.Namespace) admission.Response {
	fill := f.policy.Fill(policy.FillChange{
		Old: old.ToMesh(), New: updated.ToMesh(), Fleet: f.cluster.Fleet(), OptedOut: updated.OptedOut(),
		Before: kube.OriginOf(old, req.OldObject.Raw), After: kube.OriginOf(updated, req.Object.Raw),
		Rewritten: kube.LosesRevision(old, updated) && kube.Rewritten(req.Object.Raw),
	})
	if len(fill.Warnings) > 0 && f.mayNotJoin(ctx, req, old, updated, fill) {
		fill.Warnings = nil
	}
	if fill.Answer == policy.LeaveAlone {
		return allowWarning(fill.Warnings...)
	}
	f.recorder.fill(ctx, req, fill)
	return patch(fill.Warnings, patchOf(updated, fill))
}

// mayNotJoin reports whether the namespace is going to be refused because the user may not use a mesh that it joins (MF210): then nothing
// is stored that could be told. The fill itself does not depend on it, and the question is asked only where that rule is on.
func (f namespaceFiller) mayNotJoin(ctx context.Context, req *admission.Request, old, updated *kube.Namespace, fill policy.Fill) bool {
	change := policy.NamespaceChange{Old: old.ToMesh(), New: filledWith(updated.ToMesh(), fill), Fleet: f.cluster.Fleet(), Now: f.now(), User: req.UserInfo.Username}
	if f.exempt.user(change.User) || len(f.policy.Joins(change)) == 0 {
		return false
	}
	f.askRights(ctx, req, &change)
	verdict := f.policy.Namespace(change)
	override := policy.ReadOverride(updated.Metadata.Annotations[policy.OverrideAnnotation])
	return verdict.Answer == policy.Denied && len(override.Asks(verdict)) == 0
}

// filledWith is the namespace as it is validated.
func filledWith(ns *mesh.Namespace, fill policy.Fill) *mesh.Namespace {
	labels := map[string]string{}
	maps.Copy(labels, ns.Labels)
	if fill.Revision != "" {
		labels[mesh.RevisionLabel] = fill.Revision
	} else if fill.Answer == policy.Remove {
		delete(labels, mesh.RevisionLabel)
	}
	return &mesh.Namespace{Name: ns.Name, Labels: labels, Deleting: ns.Deleting}
}

// patchOperation is one of a JSON patch (RFC 6902); "add" replaces a member that is there already.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patchOf sets or removes the label and the annotation that remembers it.
func patchOf(ns *kube.Namespace, fill policy.Fill) []patchOperation {
	change := setKey
	if fill.Answer == policy.Remove {
		change = removeKey
	}
	return append(change("labels", ns.Metadata.Labels, mesh.RevisionLabel, fill.Revision),
		change("annotations", ns.Metadata.Annotations, api.FilledRevisionAnnotation, fill.Revision)...)
}

// setKey adds a key to labels or annotations, and their map where it is missing.
func setKey(field string, in map[string]string, key, value string) []patchOperation {
	var operations []patchOperation
	if in == nil {
		operations = append(operations, patchOperation{Op: "add", Path: "/metadata/" + field, Value: map[string]string{}})
	}
	return append(operations, patchOperation{Op: "add", Path: pointer(field, key), Value: value})
}

// removeKey takes a key away if it is there, or the patch would fail.
func removeKey(field string, in map[string]string, key, _ string) []patchOperation {
	if _, present := in[key]; !present {
		return nil
	}
	return []patchOperation{{Op: "remove", Path: pointer(field, key)}}
}

// pointer is the JSON pointer (RFC 6901, 3) to a label or annotation. A key has no other character that must be escaped.
func pointer(field, key string) string {
	return "/metadata/" + field + "/" + strings.ReplaceAll(key, "/", "~1")
}
