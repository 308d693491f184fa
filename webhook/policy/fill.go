package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// FillSource is where a missing revision can be taken from. The zero value is invalid.
type FillSource int

// Sources of a missing revision.
const (
	// MeshMap is the mesh map's entry for the mesh.
	MeshMap FillSource = iota + 1
	// ActiveRevision is the mesh's active revision.
	ActiveRevision
)

// FillAnswer says what is to be done to a namespace. The zero value is invalid.
type FillAnswer int

// What is to be done to a namespace.
const (
	// LeaveAlone: nothing.
	LeaveAlone FillAnswer = iota + 1
	// Add: istio.io/rev is missing and is added.
	Add
	// Replace: istio.io/rev was filled in earlier, and the namespace moves to another mesh.
	Replace
)

// FillChange is a CREATE (Old is nil) or UPDATE of a namespace, before it is validated.
type FillChange struct {
	Old, New *mesh.Namespace
	// OptedOut says that the namespace carries meshfence.io/fill: "false".
	OptedOut bool
	// FilledBefore is the namespace's annotation meshfence.io/filled-revision, "" if there is none.
	FilledBefore string
	Fleet        *mesh.Fleet
}

// Fill is what is filled in and what the user is told.
type Fill struct {
	Answer FillAnswer
	// Revision is the value of istio.io/rev, unless the answer is LeaveAlone.
	Revision string
	// Warning is a line for the user, "" if there is nothing to say.
	Warning string
}

// Fill decides whether istio.io/rev is filled in. An exempt namespace must not be asked about.
func (p *Policy) Fill(c FillChange) Fill {
	none := Fill{Answer: LeaveAlone}
	if c.New.Deleting || c.OptedOut || p.setAside(c.New.Name, c.Fleet) || !p.joins(c) {
		return none
	}
	answer := answerFor(c)
	if answer == LeaveAlone {
		return none
	}
	target, ok := p.target(c.New.Labels, c.Fleet)
	if !ok || answer == Replace && !p.moves(c, target) {
		return none
	}
	revision, ok := p.source(target.mesh, c.Fleet)
	if !ok || revision == c.New.Labels[mesh.RevisionLabel] {
		return none
	}
	if f, wrong := p.wouldBreak(c, revision); wrong {
		return Fill{Answer: LeaveAlone, Warning: fmt.Sprintf("meshfence did not fill in istio.io/rev=%s for mesh %q, because that would break %s %s: %s",
			revision, target.mesh, f.Rule.Code, f.Rule.Name, f.Detail)}
	}
	if p.refused(c, revision) {
		return none
	}
	return Fill{Answer: answer, Revision: revision, Warning: fmt.Sprintf("meshfence filled in istio.io/rev=%s, because %s; to opt out: "+
		"kubectl annotate namespace %[3]s meshfence.io/fill=false && kubectl label namespace %[3]s istio.io/rev-", revision, target.why, nameOf(c.New))}
}

// nameOf is the namespace's name in a command; a generated name is not known yet.
func nameOf(ns *mesh.Namespace) string {
	if _, known := ns.Labels[mesh.NameLabel]; !known {
		return "NAME"
	}
	return ns.Name
}

// setAside says whether the namespace is a control plane's: pods there are not to be injected.
func (p *Policy) setAside(name string, fleet *mesh.Fleet) bool {
	return fleet.ControlPlaneOf(name) != nil || p.settings.ControlPlane(name)
}

// joins says whether a label that decides membership appears or changes: a label that a person removed must not come
// back with an unrelated change.
func (p *Policy) joins(c FillChange) bool {
	if c.Old == nil {
		return true
	}
	appears := func(key string) bool {
		_, present := c.New.Labels[key]
		return present && !same(c.Old.Labels, c.New.Labels, key)
	}
	return slices.ContainsFunc(p.settings.DiscoveryLabels, appears) || slices.ContainsFunc(c.Fleet.SelectorKeys(), appears)
}

// answerFor says what could be done in view of the labels that make a fill wrong.
func answerFor(c FillChange) FillAnswer {
	for _, key := range []string{mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel} {
		if _, present := c.New.Labels[key]; present {
			return LeaveAlone
		}
	}
	revision, present := c.New.Labels[mesh.RevisionLabel]
	switch {
	case !present:
		return Add
	case c.Old != nil && revision == c.FilledBefore && same(c.Old.Labels, c.New.Labels, mesh.RevisionLabel):
		return Replace
	default:
		return LeaveAlone
	}
}

// moves says whether the namespace was in another mesh before. Within one mesh a person decides when to leave an older
// revision, even if it was filled in.
func (p *Policy) moves(c FillChange, to target) bool {
	from, ok := p.target(c.Old.Labels, c.Fleet)
	return !ok || from.mesh != to.mesh
}

// target is the mesh that a namespace joins, and how that is known.
type target struct {
	mesh, why string
}

// target finds the mesh that a discovery label names in the mesh map, else the only mesh that discovers the namespace
// through a selector that asks for a label. A mesh that discovers everything never counts: it would get every new
// namespace injected.
func (p *Policy) target(labels map[string]string, fleet *mesh.Fleet) (target, bool) {
	if found, named := p.namedInMap(labels, fleet); named {
		return found, found.mesh != ""
	}
	var only *mesh.Mesh
	for _, m := range fleet.DiscoveredBy(labels) {
		if !asks(m, labels) {
			continue
		}
		if only != nil {
			return target{}, false
		}
		only = m
	}
	if only == nil {
		return target{}, false
	}
	return target{only.Name, becauseAsked(only, labels) + " discovers this namespace"}, true
}

// namedInMap reads the discovery labels; named is true if one names a mesh of the mesh map. The mesh is "" if two name
// different ones.
func (p *Policy) namedInMap(labels map[string]string, fleet *mesh.Fleet) (found target, named bool) {
	if !slices.Contains(p.settings.FillFrom, MeshMap) {
		return target{}, false
	}
	for _, key := range p.settings.DiscoveryLabels {
		value, present := labels[key]
		if _, mapped := fleet.Mapped(value); !present || !mapped {
			continue
		}
		if named && found.mesh != value {
			return target{}, true
		}
		found, named = target{value, fmt.Sprintf("the mesh map has it for %s=%s", key, value)}, true
	}
	return found, named
}

// asks says whether the mesh discovers the namespace through a selector that asks for a label.
func asks(m *mesh.Mesh, labels map[string]string) bool { return askingTerm(m, labels) != nil }

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
	return theMesh(m) + " (" + askingTerm(m, labels).Selector.String() + ")"
}

// source takes the revision from the first configured source that has one.
func (p *Policy) source(meshName string, fleet *mesh.Fleet) (string, bool) {
	for _, from := range p.settings.FillFrom {
		switch from {
		case MeshMap:
			if revision, ok := fleet.Mapped(meshName); ok {
				return revision, true
			}
		case ActiveRevision:
			if m := fleet.Named(meshName); m != nil {
				return m.ActiveRevision, true
			}
		}
	}
	return "", false
}

// wouldBreak says whether the revision would break a rule that the namespace does not break without it. Nobody should
// be refused for a label that meshfence wrote.
func (p *Policy) wouldBreak(c FillChange, revision string) (Finding, bool) {
	w := p.world(c.Fleet, c.Fleet, nil, 0, false)
	w.Rights = p.supposed(c)
	verdict := judge(namespaceRules, c.New, filled(c.New, revision), w, Actions{Rules: p.settings.Actions.Rules})
	if verdict.Answer == Denied {
		return verdict.Denials[0], true
	}
	return Finding{}, false
}

// refused says whether the namespace is going to be refused whatever is filled in: nothing is stored then, so nobody is to
// be told that something was filled in.
func (p *Policy) refused(c FillChange, revision string) bool {
	change := NamespaceChange{Old: c.Old, New: filled(c.New, revision), Fleet: c.Fleet, Rights: p.supposed(c)}
	return p.Namespace(change).Answer == Denied
}

// supposed are rights to use every mesh. Nobody asks for the user's when something is filled in; whether the namespace may
// join is judged when the result is validated, and a right that is missing here would be taken for a refusal.
func (p *Policy) supposed(c FillChange) map[mesh.Ref]Right {
	if !p.asks("MF210") {
		return nil
	}
	rights := map[mesh.Ref]Right{}
	for _, m := range c.Fleet.Meshes() {
		rights[m.Ref] = Granted
	}
	return rights
}

// filled is the namespace with the revision.
func filled(ns *mesh.Namespace, revision string) *mesh.Namespace {
	after := *ns
	after.Labels = apply(ns.Labels, []selector.Edit{set(mesh.RevisionLabel, revision)})
	return &after
}
