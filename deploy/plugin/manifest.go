package main

import (
	"strings"

	"sigs.k8s.io/yaml"
)

// pluginName is what `kubectl krew install` and `kubectl` are told.
const pluginName = "meshfence"

const repository = "https://github.com/meshfence/meshfence"

// manifest is krew's Plugin (sigs.k8s.io/krew/pkg/index/types.go), as far as it is used.
type manifest struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       manifestSpec   `json:"spec"`
}

type manifestSpec struct {
	Version   string             `json:"version"`
	Homepage  string             `json:"homepage"`
	Short     string             `json:"shortDescription"`
	Long      string             `json:"description"`
	Caveats   string             `json:"caveats"`
	Platforms []manifestPlatform `json:"platforms"`
}

type manifestPlatform struct {
	Selector map[string]any `json:"selector"`
	URI      string         `json:"uri"`
	SHA256   string         `json:"sha256"`
	Bin      string         `json:"bin"`
}

// newManifest begins the manifest of a release. A build that is none gets a version that comes before all releases, because krew takes
// semantic versions only.
func newManifest(version string) *manifest {
	if !strings.HasPrefix(version, "v") {
		version = "v0.0.0-" + version
	}
	return &manifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: map[string]any{"name": pluginName},
		Spec: manifestSpec{
			Version: version, Homepage: repository,
			Short: "Check clusters with several Istio meshes",
			Long: "Judges the meshes, tags and namespaces of a cluster with several Istio or OpenShift Service Mesh 3\n" +
				"control planes, or files before they are applied; says why a namespace is in a mesh or not; and\n" +
				"draws a map. Nothing is changed, and nothing has to be installed in the cluster.\n",
			Caveats: "It lists meshes, namespaces, pods and ConfigMaps of the cluster: the ClusterRole meshfence-viewer of\n" +
				"meshfence's chart has the rights. What may not be listed is named and left out.\n",
		},
	}
}

func (m *manifest) add(p platform, sum string) {
	m.Spec.Platforms = append(m.Spec.Platforms, manifestPlatform{
		Selector: map[string]any{"matchLabels": map[string]any{"os": p.OS, "arch": p.Arch}},
		URI:      repository + "/releases/download/" + m.Spec.Version + "/" + p.archive(), SHA256: sum, Bin: p.binary(),
	})
}

func (m *manifest) yaml() ([]byte, error) { return yaml.Marshal(m) }
