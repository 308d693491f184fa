package policy

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// FillSource is where a missing revision can be taken from. The zero value is invalid.
type FillSource int

// Sources of a missing revision.
const (
	// MeshMap is the mesh map's entry for the mesh.
	MeshMap FillSource = iota + 1
	// FollowingTag is the only tag that follows a mesh with update strategy RevisionBased.
	FollowingTag
	// ActiveRevision is the mesh's active revision.
	ActiveRevision
)

// target is the mesh for which something is filled in, and how that is known.
type target struct {
	// mesh is the mesh's name, "" if the labels lead to none, or to several.
	mesh, why string
	// found is the mesh, nil if only the mesh map knows it.
	found *mesh.Mesh
	// several says that the labels lead to more meshes than one.
	several bool
}

// known reports whether the labels lead to a mesh at all.
func (t target) known() bool { return t.mesh != "" || t.several }

// target finds the mesh that a discovery label names in the mesh map, else the only mesh that discovers the namespace
// through a selector that asks for a label. A mesh that discovers everything never counts: it would get every new
// namespace injected.
func (p *Policy) target(labels map[string]string, fleet *mesh.Fleet) target {
	if found := p.namedInMap(labels, fleet); found.known() {
		return found
	}
	var only *mesh.Mesh
	for _, m := range fleet.DiscoveredBy(labels) {
		if !selectsByLabel(m, labels) {
			continue
		}
		if only != nil {
			return target{several: true}
		}
		only = m
	}
	if only == nil {
		return target{}
	}
	return target{mesh: only.Name, found: only, why: becauseAsked(only, labels) + " discovers this namespace"}
}

// namedInMap reads the discovery labels that name meshes of the mesh map.
func (p *Policy) namedInMap(labels map[string]string, fleet *mesh.Fleet) target {
	var found target
	for _, key := range p.settings.DiscoveryLabels {
		value, present := labels[key]
		if !present || !p.mapped(value, fleet) {
			continue
		}
		if found.mesh != "" && found.mesh != value {
			return target{several: true}
		}
		found = target{mesh: value, found: fleet.Named(value), why: fmt.Sprintf("the mesh map has it for %s=%s", key, value)}
	}
	return found
}

// mapped reports whether the mesh map may be asked, and has an entry for the mesh.
func (p *Policy) mapped(meshName string, fleet *mesh.Fleet) bool {
	_, ok := fleet.Mapped(meshName)
	return ok && slices.Contains(p.settings.FillFrom, MeshMap)
}

// withheld says why nothing is filled in for the mesh, although there is a value: namespaces of a mesh of ambient mode need no
// sidecars, and those of others are only discovered. "" if something may be, which the mesh map can say of any mesh.
func (p *Policy) withheld(t target, fleet *mesh.Fleet) string {
	switch {
	case t.found == nil, p.mapped(t.mesh, fleet):
		return ""
	case t.found.AmbientBy != "":
		return "that is a mesh of ambient mode"
	case t.found.NoFill:
		return `that carries meshfence.io/fill: "false"`
	default:
		return ""
	}
}

// value takes the revision from the first configured source that has one. It is "" if none has; there is a problem if the
// one that a source has cannot be the value of a label.
func (p *Policy) value(t target, fleet *mesh.Fleet) (revision, problem string) {
	for _, from := range p.settings.FillFrom {
		switch revision := valueFrom(from, t, fleet); {
		case revision == "":
		case !isLabelValue(revision):
			problem = fmt.Sprintf("the active revision of %s, %q, cannot be the value of a label (MF117)", theMesh(t.found), revision)
		default:
			return revision, ""
		}
	}
	return "", problem
}

func valueFrom(from FillSource, t target, fleet *mesh.Fleet) string {
	switch {
	case from == MeshMap:
		revision, _ := fleet.Mapped(t.mesh)
		return revision
	case from == FollowingTag && t.found != nil:
		return followingTag(t.found, fleet)
	case from == ActiveRevision && t.found != nil:
		return t.found.ActiveRevision
	default:
		return ""
	}
}

// followingTag is the only tag that follows a mesh with update strategy RevisionBased and that namespaces can choose; "" if there
// is none, or are several. The active revision of such a mesh has another name after the next update.
func followingTag(m *mesh.Mesh, fleet *mesh.Fleet) string {
	if !m.RevisionBased() {
		return ""
	}
	tags := chosenTags(m, fleet)
	if len(tags) != 1 {
		return ""
	}
	return tags[0]
}

// chosenTags are the tags that follow the mesh and that namespaces can choose.
func chosenTags(m *mesh.Mesh, fleet *mesh.Fleet) []string {
	return slices.DeleteFunc(fleet.Following(m), func(name string) bool { return !isLabelValue(name) })
}

func isLabelValue(revision string) bool { return len(validation.IsValidLabelValue(revision)) == 0 }

// selectsByLabel reports whether the mesh discovers the namespace through a selector that asks for a label.
func selectsByLabel(m *mesh.Mesh, labels map[string]string) bool { return askingTerm(m, labels) != nil }

func askingTerm(m *mesh.Mesh, labels map[string]string) *mesh.Term {
	for i := range m.Sources {
		for j := range m.Sources[i].Terms {
			if t := &m.Sources[i].Terms[j]; t.Selector.AsksForLabel() && t.Selector.Matches(labels) {
				return t
			}
		}
	}
	return nil
}

func becauseAsked(m *mesh.Mesh, labels map[string]string) string {
	return theMesh(m) + " (" + cut(askingTerm(m, labels).Selector.String(), maxSelector) + ")"
}
