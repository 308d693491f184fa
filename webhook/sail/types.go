package sail

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the version of the API that meshfence reads; the API server converts others to it.
var GroupVersion = schema.GroupVersion{Group: "sailoperator.io", Version: "v1"}

// Kinds of the API that meshfence reads.
const (
	KindIstio            = "Istio"
	KindIstioRevision    = "IstioRevision"
	KindIstioRevisionTag = "IstioRevisionTag"
)

// Values of Spec.UpdateStrategy.Type. InPlace is the operator's default, also when the field is absent.
const (
	InPlace       = "InPlace"
	RevisionBased = "RevisionBased"
)

// DefaultNamespace is the control-plane namespace of an Istio that does not set spec.namespace.
const DefaultNamespace = "istio-system"

// ProfileRemote is the profile of a mesh whose istiod runs in another cluster.
const ProfileRemote = "remote"

// Meta is the part of an object's metadata that is judged.
type Meta struct {
	Name              string                  `json:"name"`
	GenerateName      string                  `json:"generateName"`
	UID               string                  `json:"uid"`
	ResourceVersion   string                  `json:"resourceVersion"`
	DeletionTimestamp string                  `json:"deletionTimestamp"`
	Annotations       map[string]string       `json:"annotations"`
	OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
}

// Controller returns the name of the controlling owner of the given kind in the Sail operator's group, or "".
// Versions are not compared: an owner reference keeps the version that its writer used.
func (m Meta) Controller(kind string) string {
	for _, owner := range m.OwnerReferences {
		group, _ := schema.ParseGroupVersion(owner.APIVersion)
		if owner.Controller != nil && *owner.Controller && owner.Kind == kind && group.Group == GroupVersion.Group {
			return owner.Name
		}
	}
	return ""
}

// ControlPlane is an Istio or an IstioRevision: their specs have the same shape as far as it is read here.
type ControlPlane struct {
	Kind     string `json:"kind"`
	Metadata Meta   `json:"metadata"`
	Spec     Spec   `json:"spec"`
	// Malformed is why a field that is read could not be decoded; nil if all could. The readable fields are set all the
	// same. Whoever judges such an object must expect the worst of what is missing.
	Malformed error `json:"-"`
}

// Spec is the part of an Istio's or IstioRevision's spec that is judged.
type Spec struct {
	Version        string         `json:"version"`
	Namespace      string         `json:"namespace"`
	Profile        string         `json:"profile"`
	UpdateStrategy UpdateStrategy `json:"updateStrategy"`
	Values         Values         `json:"values"`
}

// UpdateStrategy says how an Istio moves to a new version.
type UpdateStrategy struct {
	Type string `json:"type"`
}

// Values is the part of the Helm values that is judged.
type Values struct {
	Profile    string     `json:"profile"`
	MeshConfig MeshConfig `json:"meshConfig"`
	Global     Global     `json:"global"`
	Pilot      Pilot      `json:"pilot"`
	Injector   Injector   `json:"sidecarInjectorWebhook"`
}

// MeshConfig holds the selectors of the namespaces that the mesh discovers: ORed, and an absent or empty list means
// every namespace. A nil item selects nothing.
type MeshConfig struct {
	DiscoverySelectors []*metav1.LabelSelector `json:"discoverySelectors"`
}

// Global holds the first place where the name of the root certificate's ConfigMap can be set.
type Global struct {
	TrustBundleName string `json:"trustBundleName"`
}

// Pilot holds istiod's environment.
type Pilot struct {
	Env map[string]string `json:"env"`
}

// Injector configures sidecar injection.
type Injector struct {
	// EnableNamespacesByDefault injects every namespace that does not say otherwise.
	EnableNamespacesByDefault bool `json:"enableNamespacesByDefault"`
}

// Tag is an IstioRevisionTag: a second name for a revision.
type Tag struct {
	Metadata Meta    `json:"metadata"`
	Spec     TagSpec `json:"spec"`
	// Malformed is as in ControlPlane.
	Malformed error `json:"-"`
}

// TagSpec is the spec of an IstioRevisionTag.
type TagSpec struct {
	TargetRef TargetRef `json:"targetRef"`
}

// TargetRef names what a tag points at: an Istio (its active revision) or an IstioRevision.
type TargetRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}
