package cluster

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// namespaceConverter makes of a namespace's metadata what is kept: name and labels, a few hundred bytes, most of them the map.
type namespaceConverter struct {
	interned *internTable
	reduced  *reducedLabels
}

func newNamespaceConverter() *namespaceConverter {
	return &namespaceConverter{interned: newInternTable(), reduced: newReducedLabels()}
}

// convert is what a store of namespaces keeps.
func (c *namespaceConverter) convert(object metav1.Object) mesh.Namespace {
	return c.with(object, c.reduced.current())
}

// with converts a namespace; if it has very many labels, it keeps those with these keys.
func (c *namespaceConverter) with(object metav1.Object, required *requiredKeys) mesh.Namespace {
	ns := mesh.Namespace{Name: object.GetName(), Deleting: object.GetDeletionTimestamp() != nil}
	labels := object.GetLabels()
	if len(labels) == 0 {
		return ns
	}
	if size(labels) > maxLabels {
		ns.Reduced = required.number
		labels = required.of(labels)
	}
	ns.Labels = c.interned.labels(ns.Name, labels)
	return ns
}

// listed converts a namespace of a list.
func (c *namespaceConverter) listed(object *metav1.ObjectMeta) runtime.Object {
	return &listedNamespace{c.convert(object)}
}

// listedNamespace is a namespace that was converted while the list was read. It is never written, so a copy is the namespace itself.
type listedNamespace struct{ mesh.Namespace }

// GetObjectKind returns an empty kind: a store does not look at it.
func (*listedNamespace) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the namespace itself.
func (n *listedNamespace) DeepCopyObject() runtime.Object { return n }

// Value implements store.Converted.
func (n *listedNamespace) Value() (string, mesh.Namespace) { return n.Name, n.Namespace }
