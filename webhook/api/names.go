package api

// Group is meshfence's own: of its annotations, its configuration file, and the rules that a user may be allowed to override.
const Group = "meshfence.io"

// The Sail operator's API.
const (
	SailGroup   = "sailoperator.io"
	SailVersion = "v1"

	KindIstio            = "Istio"
	KindIstioRevision    = "IstioRevision"
	KindIstioRevisionTag = "IstioRevisionTag"

	// KindIstiod is no kind of the operator's, nor of an API: it stands for the istiods of one namespace that the operator did not install.
	KindIstiod = "Istiod"

	ResourceIstios            = "istios"
	ResourceIstioRevisions    = "istiorevisions"
	ResourceIstioRevisionTags = "istiorevisiontags"
)

// Names of namespaces and ConfigMaps.
const (
	// DefaultControlPlaneNamespace is that of a mesh that does not set spec.namespace.
	DefaultControlPlaneNamespace = "istio-system"
	// DefaultMeshMap is the mesh map's, unless the configuration says otherwise.
	DefaultMeshMap = "mesh-map"
	// Claims is the ledger of changes in flight.
	Claims = "meshfence-claims"
	// AuditLease is held by the replica that runs the audit, and AuditFindings is the ConfigMap in which it keeps what it has found.
	AuditLease    = "meshfence-audit"
	AuditFindings = "meshfence-findings"
	// DefaultTrustBundle is what istiod writes its root certificate to, in every namespace that it discovers.
	DefaultTrustBundle = "istio-ca-root-cert"
)

// Users of Kubernetes itself. With --use-service-account-credentials a controller has a service account of its own; else it is
// UserControllerManager.
const (
	UserAPIServer           = "system:apiserver"
	UserControllerManager   = "system:kube-controller-manager"
	UserGarbageCollector    = "system:serviceaccount:kube-system:generic-garbage-collector"
	UserNamespaceController = "system:serviceaccount:kube-system:namespace-controller"
)
