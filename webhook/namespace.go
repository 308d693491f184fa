package webhook

import (
	"bytes"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

var namespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// Annotations and labels of namespaces that meshfence reads or writes.
const (
	// FillAnnotation with the value "false" opts a namespace out of filling in; a label of that key does too.
	FillAnnotation = api.FillAnnotation
	// FilledRevisionAnnotation is the value of istio.io/rev that meshfence filled in last.
	FilledRevisionAnnotation = api.FilledRevisionAnnotation
)

// namespaceObject is what is read of a Namespace.
type namespaceObject struct {
	Metadata struct {
		Name              string            `json:"name"`
		GenerateName      string            `json:"generateName"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
}

// decodeNamespace reads a Namespace. Its name may still be to be generated; the request's is empty then too.
func decodeNamespace(_ *admission.Request, raw []byte) (*namespaceObject, error) {
	if !isObject(raw) {
		return nil, errNoObject
	}
	ns := &namespaceObject{}
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

// toMesh returns what the policy sees of a namespace; nil for nil. Every stored namespace carries its name as a label;
// while a generated name is not known, the beginning of it stands in for it, without a label.
func (n *namespaceObject) toMesh() *mesh.Namespace {
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

// optedOut reports whether the namespace carries meshfence.io/fill: "false", as an annotation or a label.
func (n *namespaceObject) optedOut() bool {
	return n.Metadata.Annotations[FillAnnotation] == "false" || n.Metadata.Labels[FillAnnotation] == "false"
}
