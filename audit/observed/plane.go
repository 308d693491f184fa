package observed

import (
	"cmp"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// plane is what the rules read of an Istio or IstioRevision besides the mesh model.
type plane struct {
	Kind     string `json:"kind"`
	Metadata meta   `json:"metadata"`
	Spec     struct {
		Version string `json:"version"`
		Profile string `json:"profile"`
		Values  struct {
			MeshConfig struct {
				RootNamespace string `json:"rootNamespace"`
			} `json:"meshConfig"`
			Global struct {
				IstioNamespace string `json:"istioNamespace"`
				Platform       string `json:"platform"`
			} `json:"global"`
			Pilot struct {
				CNI struct {
					Enabled *bool `json:"enabled"`
				} `json:"cni"`
			} `json:"pilot"`
		} `json:"values"`
	} `json:"spec"`
	Status struct {
		State      string      `json:"state"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// condition is one of an object's status.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// AddPlane reads an Istio or IstioRevision from JSON, for what the mesh model does not have of it.
func (c *Cluster) AddPlane(kind string, raw []byte) error {
	p, err := decode[plane](raw)
	if err != nil {
		return err
	}
	if c.planes == nil {
		c.planes = map[string]*plane{}
	}
	p.Kind = kind
	c.planes[mesh.Ref{Kind: kind, Name: p.Metadata.Name}.String()] = &p
	return nil
}

// plane returns what is known of an object; the zero value if it is not there.
func (v *view) plane(ref mesh.Ref) *plane {
	if p := v.planes[ref.String()]; p != nil {
		return p
	}
	return &plane{}
}

// rootNamespace is the namespace whose mesh-wide configuration counts: meshConfig.rootNamespace, else the control plane's, which the operator
// sets as global.istioNamespace (istio/manifests/charts/istio-control/istio-discovery/templates/configmap.yaml).
func (v *view) rootNamespace(m *mesh.Mesh) string {
	if m.Kind == mesh.KindIstiod {
		for i := range v.configs {
			if c := &v.configs[i]; c.Namespace == m.ControlPlane && c.parsed != nil && m.Has(c.revision()) {
				return cmp.Or(c.parsed.RootNamespace, m.ControlPlane)
			}
		}
		return m.ControlPlane
	}
	values := &v.plane(m.Ref).Spec.Values
	return cmp.Or(values.MeshConfig.RootNamespace, m.ControlPlane)
}

// discovers reports whether a mesh discovers the namespace of a name. One that is not stored is not discovered.
func (v *view) discovers(m *mesh.Mesh, namespace string) bool {
	for _, other := range v.discovering[namespace] {
		if other.Ref == m.Ref {
			return true
		}
	}
	return false
}

// annotated is the object that can declare something for a mesh, as kubectl annotate names it: of istiods that the Sail operator did not install
// the ConfigMap of the first.
func annotated(m *mesh.Mesh) string {
	if m.Kind == mesh.KindIstiod {
		_, name, _ := strings.Cut(m.Sources[0].Name, "/")
		return "configmap " + policy.NameWord(name) + " --namespace " + policy.NameWord(m.ControlPlane)
	}
	return kubectlName(m.Ref)
}

// kubectlName is what kubectl calls the object of a mesh.
func kubectlName(ref mesh.Ref) string {
	if ref.Kind == api.KindIstioRevision {
		return api.ResourceIstioRevisions + "." + api.SailGroup + " " + policy.NameWord(ref.Name)
	}
	return api.ResourceIstios + "." + api.SailGroup + " " + policy.NameWord(ref.Name)
}
