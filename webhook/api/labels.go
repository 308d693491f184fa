package api

// Labels of namespaces, and of pods.
const (
	// RevisionLabel names the revision or tag that injects a namespace's pods. As an annotation of a pod it is the revision that has
	// injected it.
	RevisionLabel = "istio.io/rev"
	// TagLabel is on the injector webhooks of a tag, beside RevisionLabel.
	TagLabel = "istio.io/tag"
	// CanonicalNameLabel is on every pod that an istiod has injected
	// (istio/manifests/charts/istio-control/istio-discovery/files/injection-template.yaml).
	CanonicalNameLabel = "service.istio.io/canonical-name"
	// InjectionLabel switches injection by the revision called default on or off.
	InjectionLabel = "istio-injection"
	// DataplaneModeLabel puts a namespace's pods into ambient mode.
	DataplaneModeLabel = "istio.io/dataplane-mode"
	// MaistraMemberLabel marks the members of an OpenShift Service Mesh 2 mesh.
	MaistraMemberLabel = "maistra.io/member-of"
	// MaistraIgnoreLabel with the value "true" keeps OpenShift Service Mesh 2 away from a namespace.
	MaistraIgnoreLabel = "maistra.io/ignore-namespace"
	// NameLabel is on every stored namespace; its value is the namespace's name.
	NameLabel = "kubernetes.io/metadata.name"
)

// Annotations of meshfence. FillAnnotation is read as a label too.
const (
	// AllowOverlapAnnotation names the meshes, comma-separated, that a mesh may overlap with.
	AllowOverlapAnnotation = Group + "/allow-overlap"
	// AllowOverlapUntilAnnotation ends that permission, RFC 3339.
	AllowOverlapUntilAnnotation = Group + "/allow-overlap-until"
	// OverrideAnnotation names the rules whose denials are to be warnings.
	OverrideAnnotation = Group + "/override"
	// ManagedByLabel and MaistraVersionLabel tell that the Sail operator's library, or Service Mesh 2, has installed an istiod.
	ManagedByLabel      = "managed-by"
	MaistraVersionLabel = "maistra-version"
	// AcceptAnnotation names the rules, comma-separated, whose findings about the object the audit does not tell for now.
	AcceptAnnotation = Group + "/accept"
	// AcceptUntilAnnotation ends that, RFC 3339.
	AcceptUntilAnnotation = Group + "/accept-until"
	// FillAnnotation with the value "false" keeps meshfence from filling in RevisionLabel.
	FillAnnotation = Group + "/fill"
	// FilledRevisionAnnotation is the value of RevisionLabel that meshfence filled in last.
	FilledRevisionAnnotation = Group + "/filled-revision"
	// AboutAnnotation says what an object of meshfence's is for.
	AboutAnnotation = Group + "/about"
)
