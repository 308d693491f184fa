package kube

import (
	"fmt"
	"maps"
	"slices"

	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// ConfigMap is what is read of a ConfigMap.
type ConfigMap struct {
	Metadata struct {
		Name              string            `json:"name"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data       map[string]string `json:"data"`
	BinaryData map[string]string `json:"binaryData"`
}

// DecodeConfigMap reads a ConfigMap from JSON. An error means that there is no object, or that a field has another type.
func DecodeConfigMap(raw []byte) (*ConfigMap, error) {
	if !isObject(raw) {
		return nil, ErrNoObject
	}
	c := &ConfigMap{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, c); err != nil {
		return nil, fmt.Errorf("the ConfigMap cannot be read: %w", err)
	}
	return c, nil
}

// SameData reports whether two versions of a ConfigMap hold the same; old is nil for none.
func (c *ConfigMap) SameData(old *ConfigMap) bool {
	return old != nil && maps.Equal(old.Data, c.Data) && maps.Equal(old.BinaryData, c.BinaryData)
}

// ToMesh returns what the policy sees of the mesh map; nil for nil. The namespace is that of the request.
func (c *ConfigMap) ToMesh(namespace string) *mesh.Map {
	if c == nil {
		return nil
	}
	return &mesh.Map{Namespace: namespace, Name: c.Metadata.Name, Data: c.Data, Binary: slices.Sorted(maps.Keys(c.BinaryData))}
}
