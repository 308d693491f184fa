package observed

import (
	"cmp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// meta is what is read of an object's metadata.
type meta struct {
	Name              string                  `json:"name"`
	Namespace         string                  `json:"namespace"`
	UID               string                  `json:"uid"`
	ResourceVersion   string                  `json:"resourceVersion"`
	CreationTimestamp string                  `json:"creationTimestamp"`
	DeletionTimestamp string                  `json:"deletionTimestamp"`
	Labels            map[string]string       `json:"labels"`
	Annotations       map[string]string       `json:"annotations"`
	OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
}

// configMap is what is read of a ConfigMap.
type configMap struct {
	Metadata meta              `json:"metadata"`
	Data     map[string]string `json:"data"`
}

func (m *meta) key() objectKey { return objectKey{m.Namespace, m.Name} }

func (m *meta) deleting() bool { return m.DeletionTimestamp != "" }

// owner returns the name of the owner of a kind in a group, "" if there is none.
func (m *meta) owner(group, kind string) string {
	for _, o := range m.OwnerReferences {
		if o.Kind == kind && strings.HasPrefix(o.APIVersion, group+"/") {
			return o.Name
		}
	}
	return ""
}

// compareMeta orders objects by namespace and name.
func compareMeta(a, b *meta) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
