package kube

import (
	"bytes"
	"errors"
	"fmt"

	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// ErrNoObject is returned for JSON that is no object, such as null.
var ErrNoObject = errors.New("the request carries no object")

// Namespace is what is read of a Namespace.
type Namespace struct {
	Metadata struct {
		Name              string            `json:"name"`
		GenerateName      string            `json:"generateName"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
}

// DecodeNamespace reads a Namespace from JSON. Its name may still be to be generated. An error means that nothing can be judged: there is no
// object, a field has another type, or there is no name.
func DecodeNamespace(raw []byte) (*Namespace, error) {
	if !isObject(raw) {
		return nil, ErrNoObject
	}
	ns := &Namespace{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, ns); err != nil {
		return nil, fmt.Errorf("the Namespace cannot be read: %w", err)
	}
	if ns.Metadata.Name == "" && ns.Metadata.GenerateName == "" {
		return nil, errors.New("the Namespace has no name")
	}
	return ns, nil
}

func isObject(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

// ToMesh returns what the policy sees of a namespace; nil for nil. Every stored namespace carries its name as a label;
// while a generated name is not known, the beginning of it stands in for it, without a label.
func (n *Namespace) ToMesh() *mesh.Namespace {
	if n == nil {
		return nil
	}
	ns := &mesh.Namespace{Name: n.Metadata.Name, Labels: n.Metadata.Labels, Deleting: n.Metadata.DeletionTimestamp != ""}
	if ns.Name == "" {
		ns.Name = n.Metadata.GenerateName
		return ns
	}
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[mesh.NameLabel] = ns.Name
	return ns
}

// OptedOut reports whether the namespace carries meshfence.io/fill: "false", as an annotation or a label.
func (n *Namespace) OptedOut() bool {
	return n.Metadata.Annotations[api.FillAnnotation] == "false" || n.Metadata.Labels[api.FillAnnotation] == "false"
}
