package sail

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfence/meshfence/webhook/api"
)

// GroupVersion is the version of the API that meshfence reads; the API server converts others to it.
var GroupVersion = schema.GroupVersion{Group: api.SailGroup, Version: api.SailVersion}

// Kinds of the API that meshfence reads.
const (
	KindIstio            = api.KindIstio
	KindIstioRevision    = api.KindIstioRevision
	KindIstioRevisionTag = api.KindIstioRevisionTag
)

// Values of Spec.UpdateStrategy.Type. InPlace is the operator's default, also when the field is absent.
const (
	InPlace       = "InPlace"
	RevisionBased = "RevisionBased"
)

// DefaultNamespace is the control-plane namespace of an Istio that does not set spec.namespace.
const DefaultNamespace = api.DefaultControlPlaneNamespace

// ProfileRemote is the profile of a mesh whose istiod runs in another cluster.
const ProfileRemote = "remote"

// Meta is the part of an object's metadata that is judged.
type Meta struct {
	Name            string `json:"name,omitempty"`
	GenerateName    string `json:"generateName,omitempty"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// CreationTimestamp is when the object was stored, RFC 3339 with a precision of seconds; "" if it is not stored yet.
	CreationTimestamp string `json:"creationTimestamp,omitempty"`
	DeletionTimestamp string `json:"deletionTimestamp,omitempty"`
	// Annotations are those that meshfence reads. DecodeControlPlane and DecodeTag drop all others.
	Annotations map[string]string `json:"annotations,omitempty"`
	// OwnerReferences is the controlling owner, if it is an object of the Sail operator's API. DecodeControlPlane and
	// DecodeTag drop all others, and what is not judged of it.
	OwnerReferences []metav1.OwnerReference `json:"ownerReferences,omitempty"`
}

// controls reports whether the owner is the controlling one and of the Sail operator's group. Versions are not compared: an
// owner reference keeps the version that its writer used.
func controls(owner metav1.OwnerReference) bool {
	group, _ := schema.ParseGroupVersion(owner.APIVersion)
	return owner.Controller != nil && *owner.Controller && group.Group == GroupVersion.Group
}

// Controller returns the name of the controlling owner of the given kind in the Sail operator's group, or "".
func (m Meta) Controller(kind string) string {
	for _, owner := range m.OwnerReferences {
		if owner.Kind == kind && controls(owner) {
			return owner.Name
		}
	}
	return ""
}

// ControlPlane is an Istio or an IstioRevision: their specs have the same shape as far as it is read here. A claim in the
// ledger holds it as JSON, so it has no text without a limit besides the selectors.
type ControlPlane struct {
	Kind     string `json:"kind,omitempty"`
	Metadata Meta   `json:"metadata,omitzero"`
	Spec     Spec   `json:"spec,omitzero"`
	// Installed is nil for an object of the Sail operator's. An istiod that the operator did not install is read as the IstioRevision
	// that would install it, and Installed is what no IstioRevision has.
	Installed *Installed `json:"installed,omitempty"`
	// Malformed is why a field that is read could not be decoded; nil if all could. The readable fields are set all the
	// same. A judgement of such an object must expect the worst of what is missing.
	Malformed error `json:"-"`
}

// Installed is what is known of an istiod that the Sail operator did not install. Its ControlPlane has the name of the ConfigMap that it
// reads its mesh configuration from, behind the namespace and a slash.
type Installed struct {
	Revision string `json:"revision"`
	// By says who installed it, in a word for a person: Helm, istioctl, sail-library; "" if no object tells.
	By string `json:"by,omitempty"`
	// Release is the name of the Helm release, "" for none.
	Release string `json:"release,omitempty"`
	// NoConfig says that there is no ConfigMap, or no mesh configuration in it. An istiod that starts then discovers everything, and so does one
	// that runs if the ConfigMap is deleted (istio/pkg/config/mesh/kubemesh/watcher_test.go).
	NoConfig bool `json:"noConfig,omitempty"`
	// NotHere says that no istiod runs here: only webhooks call it.
	NotHere bool `json:"notHere,omitempty"`
	// ByDefault says that its webhooks take namespaces without labels.
	ByDefault bool `json:"byDefault,omitempty"`
}

// Spec is the part of an Istio's or IstioRevision's spec that is judged.
type Spec struct {
	Version        string         `json:"version,omitempty"`
	Namespace      string         `json:"namespace,omitempty"`
	Profile        string         `json:"profile,omitempty"`
	UpdateStrategy UpdateStrategy `json:"updateStrategy,omitzero"`
	Values         Values         `json:"values,omitzero"`
}

// UpdateStrategy says how an Istio moves to a new version.
type UpdateStrategy struct {
	Type string `json:"type,omitempty"`
}

// Values is the part of the Helm values that is judged.
type Values struct {
	// Profile is the charts' profile. The operator sets it for some values of Spec.Profile; what stands here replaces that,
	// also an empty text, which is no profile.
	Profile      *string      `json:"profile,omitempty"`
	MeshConfig   MeshConfig   `json:"meshConfig,omitzero"`
	Global       Global       `json:"global,omitzero"`
	Pilot        Pilot        `json:"pilot,omitzero"`
	IstiodRemote IstiodRemote `json:"istiodRemote,omitzero"`
	Injector     Injector     `json:"sidecarInjectorWebhook,omitzero"`
}

// MeshConfig holds the selectors of the namespaces that the mesh discovers: ORed, and an absent or empty list means
// every namespace. So does a nil item: Istio reads it as a selector without requirements.
type MeshConfig struct {
	DiscoverySelectors []*metav1.LabelSelector `json:"discoverySelectors,omitzero"`
}

// Global is the part of the values for all of Istio's charts that is judged.
type Global struct {
	// TrustBundleName names the ConfigMap of the root certificate, for istiod that writes it and for the pods that mount it.
	TrustBundleName string `json:"trustBundleName,omitempty"`
	// ExternalIstiod sets EXTERNAL_ISTIOD, unless the environment has it.
	ExternalIstiod bool `json:"externalIstiod,omitempty"`
	// ResourceScope says which part of a chart is installed: all, cluster or namespace.
	ResourceScope string `json:"resourceScope,omitempty"`
	// OperatorManageWebhooks leaves the injection webhooks out.
	OperatorManageWebhooks bool `json:"operatorManageWebhooks,omitempty"`
}

// Pilot configures istiod.
type Pilot struct {
	Env Env `json:"env,omitzero"`
	// EnvVarFrom replaces variables of Env. DecodeControlPlane does that, and leaves it empty.
	EnvVarFrom []EnvVar `json:"envVarFrom,omitempty"`
	// ConfigMap false leaves istiod without its mesh configuration, in which the selectors are.
	ConfigMap *bool `json:"configMap,omitempty"`
	// CRLConfigMapName names the ConfigMap of the revocation list, as Global.TrustBundleName that of the root certificate.
	CRLConfigMapName string `json:"crlConfigMapName,omitempty"`
	// IstiodRemote is a second place of Values.IstiodRemote, and wins: the chart copies what is in pilot to the top.
	IstiodRemote IstiodRemote `json:"istiodRemote,omitzero"`
}

// Env holds the variables of istiod's environment that are judged, as they are written.
type Env struct {
	// Ambient switches ambient mode on. An empty text switches off what a profile switches on.
	Ambient *string `json:"PILOT_ENABLE_AMBIENT,omitempty"`
	// TrustBundle names the ConfigMap that istiod writes the root certificate to; pods do not follow it.
	TrustBundle string `json:"PILOT_CA_CERT_CONFIGMAP,omitempty"`
	// CRL names the ConfigMap that istiod writes the revocation list to; pods do not follow it.
	CRL string `json:"PILOT_CRL_CONFIGMAP,omitempty"`
	// ExternalIstiod has istiod serve another cluster.
	ExternalIstiod string `json:"EXTERNAL_ISTIOD,omitempty"`
	// ClusterTrustBundle has istiod write the root certificate to a ClusterTrustBundle instead of ConfigMaps.
	ClusterTrustBundle string `json:"ENABLE_CLUSTER_TRUST_BUNDLE_API,omitempty"`
	// Revision replaces the revision that istiod takes itself for, and with it the ConfigMap that it reads its mesh
	// configuration from. An empty text is another value than none.
	Revision *string `json:"REVISION,omitempty"`
	// Shared names a second ConfigMap with mesh configuration, which counts where the istiod's own says nothing. It is not read.
	Shared string `json:"SHARED_MESH_CONFIG,omitempty"`
}

// EnvVar is a variable of istiod's environment whose value may stand elsewhere.
type EnvVar struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
	// ValueFrom says where; nil if it is Value.
	ValueFrom *struct{} `json:"valueFrom,omitempty"`
}

// IstiodRemote reports whether istiod runs in another cluster. Absent differs from false: a profile may say true.
type IstiodRemote struct {
	Enabled *bool `json:"enabled,omitempty"`
	// EnabledLocalInjectorIstiod has an istiod run here all the same, for injection.
	EnabledLocalInjectorIstiod *bool `json:"enabledLocalInjectorIstiod,omitempty"`
}

// Injector configures sidecar injection.
type Injector struct {
	// EnableNamespacesByDefault injects every namespace that does not say otherwise.
	EnableNamespacesByDefault bool `json:"enableNamespacesByDefault,omitempty"`
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
