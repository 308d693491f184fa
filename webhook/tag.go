package webhook

import (
	"context"
	"errors"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// tagReader gives what is stored now, and the namespaces that may use a tag.
type tagReader interface {
	knownReader
	Synced() bool
	namespaceLister
}

// tags validates IstioRevisionTags. It reads live state, like controlPlanes: a tag is often applied together with its
// target.
type tags struct {
	stored   tagReader
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
	finisher *finisher
	now      func() int64
}

// Handle judges a CREATE, UPDATE or DELETE of an IstioRevisionTag. Failure policy: Fail.
func (h *tags) Handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, sail.GroupVersion.WithKind(sail.KindIstioRevisionTag)); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if req.SubResource != "" || cleansUp(&req) {
		return allow()
	}
	old, updated, err := decodeTags(&req)
	switch {
	case err != nil && req.Operation == admissionv1.Delete:
		return unreadableDeletion(ctx, err)
	case err != nil:
		return h.recorder.badRequest(ctx, err)
	case h.exempt.user(req.UserInfo.Username):
		return allow()
	case updated == nil && old.Metadata.DeletionTimestamp != "", updated != nil && onlyGoesOn(old, updated):
		return allow()
	case updated != nil && updated.Malformed != nil && (old == nil || old.Malformed == nil): // as in controlPlanes
		return h.recorder.badField(ctx, &req, updated.Malformed)
	}
	return h.judge(ctx, &req, old, updated)
}

// onlyGoesOn reports whether an update only brings the deletion of a tag forward: its finalizers and the other metadata must get
// through. A tag in deletion chooses a mesh as long as it is stored, so another target is judged like any other.
func onlyGoesOn(old, updated *sail.Tag) bool {
	return updated.Metadata.DeletionTimestamp != "" && old != nil && old.Spec == updated.Spec &&
		(updated.Malformed == nil || old.Malformed != nil)
}

// judge compares the tag with the stored meshes; a deletion, if they cannot be read, with those that are known.
func (h *tags) judge(ctx context.Context, req *admission.Request, old, updated *sail.Tag) admission.Response {
	if !h.stored.Synced() {
		return h.recorder.notYet(ctx, req, errNotSynced)
	}
	if updated == nil {
		// An error leaves what is known of the namespaces.
		change, _ := h.change(ctx, storedOrKnown(ctx, h.stored), old, nil)
		return h.finisher.finish(ctx, req, old.Metadata.Annotations, h.policy.Tag(change))
	}
	objects, err := storedForJudgement(ctx, h.stored)
	if err != nil {
		return h.recorder.notYet(ctx, req, err)
	}
	change, err := h.change(ctx, objects, old, updated)
	if err != nil {
		return h.recorder.notYet(ctx, req, err)
	}
	return h.finisher.finish(ctx, req, updated.Metadata.Annotations, h.policy.Tag(change))
}

// change puts the old tag and the new one, nil on CREATE and DELETE, in the place of the one that is stored.
func (h *tags) change(ctx context.Context, objects mesh.Objects, old, updated *sail.Tag) (policy.TagChange, error) {
	before, after := objects, objects
	change := policy.TagChange{Now: h.now()}
	if old != nil {
		change.Old = mesh.TagOf(old)
		before, after = before.WithTag(old), after.WithoutTag(old.Metadata.Name)
	}
	if updated != nil {
		change.New = mesh.TagOf(updated)
		after = after.WithTag(updated)
	}
	change.Before = mesh.NewFleet(before)
	change.Fleet = change.Before.Next(after)
	var err error
	change.Namespaces, err = h.judgedNamespaces(ctx, change.Before, change.Fleet)
	return change, err
}

// judgedNamespaces leaves out the exempt ones.
func (h *tags) judgedNamespaces(ctx context.Context, before, fleet *mesh.Fleet) ([]mesh.Namespace, error) {
	all, err := h.stored.Namespaces(ctx, func() []string { return h.policy.JudgedKeys(before, fleet) })
	return h.exempt.judged(all), err
}

// decodeTags returns the new object, nil on DELETE, and the old one, nil on CREATE.
func decodeTags(req *admission.Request) (old, updated *sail.Tag, err error) {
	if req.Operation != admissionv1.Delete {
		if updated, err = decodeTag(req, req.Object.Raw); err != nil {
			return nil, nil, err
		}
	}
	if req.Operation != admissionv1.Create {
		if old, err = decodeTag(req, req.OldObject.Raw); err != nil {
			return nil, nil, fmt.Errorf("oldObject: %w", err)
		}
	}
	return old, updated, nil
}

// decodeTag reads one object; its name is the request's if it has none.
func decodeTag(req *admission.Request, raw []byte) (*sail.Tag, error) {
	tag, err := sail.DecodeTag(raw)
	if err != nil {
		return nil, fmt.Errorf("the IstioRevisionTag cannot be read: %w", err)
	}
	if tag.Metadata.Name == "" {
		tag.Metadata.Name = req.Name
	}
	if tag.Metadata.Name == "" {
		return nil, errors.New("the object has no name")
	}
	return tag, nil
}
