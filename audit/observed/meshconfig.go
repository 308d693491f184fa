package observed

import (
	"cmp"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/istiod"
)

// meshConfig is a ConfigMap from which an istiod reads its mesh configuration.
type meshConfig struct {
	meta
	// text says that the key is there.
	text   bool
	parsed *istiod.MeshConfig
	err    error
}

// addConfig reads a ConfigMap, unless it is another one with the same label, such as that of the injector's templates.
func (c *Cluster) addConfig(raw []byte) error {
	object, err := decode[configMap](raw)
	if err != nil {
		return err
	}
	config := meshConfig{meta: object.Metadata}
	if config.Name != istiod.ConfigMapName(config.revision()) {
		return nil
	}
	var text string
	if text, config.text = object.Data[istiod.MeshKey]; config.text {
		config.parsed, config.err = istiod.ParseMeshConfig(text)
	}
	if config.parsed != nil && config.err == nil {
		_, config.err = config.parsed.Selectors()
	}
	c.configs = append(c.configs, config)
	return nil
}

func (c *meshConfig) revision() string { return c.Labels[api.RevisionLabel] }

// installedFor returns the IstioRevision that the Sail operator has made the ConfigMap of, "" if it has not.
func (c *meshConfig) installedFor() string { return c.owner(api.SailGroup, api.KindIstioRevision) }

// allConfigs are the mesh configurations in the order of reports.
func (v *view) allConfigs() []meshConfig {
	return sorted(v.configs, func(a, b meshConfig) int { return compareMeta(&a.meta, &b.meta) })
}

// istiodDeployment is the Deployment of an istiod.
type istiodDeployment struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Replicas *int `json:"replicas"`
	} `json:"spec"`
	Status struct {
		Available int `json:"availableReplicas"`
	} `json:"status"`
}

func (d *istiodDeployment) revision() string {
	return cmp.Or(d.Metadata.Labels[api.RevisionLabel], "default")
}

// replicas is how many pods the Deployment asks for.
func (d *istiodDeployment) replicas() int {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// istiodOf returns the Deployment of the istiod of a revision in a namespace, nil if there is none.
func (v *view) istiodOf(namespace, revision string) *istiodDeployment {
	for i := range v.istiods {
		if d := &v.istiods[i]; d.Metadata.Namespace == namespace && d.revision() == revision && !d.Metadata.deleting() {
			return d
		}
	}
	return nil
}
