package audit

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// lastApplied is where kubectl apply remembers what it applied last; what is in there and not in the file is removed.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// applied returns an object after a file was applied over what is stored, as kubectl apply does it: fields that the file does not name stay, unless
// the last apply set them. (Server-side apply removes the fields that its manager owns; who will apply the file cannot be known here.) Lists are
// replaced, as in all the kinds that are judged.
func (s Scope) applied(stored, file Object) (Object, error) {
	var annotated struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(stored.Raw, &annotated); err != nil {
		return Object{}, fmt.Errorf("the stored %s cannot be read: %w", stored.Key, err)
	}
	var original []byte
	// What is no object was not written by kubectl, and says nothing.
	if text := annotated.Metadata.Annotations[lastApplied]; json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimSpace(text), "{") {
		original = []byte(text)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(original, file.Raw, stored.Raw)
	if err != nil {
		return Object{}, fmt.Errorf("%s cannot be laid over the stored one: %w", file.Key, err)
	}
	merged, err := jsonpatch.MergePatch(stored.Raw, patch)
	if err != nil {
		return Object{}, fmt.Errorf("%s cannot be laid over the stored one: %w", file.Key, err)
	}
	return s.Decode(file.Kind, file.Namespace, file.Name, merged)
}

// over returns an object of a file as it is once the file is applied, and what was stored before.
func (s Scope) over(stored *Inventory, file Object) (updated, old Object, err error) {
	old, existed := stored.Get(file.Key)
	updated = file
	if existed {
		updated, err = s.applied(old, file)
	}
	if err != nil || updated.namespace == nil {
		return updated, old, err
	}
	updated, err = s.remembering(updated, file)
	return updated, old, err
}

// remembering returns an object with what was applied, as kubectl apply leaves it there: by that an istio.io/rev that stands in the file is its
// author's, also if it is stored with that value already (and server-side apply would own it).
func (s Scope) remembering(o, file Object) (Object, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{lastApplied: string(file.Raw)}}})
	if err != nil {
		return Object{}, fmt.Errorf("%s cannot be remembered: %w", file.Key, err)
	}
	raw, err := jsonpatch.MergePatch(o.Raw, patch)
	if err != nil {
		return Object{}, fmt.Errorf("%s cannot be remembered: %w", file.Key, err)
	}
	return s.Decode(o.Kind, o.Namespace, o.Name, raw)
}

// lay returns a cluster with files applied to it, istio.io/rev filled in as the webhook would.
func (c *Checker) lay(cluster, files *Inventory) (*Inventory, error) {
	laid := cluster.clone()
	for _, key := range files.Keys() {
		o, _, err := c.Scope.over(cluster, files.objects[key])
		if err != nil {
			return nil, err
		}
		laid.Put(o)
	}
	fleet := c.Existing(laid).Fleet
	for _, key := range files.Keys() {
		o := laid.objects[key]
		if o.namespace == nil {
			continue
		}
		if _, err := c.fill(&o, cluster.objects[key], fleet); err != nil {
			return nil, err
		}
		laid.Put(o)
	}
	return laid, nil
}

// Laid judges files laid over a cluster: each object of a file as a change of the stored one, beside all other files. What the files do not
// touch, and what was wrong with it before, does not count.
func (c *Checker) Laid(cluster, files *Inventory) (Result, error) {
	laid, err := c.lay(cluster, files)
	if err != nil {
		return Result{}, err
	}
	before, after := c.stateOf(cluster), c.stateOf(laid)
	was, is := c.Policy.State(before.existing), c.Policy.State(after.existing)
	wrongBefore, elsewhere := printsOf(was), is
	var result Result
	for _, key := range files.Keys() {
		old, existed := cluster.Get(key)
		verdict := c.change(old, existed, laid.objects[key], before, after)
		result.Findings = append(result.Findings, offencesOf(key, verdict.Denials)...)
		result.Findings = append(result.Findings, without(offencesOf(key, verdict.Warnings), wrongBefore)...)
	}
	found := printsOf(result.Findings)
	for _, o := range without(elsewhere, found) {
		if wrongBefore[Fingerprint(o)] {
			result.Before = append(result.Before, o)
		} else {
			result.Elsewhere = append(result.Elsewhere, o)
		}
	}
	result.Before, result.Elsewhere = sorted(result.Before), sorted(result.Elsewhere)
	return result, nil
}

// offencesOf are the findings about one object.
func offencesOf(key Key, lists ...[]policy.Finding) []policy.Offence {
	var offences []policy.Offence
	for _, list := range lists {
		for _, f := range list {
			offences = append(offences, policy.Offence{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name, Finding: f})
		}
	}
	return offences
}

// change judges what becomes of one object, between a cluster and the same with changes.
func (c *Checker) change(old Object, existed bool, updated Object, from, to state) policy.Verdict {
	key, before, after := updated.Key, from.existing, to.existing
	switch {
	case updated.istiod != nil && !updated.istiod.IsConfig():
		return policy.Verdict{Answer: policy.Allowed} // the API server does not ask about it
	case updated.controlPlane != nil, updated.istiod != nil:
		return c.meshChange(old, existed, updated, from, to)
	case updated.tag != nil:
		change := policy.TagChange{New: mesh.TagOf(updated.tag), Before: before.Fleet, Fleet: after.Fleet, Namespaces: c.judged(after.Namespaces), Now: c.Now}
		if existed {
			change.Old = mesh.TagOf(old.tag)
		}
		return c.Policy.Tag(change)
	case updated.configMap != nil:
		change := policy.MapChange{New: updated.configMap.ToMesh(key.Namespace), Fleet: after.Fleet}
		if len(after.Fleet.Meshes()) == 0 {
			change.Namespaces = c.judged(after.Namespaces)
		}
		if existed {
			change.Old = old.configMap.ToMesh(key.Namespace)
		}
		return c.Policy.Map(change)
	case c.exempts(key.Name):
		return policy.Verdict{Answer: policy.Allowed}
	default:
		return c.Policy.Namespace(policy.NamespaceChange{
			Old: old.namespace.ToMesh(), New: updated.namespace.ToMesh(), Fleet: after.Fleet, Now: c.Now,
			All: func() []mesh.Namespace { return c.judged(after.Namespaces) },
		})
	}
}

// meshChange judges a change of a mesh's object, as package webhook does for a request.
func (c *Checker) meshChange(old Object, existed bool, updated Object, from, to state) policy.Verdict {
	before, after := from.existing, to.existing
	changed := after.Fleet.MeshOf(updated.ref())
	if changed == nil { // an istiod's that is the Sail operator's all the same
		return policy.Verdict{Answer: policy.Allowed}
	}
	return c.Policy.Mesh(policy.MeshChange{
		Old: before.Fleet.Mesh(changed.Ref), New: changed, Before: before.Fleet, Beside: to.beside(updated, old, existed), Fleet: after.Fleet,
		Namespaces: after.Namespaces, Exempt: c.Exempt, Creating: !existed, Now: c.Now,
		Deleting: updated.controlPlane != nil && updated.controlPlane.Metadata.DeletionTimestamp != "",
	})
}

// ref names the object as a mesh has it among its sources.
func (o Object) ref() mesh.Ref {
	if o.istiod != nil {
		return mesh.Ref{Kind: o.Kind, Name: o.Namespace + "/" + o.Name}
	}
	return mesh.Ref{Kind: o.Kind, Name: o.Name}
}

// judged are the namespaces without the exempt ones.
func (c *Checker) judged(all []mesh.Namespace) []mesh.Namespace {
	if c.Exempt == nil {
		return all
	}
	var judged []mesh.Namespace
	for _, ns := range all {
		if !c.exempts(ns.Name) {
			judged = append(judged, ns)
		}
	}
	return judged
}
