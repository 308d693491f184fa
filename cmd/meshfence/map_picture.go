package main

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/picture"
	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// pictureOf is what a picture shows of an inventory, with what is wrong in it.
func pictureOf(checker *audit.Checker, shown *audit.Inventory, findings []policy.Offence) *picture.Map {
	existing := checker.Existing(shown)
	p := painter{fleet: existing.Fleet, exempt: existing.Exempt, findings: map[audit.Key][]picture.Finding{}}
	for _, o := range findings {
		key := audit.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
		p.findings[key] = append(p.findings[key], picture.Finding{Code: string(o.Rule.Code), Name: o.Rule.Name, Action: o.Action.String(), Detail: o.Detail})
	}
	all := &picture.Map{}
	index := map[*mesh.Mesh]int{}
	for _, m := range existing.Fleet.Meshes() {
		index[m] = len(all.Meshes)
		all.Meshes = append(all.Meshes, p.mesh(m))
	}
	for i := range existing.Namespaces {
		ns := &existing.Namespaces[i]
		discovering := existing.Fleet.DiscoveredBy(ns.Labels)
		for _, m := range discovering {
			all.Meshes[index[m]].Namespaces = append(all.Meshes[index[m]].Namespaces, p.namespace(ns, discovering))
		}
		if len(discovering) == 0 && p.hasMeshLabel(checker, ns) {
			all.Unassigned = append(all.Unassigned, p.namespace(ns, nil))
		}
	}
	for _, tag := range existing.Fleet.Tags() {
		targets := existing.Fleet.Target(tag.Target)
		for _, m := range targets {
			all.Meshes[index[m]].Tags = append(all.Meshes[index[m]].Tags, picture.Tag{Name: tag.Name, Revision: revisionOf(tag, m)})
		}
		if len(targets) == 0 {
			all.TagsWithoutTarget = append(all.TagsWithoutTarget, picture.Tag{Name: tag.Name, Revision: tag.Target.Name})
		}
	}
	return all
}

// revisionOf is the revision that a tag leads to.
func revisionOf(tag *mesh.Tag, m *mesh.Mesh) string {
	switch tag.Target.Kind {
	case mesh.KindIstio:
		return m.ActiveRevision
	case mesh.KindIstiod:
		_, revision, _ := strings.Cut(tag.Target.Name, "/")
		return revision
	default:
		return tag.Target.Name
	}
}

// painter fills in what a fleet says.
type painter struct {
	fleet *mesh.Fleet
	// exempt reports whether a namespace of that name is not judged; nil if none is.
	exempt   func(namespace string) bool
	findings map[audit.Key][]picture.Finding
}

// name is unique in the fleet: an IstioRevision without an Istio may have the name of an Istio.
func (p *painter) name(m *mesh.Mesh) string {
	if p.fleet.Named(m.Name) != m {
		return m.Name + " (" + kindOf(m) + ")"
	}
	return m.Name
}

func (p *painter) mesh(m *mesh.Mesh) picture.Mesh {
	shown := picture.Mesh{
		Name: p.name(m), Kind: kindOf(m), ControlPlane: m.ControlPlane, Remote: m.Remote(), Ambient: m.AmbientBy != "",
		Findings: p.findings[audit.KeyOfMesh(m)],
	}
	for _, s := range m.Sources {
		for _, term := range s.Terms {
			if text := term.Selector.String(); !slices.Contains(shown.Selectors, text) {
				shown.Selectors = append(shown.Selectors, text)
			}
		}
		shown.Everything = shown.Everything || s.Listing == mesh.Unset || s.Listing == mesh.Invalid || s.Listing == mesh.Unread
	}
	for _, revision := range m.Revisions {
		one := picture.Revision{Name: revision, Active: revision == m.ActiveRevision}
		switch i := slices.IndexFunc(m.Sources, func(s mesh.Source) bool { return s.Revision == revision }); {
		case m.Kind == mesh.KindIstiod && i >= 0:
			one.Version = m.Sources[i].Version
		case one.Active:
			one.Version = m.Version
		}
		shown.Revisions = append(shown.Revisions, one)
	}
	return shown
}

// kindOf is what a person calls the object of a mesh.
func kindOf(m *mesh.Mesh) string {
	if m.Kind != mesh.KindIstiod {
		return m.Kind
	}
	return strings.TrimSpace("istiod " + m.InstalledBy)
}

func (p *painter) namespace(ns *mesh.Namespace, discovering []*mesh.Mesh) picture.Namespace {
	shown := picture.Namespace{Name: ns.Name, Terminating: ns.Deleting, Findings: p.findings[audit.Key{Kind: audit.KindNamespace, Name: ns.Name}]}
	shown.Exempt = p.exempt != nil && p.exempt(ns.Name)
	for _, key := range p.keys() {
		if value, ok := ns.Labels[key]; ok && key != api.NameLabel {
			shown.Labels = append(shown.Labels, key+"="+value)
		}
	}
	if injection := p.fleet.InjectionOf(ns.Labels); injection.By {
		shown.InjectedBy = injection.Revision
	}
	for _, m := range p.fleet.Injecting(ns.Labels) {
		shown.InjectedMesh = p.name(m)
	}
	for _, m := range discovering {
		shown.DiscoveredBy = append(shown.DiscoveredBy, p.name(m))
	}
	return shown
}

// keys are the labels that decide in this fleet, sorted.
func (p *painter) keys() []string {
	keys := append([]string{api.RevisionLabel, api.InjectionLabel, api.DataplaneModeLabel, api.MaistraMemberLabel}, p.fleet.SelectorKeys()...)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// hasMeshLabel reports whether a namespace that no mesh discovers has to do with meshes all the same; most have not, and are not shown.
func (p *painter) hasMeshLabel(checker *audit.Checker, ns *mesh.Namespace) bool {
	decisive := append([]string{api.RevisionLabel, api.InjectionLabel, api.DataplaneModeLabel, api.MaistraMemberLabel}, checker.DiscoveryLabels...)
	return len(p.fleet.Injecting(ns.Labels)) > 0 || slices.ContainsFunc(decisive, func(key string) bool { return ns.Labels[key] != "" })
}
