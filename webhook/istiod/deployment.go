package istiod

import (
	"cmp"

	"github.com/meshfence/meshfence/webhook/sail"
)

// Deployment is an istiod that runs, or is to run, in this cluster.
type Deployment struct {
	Meta
	// Env are the variables of its environment that are judged.
	Env sail.Env
}

// OfRevision is the revision of the istiod.
func (d *Deployment) OfRevision() string { return cmp.Or(d.Revision, DefaultRevision) }

// DecodeDeployment reads a Deployment; nil if it is none of an istiod.
func DecodeDeployment(raw []byte) (*Deployment, error) {
	object, err := decode[struct {
		Metadata rawMeta `json:"metadata"`
		Spec     struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Name string        `json:"name"`
						Env  []sail.EnvVar `json:"env"`
					} `json:"containers"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if object.Metadata.Labels["app"] != "istiod" {
		return nil, nil //nolint:nilnil // it is none
	}
	read := &Deployment{Meta: object.Metadata.read()}
	for _, container := range object.Spec.Template.Spec.Containers {
		if container.Name == "discovery" { // its name in the charts; what is beside it is no istiod
			read.Env.Apply(container.Env)
		}
	}
	return read, nil
}
