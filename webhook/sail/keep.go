package sail

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxText is how many bytes a name, a version or a variable of istiod's environment may have: as many as the name of an
	// object. Longer ones name nothing and switch nothing on.
	maxText = 253
	// maxAnnotation is how many bytes an annotation that is read may have. The longest is a list of meshes; this has room
	// for the names of more than a hundred.
	maxAnnotation = 8 << 10
)

// keepJudged drops the annotations and owners that nothing reads: a person may write a quarter of a megabyte of them.
func (m *Meta) keepJudged() {
	var kept map[string]string
	for _, name := range AnnotationsRead {
		if value, ok := m.Annotations[name]; ok {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = value
		}
	}
	m.Annotations = kept
	// The API server stores no object with two controlling owners.
	i := slices.IndexFunc(m.OwnerReferences, controls)
	if i < 0 {
		m.OwnerReferences = nil
		return
	}
	owner := m.OwnerReferences[i]
	m.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: GroupVersion.String(), Kind: owner.Kind, Name: owner.Name, Controller: owner.Controller,
	}}
}

// text is a string of an object whose length the operator's API does not limit.
type text struct {
	path  string
	value *string
}

// texts are those of the owner that keepJudged has left.
func (m *Meta) texts() []text {
	var all []text
	for i := range m.OwnerReferences {
		all = append(all, text{"metadata.ownerReferences.kind", &m.OwnerReferences[i].Kind}, text{"metadata.ownerReferences.name", &m.OwnerReferences[i].Name})
	}
	return all
}

// texts are the strings of an object that are read, except the selectors and what the API server limits.
func (cp *ControlPlane) texts() (texts []text, annotations map[string]string) {
	s, v := &cp.Spec, &cp.Spec.Values
	const env = "spec.values.pilot.env."
	return append(cp.Metadata.texts(),
		text{"spec.version", &s.Version},
		text{"spec.namespace", &s.Namespace},
		text{"spec.profile", &s.Profile},
		text{"spec.updateStrategy.type", &s.UpdateStrategy.Type},
		text{"spec.values.profile", orEmpty(v.Profile)},
		text{"spec.values.global.trustBundleName", &v.Global.TrustBundleName},
		text{"spec.values.global.resourceScope", &v.Global.ResourceScope},
		text{"spec.values.pilot.crlConfigMapName", &v.Pilot.CRLConfigMapName},
		text{env + "PILOT_ENABLE_AMBIENT", orEmpty(v.Pilot.Env.Ambient)},
		text{env + "PILOT_CA_CERT_CONFIGMAP", &v.Pilot.Env.TrustBundle},
		text{env + "PILOT_CRL_CONFIGMAP", &v.Pilot.Env.CRL},
		text{env + "EXTERNAL_ISTIOD", &v.Pilot.Env.ExternalIstiod},
		text{env + "ENABLE_CLUSTER_TRUST_BUNDLE_API", &v.Pilot.Env.ClusterTrustBundle},
		text{env + "SHARED_MESH_CONFIG", &v.Pilot.Env.Shared},
		text{env + "REVISION", orEmpty(v.Pilot.Env.Revision)},
	), cp.Metadata.Annotations
}

// texts are the same of a tag.
func (t *Tag) texts() (texts []text, annotations map[string]string) {
	return append(t.Metadata.texts(),
		text{"spec.targetRef.kind", &t.Spec.TargetRef.Kind},
		text{"spec.targetRef.name", &t.Spec.TargetRef.Name},
	), t.Metadata.Annotations
}

// shorten empties the texts that are too long and returns what is wrong with the first, nil if none is.
func shorten(texts []text, annotations map[string]string) error {
	var first error
	complain := func(path string, size, limit int) {
		if first == nil {
			first = &FieldError{Field: path, Found: fmt.Sprintf("a text of %d bytes", size), Limit: limit}
		}
	}
	for _, name := range AnnotationsRead {
		if size := len(annotations[name]); size > maxAnnotation {
			annotations[name] = ""
			complain("metadata.annotations["+name+"]", size, maxAnnotation)
		}
	}
	for _, t := range texts {
		if size := len(*t.value); size > maxText {
			*t.value = ""
			complain(t.path, size, maxText)
		}
	}
	return first
}

// orEmpty is an empty text for one that is not there.
func orEmpty(value *string) *string {
	if value == nil {
		return new(string)
	}
	return value
}

// elsewhere stands for a value that is not in the object. It is no boolean and no name.
const elsewhere = "(valueFrom)"

// applyVarsFrom puts the variables of envVarFrom in the place of those of env: the chart writes them after those, and of two
// variables of one name the container gets the last.
func (p *Pilot) applyVarsFrom() {
	p.Env.Apply(p.EnvVarFrom)
	p.EnvVarFrom = nil
}

// Apply gives the variables that are read the values of a list, of which the last of one name counts.
func (e *Env) Apply(variables []EnvVar) {
	for _, from := range variables {
		value := from.Value
		if from.ValueFrom != nil {
			value = elsewhere
		}
		e.set(from.Name, value)
	}
}

// set gives a variable its value, if it is one of those that are read.
func (e *Env) set(name, value string) {
	switch name {
	case "PILOT_ENABLE_AMBIENT":
		e.Ambient = &value
	case "PILOT_CA_CERT_CONFIGMAP":
		e.TrustBundle = value
	case "PILOT_CRL_CONFIGMAP":
		e.CRL = value
	case "EXTERNAL_ISTIOD":
		e.ExternalIstiod = value
	case "ENABLE_CLUSTER_TRUST_BUNDLE_API":
		e.ClusterTrustBundle = value
	case "REVISION":
		e.Revision = &value
	case "SHARED_MESH_CONFIG":
		e.Shared = value
	}
}
