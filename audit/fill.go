package audit

import (
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// fill does to a namespace, which it writes, what the mutating webhook would.
func (c *Checker) fill(o *Object, old Object, fleet *mesh.Fleet) (policy.Fill, error) {
	if c.exempts(o.Name) {
		return policy.Fill{}, nil
	}
	fill := c.Policy.Fill(policy.FillChange{
		Old: old.namespace.ToMesh(), New: o.namespace.ToMesh(), Fleet: fleet, OptedOut: o.namespace.OptedOut(),
		Before: kube.OriginOf(old.namespace, old.Raw), After: kube.OriginOf(o.namespace, o.Raw),
	})
	var value any // null removes
	switch fill.Answer {
	case policy.Add, policy.Replace:
		value = fill.Revision
	case policy.Remove:
	default:
		return fill, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels":      map[string]any{api.RevisionLabel: value},
		"annotations": map[string]any{api.FilledRevisionAnnotation: value},
	}})
	if err != nil {
		return fill, err
	}
	raw, err := jsonpatch.MergePatch(o.Raw, patch)
	if err != nil {
		return fill, fmt.Errorf("istio.io/rev cannot be filled in for %s: %w", o.Key, err)
	}
	*o, err = c.Scope.Decode(o.Kind, o.Namespace, o.Name, raw)
	return fill, err
}

// exempts reports whether a namespace is not judged.
func (c *Checker) exempts(namespace string) bool { return c.Exempt != nil && c.Exempt(namespace) }
