package mesh

import "github.com/meshfence/meshfence/webhook/api"

// Labels that decide about a namespace's membership.
const (
	// RevisionLabel names the revision or tag that injects the namespace's pods.
	RevisionLabel = api.RevisionLabel
	// InjectionLabel chooses the revision called default if it is "enabled", and otherwise switches injection off.
	InjectionLabel = api.InjectionLabel
	// InjectionEnabled is the only value of InjectionLabel that injects.
	InjectionEnabled = "enabled"
	// DefaultRevision is the name that InjectionEnabled chooses.
	DefaultRevision = "default"
	// DataplaneModeLabel puts a namespace's pods into ambient mode.
	DataplaneModeLabel = api.DataplaneModeLabel
	// MaistraMemberLabel marks the members of an OpenShift Service Mesh 2 mesh.
	MaistraMemberLabel = api.MaistraMemberLabel
	// NameLabel is on every stored namespace; its value is the namespace's name.
	NameLabel = api.NameLabel
)

// Namespace is what is judged of a namespace.
type Namespace struct {
	Name string
	// Labels include NameLabel, except when a generated name is not known yet.
	Labels map[string]string
	// Reduced is not 0 if Labels are not all labels, because there are very many, but all that a judgement against the fleet at hand
	// depends on. The number says which ones these are (see webhook/cluster).
	Reduced int
	// Deleting says that the namespace has a deletion timestamp.
	Deleting bool
}

// Injection says which revision injects a namespace's pods.
type Injection struct {
	// Label is the label that decides: RevisionLabel, InjectionLabel, or "" if neither does.
	Label string
	// Revision is the name that it chooses; "" with By false means that nothing injects.
	Revision string
	// By reports whether a revision is chosen at all: an empty istio.io/rev chooses the revision "", which cannot exist.
	By bool
}

// ByDefault reports whether a revision injects the namespace although no label chooses it.
func (i Injection) ByDefault() bool { return i.By && i.Label == "" }

// InjectionOf tells which revision the labels choose: any istio-injection value other than "enabled" chooses none;
// "enabled" chooses "default", and istio.io/rev is ignored; else istio.io/rev decides
// (istio/manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml). In a namespace of the system, which
// NameLabel tells, they choose nothing. What is injected without a label is for Fleet.InjectionOf to say.
func InjectionOf(labels map[string]string) Injection {
	injection := chosen(labels)
	if injection.By && NeverInjected(labels[NameLabel]) {
		return Injection{}
	}
	return injection
}

func chosen(labels map[string]string) Injection {
	if value, ok := labels[InjectionLabel]; ok {
		if value != InjectionEnabled {
			return Injection{Label: InjectionLabel}
		}
		return Injection{Label: InjectionLabel, Revision: DefaultRevision, By: true}
	}
	if revision, ok := labels[RevisionLabel]; ok {
		return Injection{Label: RevisionLabel, Revision: revision, By: true}
	}
	return Injection{}
}

// NeverInjected reports whether no istiod injects the pods of the namespace of this name, whatever its labels (IgnoredNamespaces
// in istio/pkg/kube/inject/initializer.go).
func NeverInjected(namespace string) bool {
	return namespace == "kube-system" || !GetsRootCertificate(namespace)
}

// GetsRootCertificate reports whether an istiod that discovers the namespace of this name writes its root certificate to it. It
// leaves out three, in which istiods cannot fight therefore
// (istio/pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go).
func GetsRootCertificate(namespace string) bool {
	switch namespace {
	case "kube-public", "kube-node-lease", "local-path-storage":
		return false
	default:
		return true
	}
}
