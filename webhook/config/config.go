package config

import "github.com/meshfence/meshfence/webhook/api"

// APIVersion and Kind are what a configuration file must say about itself.
const (
	APIVersion = api.Group + "/v1alpha1"
	Kind       = "Configuration"
)

// Mode says how strictly all rules act. The zero value is invalid.
type Mode string

const (
	// ModeEnforce lets every rule take its own action.
	ModeEnforce Mode = "enforce"
	// ModeWarn lowers every denial to a warning: for a first day, or to try a change of the rules.
	ModeWarn Mode = "warn"
)

// Action is what a rule does when it is broken. The zero value is invalid.
type Action string

const (
	// ActionDeny refuses the request.
	ActionDeny Action = "deny"
	// ActionWarn lets the request pass with a warning.
	ActionWarn Action = "warn"
	// ActionOff does not judge the rule at all.
	ActionOff Action = "off"
)

// FillSource is a place that can tell which revision to fill in as istio.io/rev. The zero value is invalid.
type FillSource string

const (
	// FillFromMeshMap takes the revision that the mesh map gives for the mesh.
	FillFromMeshMap FillSource = "MeshMap"
	// FillFromTag takes the tag that follows the mesh, if its update strategy is RevisionBased and exactly one does.
	FillFromTag FillSource = "Tag"
	// FillFromActiveRevision takes the mesh's active revision.
	FillFromActiveRevision FillSource = "ActiveRevision"
)

// Configuration is the content of a configuration file with all defaults filled in. Get one from Default or Load, and
// treat it as read-only: it is shared by everything that serves requests.
type Configuration struct {
	// Mode is enforce unless the file says otherwise.
	Mode Mode `yaml:"mode"`
	// Rules overrides the default action of rules, by rule code ("MF110"). Rules that are not in it keep their default.
	Rules map[string]Action `yaml:"rules"`
	// DiscoveryLabels are the label keys that say to which mesh a namespace belongs; their value is the mesh's name.
	DiscoveryLabels []string `yaml:"discoveryLabels"`
	// ExemptNamespaces are names of namespaces that are neither judged nor filled in.
	ExemptNamespaces Globs `yaml:"exemptNamespaces"`
	// ExemptUsers are names of users whose requests are not judged.
	ExemptUsers Globs `yaml:"exemptUsers"`
	// ControlPlaneNamespaces are names of namespaces that never get istio.io/rev filled in, besides those that a mesh
	// names as its control-plane namespace, and that may have a discovery label before their mesh exists. They are judged.
	ControlPlaneNamespaces Globs `yaml:"controlPlaneNamespaces"`
	// FillFrom are the sources of the revision to fill in, tried in this order. Empty: nothing is ever filled in.
	FillFrom []FillSource `yaml:"fillFrom"`
	// MeshMap says where the mesh map is.
	MeshMap MeshMap `yaml:"meshMap"`
}

// MeshMap says where the mesh map is.
type MeshMap struct {
	// Name is the name of the mesh map's ConfigMap, in meshfence's own namespace.
	Name string `yaml:"name"`
}

// Default returns the configuration that an empty file would mean: a new one each time.
//
// The discovery labels are those of the OpenShift Service Mesh 3 guide "Deploying multiple service meshes on a single
// cluster" (istio-discovery) and of the Sail operator's guide "Multiple meshes on a single cluster" (mesh). The exempt
// users are the parts of Kubernetes that write namespaces on their own account: refusing them would block the cluster's
// own work, for example the finalizing of a deleted namespace, and no person would see the message. They are whole names, which
// only the cluster's own components have (the prefix system: is reserved), not patterns.
func Default() *Configuration {
	return &Configuration{
		Mode:                   ModeEnforce,
		Rules:                  map[string]Action{},
		DiscoveryLabels:        []string{"istio-discovery", "mesh"},
		ExemptNamespaces:       defaultExemptNamespaces(),
		ExemptUsers:            defaultExemptUsers(),
		ControlPlaneNamespaces: Globs{"istio-system*"},
		FillFrom:               fillSources(),
		MeshMap:                MeshMap{Name: api.DefaultMeshMap},
	}
}

// defaultExemptNamespaces are the names that Kubernetes itself makes (pkg/controlplane/controller/systemnamespaces in
// kubernetes/kubernetes), and OpenShift's. Not kube-*: every user who may create namespaces could choose such a name, and so
// not be judged. OpenShift refuses openshift-* to its ordinary users; docs/install.md says what to do elsewhere.
func defaultExemptNamespaces() Globs {
	return Globs{"kube-system", "kube-public", "kube-node-lease", "openshift", "openshift-*"}
}

func defaultExemptUsers() Globs {
	return Globs{
		api.UserAPIServer,
		api.UserControllerManager,
		api.UserNamespaceController,
	}
}

// fillSources are all sources, in their default order.
func fillSources() []FillSource {
	return []FillSource{FillFromMeshMap, FillFromTag, FillFromActiveRevision}
}
