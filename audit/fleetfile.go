package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/istiod"
)

// FleetFile writes an inventory down so that it can be checked against without the cluster: a List in YAML of the objects in the order of
// reports, each without what no judgement depends on, such as its status and other people's annotations. The same inventory gives the same bytes.
func (i *Inventory) FleetFile() ([]byte, error) {
	items := make([]any, 0, len(i.objects))
	for _, key := range i.Keys() {
		item, err := reduced(i.objects[key])
		if err != nil {
			return nil, fmt.Errorf("%s cannot be written: %w", key, err)
		}
		items = append(items, item)
	}
	return yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// reduced returns what is judged of an object, and what tells how a file is laid over it.
func reduced(o Object) (map[string]any, error) {
	var whole map[string]any
	if err := json.Unmarshal(o.Raw, &whole); err != nil {
		return nil, err
	}
	metadata, _ := whole["metadata"].(map[string]any)
	kept := pick(metadata, "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "labels", "ownerReferences")
	if o.namespace != nil {
		maps.Copy(kept, pick(metadata, "managedFields")) // they tell who owns istio.io/rev
	}
	if annotations, _ := metadata["annotations"].(map[string]any); len(annotations) > 0 {
		maps.DeleteFunc(annotations, func(key string, _ any) bool {
			return key != lastApplied && !strings.HasPrefix(key, api.Group+"/") && (o.istiod == nil || key != istiod.ReleaseAnnotation)
		})
		reduceLastApplied(annotations)
		if len(annotations) > 0 {
			kept["annotations"] = annotations
		}
	}
	if o.istiod != nil {
		istiod.Reduce(o.Kind, whole)
	}
	all := pick(whole, "apiVersion", "kind", "spec", "data", "binaryData", "webhooks")
	if o.namespace != nil {
		delete(all, "spec")
	}
	all["metadata"] = kept
	return all, nil
}

// reduceLastApplied takes from what kubectl apply remembers what no judgement depends on, such as annotations of others. What cannot be read goes.
func reduceLastApplied(annotations map[string]any) {
	text, ok := annotations[lastApplied].(string)
	if !ok {
		return
	}
	delete(annotations, lastApplied)
	var applied map[string]any
	if json.Unmarshal([]byte(text), &applied) != nil {
		return
	}
	metadata, _ := applied["metadata"].(map[string]any)
	kept := pick(metadata, "name", "namespace", "labels")
	if others, _ := metadata["annotations"].(map[string]any); len(others) > 0 {
		maps.DeleteFunc(others, func(key string, _ any) bool { return !strings.HasPrefix(key, api.Group+"/") })
		kept["annotations"] = others
	}
	all := pick(applied, "apiVersion", "kind", "spec", "data")
	all["metadata"] = kept
	if raw, err := json.Marshal(all); err == nil {
		annotations[lastApplied] = string(raw)
	}
}

// pick returns a map with some of the keys of another one.
func pick(from map[string]any, keys ...string) map[string]any {
	picked := map[string]any{}
	for key, value := range from {
		if slices.Contains(keys, key) {
			picked[key] = value
		}
	}
	return picked
}
