package istiod

import (
	"bytes"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Labels and annotations by which the objects of an istiod tell who installed it
// (istio/manifests/charts/istio-control/istio-discovery/templates/zzz_profile.yaml; sail-operator/pkg/install).
const (
	sailLibrary     = "sail-library"
	versionLabel    = "app.kubernetes.io/version"
	operatorVersion = "operator.istio.io/version"
	// ReleaseAnnotation has the name of the Helm release of an object.
	ReleaseAnnotation = "meta.helm.sh/release-name"
)

// Meta is what is read of the metadata of an istiod's object.
type Meta struct {
	Namespace, Name   string
	UID               string
	ResourceVersion   string
	CreationTimestamp string
	// Deleting says that it has a deletion timestamp.
	Deleting bool
	// Revision and Tag are the labels istio.io/rev and istio.io/tag.
	Revision, Tag string
	// Installer says who installed the istiod, as far as this object tells.
	Installer Installer
	// Release is the name of the Helm release, "" for none.
	Release string
	// Version is the version of Istio, without the letter v; "" if no label says it.
	Version string
	// Annotations are those of meshfence that a mesh can have.
	Annotations map[string]string
}

// Installer says who installed an istiod.
type Installer int

// Installers. The order is that in which they count if objects of one istiod disagree: the greatest does.
const (
	// Unknown: no object says it.
	Unknown Installer = iota
	// Istioctl installed it, or a program that renders the charts as istioctl does.
	Istioctl
	// Helm installed it.
	Helm
	// SailLibrary: an operator that has the Sail operator's library built in, such as OpenShift's ingress operator.
	SailLibrary
	// Maistra: OpenShift Service Mesh 2.
	Maistra
	// SailOperator: the object belongs to an IstioRevision or IstioRevisionTag, which says more.
	SailOperator
)

// rawMeta is the metadata as it is stored.
type rawMeta struct {
	Namespace         string                  `json:"namespace"`
	Name              string                  `json:"name"`
	UID               string                  `json:"uid"`
	ResourceVersion   string                  `json:"resourceVersion"`
	CreationTimestamp string                  `json:"creationTimestamp"`
	DeletionTimestamp string                  `json:"deletionTimestamp"`
	Labels            map[string]string       `json:"labels"`
	Annotations       map[string]string       `json:"annotations"`
	OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
}

func (m *rawMeta) read() Meta {
	read := Meta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, Deleting: m.DeletionTimestamp != "",
		Revision: m.Labels[api.RevisionLabel], Tag: m.Labels[api.TagLabel],
		Installer: m.installer(), Release: m.Annotations[ReleaseAnnotation], Version: m.Labels[versionLabel],
	}
	for _, name := range sail.AnnotationsRead {
		if value, ok := m.Annotations[name]; ok {
			if read.Annotations == nil {
				read.Annotations = map[string]string{}
			}
			read.Annotations[name] = value
		}
	}
	return read
}

// Guarded reports whether changes of a ConfigMap with such metadata are judged: those of the Sail operator, of its library and of Service Mesh 2 are not.
func Guarded(labels map[string]string, owners []metav1.OwnerReference) bool {
	m := rawMeta{Labels: labels, OwnerReferences: owners}
	return m.installer() < SailLibrary
}

func (m *rawMeta) installer() Installer {
	_, maistra := m.Labels[api.MaistraVersionLabel]
	_, byOperator := m.Labels[operatorVersion]
	_, byHelm := m.Annotations[ReleaseAnnotation]
	switch {
	case m.ownedBySail():
		return SailOperator
	case maistra:
		return Maistra
	case m.Labels[api.ManagedByLabel] == sailLibrary:
		return SailLibrary
	case byHelm:
		return Helm
	case byOperator:
		return Istioctl
	default:
		return Unknown
	}
}

// ownedBySail reports whether an object belongs to one of the Sail operator's.
func (m *rawMeta) ownedBySail() bool {
	for _, o := range m.OwnerReferences {
		if group, _, _ := strings.Cut(o.APIVersion, "/"); group == api.SailGroup {
			return true
		}
	}
	return false
}

// decode reads JSON. Fields of another type than the definition's are an error: the API server stores no such built-in object.
func decode[T any](raw []byte) (object T, err error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return object, sail.ErrNoObject
	}
	return object, kjson.UnmarshalCaseSensitivePreserveInts(raw, &object)
}
