package observed

import "github.com/meshfence/meshfence/webhook/api"

// Resource is what the rules read besides the objects that are judged at admission: a resource of the API server, or a part of one. The value
// is how a report names it.
type Resource string

// What is read. Labels and names say which objects of a resource these are.
const (
	// PeerAuthentications are those of all namespaces.
	PeerAuthentications Resource = "peerauthentications.security.istio.io"
	// Injectors are the webhook configurations with label istio.io/rev: of revisions and of tags.
	Injectors Resource = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
	// RootCertificates are the ConfigMaps of the names that istiods write their root certificates to.
	RootCertificates Resource = "configmaps with root certificates"
	// MeshConfigs are the ConfigMaps with label istio.io/rev that istiods read their mesh configuration from.
	MeshConfigs Resource = "configmaps with mesh configurations"
	// Pods are those that an istiod has injected, or that ask for a revision.
	Pods Resource = "pods"
	// Gateways and GatewayClasses are those of the Gateway API.
	Gateways       Resource = "gateways.gateway.networking.k8s.io"
	GatewayClasses Resource = "gatewayclasses.gateway.networking.k8s.io"
	// CNIs and ZTunnels are the Sail operator's objects for what a cluster has once.
	CNIs     Resource = "istiocnis.sailoperator.io"
	ZTunnels Resource = "ztunnels.sailoperator.io"
	// Istiods are the Deployments with label app=istiod.
	Istiods Resource = "deployments.apps of istiod"
)

// Istios and IstioRevisions are read for their state and what the mesh model does not have of them. Who has them already hands them to AddPlane.
const (
	Istios         Resource = api.ResourceIstios + "." + api.SailGroup
	IstioRevisions Resource = api.ResourceIstioRevisions + "." + api.SailGroup
)

// What the meshes and namespaces are made of that are judged at admission. They are not added here; Miss says that some are not known.
const (
	Meshes     Resource = "meshes, revisions and tags"
	Namespaces Resource = "namespaces"
)
