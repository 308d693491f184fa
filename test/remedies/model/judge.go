package model

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// filledAnnotation and fillAnnotation are what meshfence notes and reads of filling in.
const (
	filledAnnotation = "meshfence.io/filled-revision"
	fillAnnotation   = "meshfence.io/fill"
)

// Change is a CREATE (Old is nil), UPDATE or DELETE (New is nil) of an object.
type Change struct {
	Key      Key
	Old, New *Object
}

// Judge is how meshfence judges changes, at a time.
type Judge struct {
	Policy *policy.Policy
	Now    time.Time
}

// exempt reports whether a namespace of that name is never judged.
func exempt(name string) bool { return strings.HasPrefix(name, "exempt-") }

// Answer is what a change is told, and what is stored if it is admitted; nil for a DELETE.
type Answer struct {
	policy.Verdict
	Stored *Object
	// Filled is what is told of filling in.
	Filled string
}

// Of judges a change as the webhooks do.
func (j *Judge) Of(c Cluster, change Change) Answer {
	before := mesh.NewFleet(c.objects())
	switch change.Key.Kind {
	case KindNamespace:
		return j.namespace(before, change, c.judgedNamespaces())
	case KindConfigMap:
		if change.New == nil {
			return Answer{Verdict: policy.Verdict{Answer: policy.Allowed}}
		}
		var concerned []mesh.Namespace
		if len(before.Meshes()) == 0 {
			concerned = c.judgedNamespaces()
		}
		return Answer{Stored: change.New, Verdict: j.Policy.Map(policy.MapChange{
			Old: change.Old.meshMap(), New: change.New.meshMap(), Fleet: before, Namespaces: concerned,
		})}
	case sail.KindIstioRevisionTag:
		judged := policy.TagChange{Before: before, Fleet: mesh.NewFleet(c.Put(change.Key, change.New).objects()), Namespaces: c.judgedNamespaces(), Now: j.Now}
		if change.Old != nil {
			judged.Old = mesh.TagOf(change.Old.tag)
		}
		if change.New != nil {
			judged.New = mesh.TagOf(change.New.tag)
		}
		return Answer{Stored: change.New, Verdict: j.Policy.Tag(judged)}
	default:
		return Answer{Stored: change.New, Verdict: j.mesh(c, before, change)}
	}
}

func (j *Judge) mesh(c Cluster, before *mesh.Fleet, change Change) policy.Verdict {
	after, ref := mesh.NewFleet(c.Put(change.Key, change.New).objects()), mesh.Ref{Kind: change.Key.Kind, Name: change.Key.Name}
	judged := policy.MeshChange{
		Before: before, Fleet: after, Namespaces: c.namespaces(), Exempt: exempt, Now: j.Now,
		Creating: change.Old == nil, Removing: change.New == nil,
	}
	if judged.Removing {
		judged.Old = before.MeshOf(ref)
		judged.New = after.Mesh(judged.Old.Ref)
	} else {
		judged.New = after.MeshOf(ref)
		judged.Old = before.Mesh(judged.New.Ref)
	}
	return j.Policy.Mesh(judged)
}

// namespace fills in and then judges.
func (j *Judge) namespace(fleet *mesh.Fleet, change Change, all []mesh.Namespace) Answer {
	if change.New == nil || exempt(change.Key.Name) {
		return Answer{Stored: change.New, Verdict: policy.Verdict{Answer: policy.Allowed}}
	}
	origin := func(o *Object) policy.Origin {
		if o == nil {
			return policy.Origin{}
		}
		return policy.Origin{Filled: o.GetAnnotations()[filledAnnotation]}
	}
	fill := j.Policy.Fill(policy.FillChange{
		Old: change.Old.namespace(), New: change.New.namespace(), Before: origin(change.Old), After: origin(change.New),
		OptedOut: change.New.GetAnnotations()[fillAnnotation] == "false", Fleet: fleet,
	})
	stored := change.New
	switch fill.Answer {
	case policy.LeaveAlone:
	case policy.Add, policy.Replace:
		stored = stored.merged(filling(fill.Revision))
	case policy.Remove:
		stored = stored.merged(filling(nil))
	}
	return Answer{Stored: stored, Filled: strings.Join(fill.Warnings, "; "), Verdict: j.Policy.Namespace(policy.NamespaceChange{
		Old: change.Old.namespace(), New: stored.namespace(), Fleet: fleet, Now: j.Now, All: func() []mesh.Namespace { return all },
	})}
}

// filling is the patch of the mutating webhook.
func filling(revision any) map[string]any {
	return map[string]any{"metadata": map[string]any{
		"labels": map[string]any{mesh.RevisionLabel: revision}, "annotations": map[string]any{filledAnnotation: revision},
	}}
}

// merged is the object after a merge patch.
func (o *Object) merged(patch map[string]any) *Object {
	after, err := NewObject(&unstructured.Unstructured{Object: merge(o.DeepCopy().Object, patch)})
	if err != nil {
		panic(fmt.Sprintf("%s, patched with %v: %v", Text(o), patch, err))
	}
	return after
}

// merge applies a JSON merge patch (RFC 7386) to an object, which it writes.
func merge(object, patch map[string]any) map[string]any {
	if object == nil {
		object = map[string]any{}
	}
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(object, key)
		case map[string]any:
			below, _ := object[key].(map[string]any)
			object[key] = merge(below, value)
		default:
			object[key] = value
		}
	}
	return object
}
