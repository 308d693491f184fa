package webhook

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// tags validates IstioRevisionTags. It reads live state, like controlPlanes: a tag is often applied together with its
// target.
type tags struct{ *common }

// validateTags returns the handler of CREATE, UPDATE and DELETE of an IstioRevisionTag. Failure policy: Fail.
func validateTags(c *common) admission.Handler {
	t := tags{c}
	return &kindHandler[sail.Tag]{
		common: c, kind: sail.GroupVersion.WithKind(sail.KindIstioRevisionTag), decode: decodeTag, deletions: true,
		skip: t.skip, malformed: func(tag *sail.Tag) error { return tag.Malformed }, annotations: func(tag *sail.Tag) map[string]string { return tag.Metadata.Annotations }, judge: t.judge,
	}
}

// skip reports whether a request only brings the deletion of a tag forward: its finalizers and the other metadata must get
// through. A tag in deletion chooses a mesh as long as it is stored, so another target is judged like any other.
func (t tags) skip(old, updated *sail.Tag) bool {
	if updated == nil {
		return old.Metadata.DeletionTimestamp != ""
	}
	return updated.Metadata.DeletionTimestamp != "" && old != nil && old.Spec == updated.Spec &&
		(updated.Malformed == nil || old.Malformed != nil)
}

// judge compares the tag with the stored meshes; a deletion, if they cannot be read, with those that are known.
func (t tags) judge(ctx context.Context, req *admission.Request, old, updated *sail.Tag) admission.Response {
	if updated == nil {
		// An error leaves what is known of the namespaces.
		change, _ := t.change(ctx, t.storedOrKnown(ctx), old, nil)
		return t.finish(ctx, req, old.Metadata.Annotations, t.policy.Tag(change))
	}
	objects, err := t.storedForJudgement(ctx)
	if err != nil {
		return t.recorder.notYet(ctx, req, err)
	}
	change, err := t.change(ctx, objects, old, updated)
	if err != nil {
		return t.recorder.notYet(ctx, req, err)
	}
	return t.finish(ctx, req, updated.Metadata.Annotations, t.policy.Tag(change))
}

// change puts the old tag and the new one, nil on CREATE and DELETE, in the place of the one that is stored.
func (t tags) change(ctx context.Context, objects mesh.Objects, old, updated *sail.Tag) (policy.TagChange, error) {
	before, after := objects, objects
	change := policy.TagChange{Now: t.now()}
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
	change.Namespaces, err = t.namespaces(ctx, change.Before, change.Fleet)
	return change, err
}

// namespaces returns the cluster's without the exempt ones.
func (t tags) namespaces(ctx context.Context, before, fleet *mesh.Fleet) ([]mesh.Namespace, error) {
	all, err := t.cluster.Namespaces(ctx, func() []string { return t.policy.JudgedKeys(before, fleet) })
	return t.exempt.without(all), err
}

// decodeTag reads one object; its name is the request's if it has none.
func decodeTag(req *admission.Request, raw []byte) (*sail.Tag, error) {
	tag, err := sail.DecodeTag(raw)
	if err != nil {
		return nil, fmt.Errorf("the IstioRevisionTag cannot be read: %w", err)
	}
	return tag, completeName(&tag.Metadata.Name, req, "object")
}
