package picture

// Map is what there is to show of a cluster.
type Map struct {
	Meshes []Mesh `json:"meshes,omitempty"`
	// Unassigned are the namespaces that no mesh discovers.
	Unassigned []Namespace `json:"unassigned,omitempty"`
	// TagsWithoutTarget are tags that point at a revision which does not exist.
	TagsWithoutTarget []Tag `json:"tagsWithoutTarget,omitempty"`
	// Notices are sentences about the map as a whole, Gaps about what could not be listed and is missing in it.
	Notices []string `json:"notices,omitempty"`
	Gaps    []string `json:"gaps,omitempty"`
}

// Mesh is one control plane installation and the namespaces that it discovers.
type Mesh struct {
	// Name is unique in a map: namespaces and tags refer to it.
	Name string `json:"name"`
	// Kind is that of the object, such as Istio.
	Kind         string `json:"kind"`
	ControlPlane string `json:"controlPlane"` // its namespace
	Profile      string `json:"profile,omitempty"`
	// Remote says that its istiod runs in another cluster, Ambient that it is of ambient mode.
	Remote  bool `json:"remote,omitempty"`
	Ambient bool `json:"ambient,omitempty"`
	// Selectors are alternatives, each as text, such as istio-discovery=mesh-1. Everything says that they leave nothing out.
	Selectors  []string   `json:"selectors,omitempty"`
	Everything bool       `json:"everything,omitempty"`
	Revisions  []Revision `json:"revisions,omitempty"`
	Tags       []Tag      `json:"tags,omitempty"`
	// Namespaces are those that it discovers. One that several meshes discover is in the list of each.
	Namespaces []Namespace `json:"namespaces,omitempty"`
	Findings   []Finding   `json:"findings,omitempty"`
}

// Revision is a revision of a mesh.
type Revision struct {
	Name    string `json:"name"`
	Active  bool   `json:"active,omitempty"`
	Version string `json:"version,omitempty"`
}

// Tag is a name for a revision.
type Tag struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
}

// Namespace is a namespace with what its labels lead to.
type Namespace struct {
	Name string `json:"name"`
	// Labels are those that play a part, each as text, such as istio.io/rev=mesh-1.
	Labels []string `json:"labels,omitempty"`
	// InjectedBy is the revision or tag that the labels choose, and InjectedMesh the mesh that it belongs to: none if there is no such revision.
	InjectedBy   string `json:"injectedBy,omitempty"`
	InjectedMesh string `json:"injectedMesh,omitempty"`
	// DiscoveredBy are the meshes that discover it; several of them overlap.
	DiscoveredBy []string `json:"discoveredBy,omitempty"`
	Terminating  bool     `json:"terminating,omitempty"`
	// Exempt says that the configuration exempts it, so that nothing is wrong with it.
	Exempt   bool      `json:"exempt,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is a rule that an object breaks.
type Finding struct {
	Code string `json:"code"`
	Name string `json:"name"`
	// Action is deny or warn.
	Action string `json:"action"`
	Detail string `json:"detail"`
}
