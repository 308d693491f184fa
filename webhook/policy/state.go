package policy

import (
	"strings"
	"sync"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// Existing is a cluster as it stands, or as it would be with some files applied: what is judged without a request.
type Existing struct {
	Fleet *mesh.Fleet
	// Namespaces are the cluster's, by name.
	Namespaces []mesh.Namespace
	// Exempt reports whether a namespace of that name is never judged; nil if none is.
	Exempt func(namespace string) bool
	// Map is the mesh map's ConfigMap; nil if there is none.
	Map *mesh.Map
	// Now is the time at which declared overlaps count or have ended.
	Now time.Time
}

// Offence is a finding and the object that it is about.
type Offence struct {
	Kind string
	// Namespace is the object's own, "" for an object without one.
	Namespace, Name string
	Finding
}

// kindNamespace and kindConfigMap are the kinds of objects that are not the Sail operator's.
const (
	kindNamespace = "Namespace"
	kindConfigMap = "ConfigMap"
)

// State judges everything that exists as it stands, by the rules that need no change for it: what creating the object there would be
// refused for, or warned of. Its findings are in the order of objects (meshes by name, tags, the mesh map, namespaces by name) and, for one object,
// of the catalogue. Objects in deletion and exempt namespaces are left out. What an object overrides is reported as it is: an override
// is of one change.
func (p *Policy) State(e Existing) []Offence {
	w := p.world(e.Fleet, e.Fleet, e.Namespaces, e.Now, true)
	w.exempt, w.actions = e.Exempt, p.settings.Actions
	w.moves = func() movement { return movement{} }
	s := stateOf{actions: p.settings.Actions}
	for _, m := range e.Fleet.Meshes() {
		w.judged, w.searches = m.Ref, &selector.Searches{Left: maxSearches * selector.SearchBudget}
		w.trials, w.effort = 0, 0
		add(&s, meshRules, m, w, aboutMesh(m))
	}
	w.judged = mesh.Ref{}
	for _, tag := range e.Fleet.Tags() {
		if tag.Target.Kind == mesh.KindIstiod {
			continue // MF911 is about those: no request tells of them
		}
		w.trials, w.effort = 0, 0
		add(&s, tagRules, tag, w, Offence{Kind: kindTag, Name: tag.Name})
	}
	if e.Map != nil {
		add(&s, mapRules, e.Map, w, Offence{Kind: kindConfigMap, Namespace: e.Map.Namespace, Name: e.Map.Name})
	}
	p.namespaceStates(&s, e)
	return s.found
}

// OffenceOf is a finding about a mesh, in the words of who installed it.
func OffenceOf(m *mesh.Mesh, f Finding) Offence {
	found := []Finding{f}
	if m.Kind == mesh.KindIstiod {
		inWordsOfTheChart(found)
	}
	return aboutMesh(m).of(found[0])
}

// of is the offence of a finding. One that tells in which object its field is, is about that object.
func (o Offence) of(f Finding) Offence {
	o.Finding = f
	if namespace, name, found := strings.Cut(f.In, "/"); found {
		o.Namespace, o.Name = namespace, name
	}
	return o
}

// aboutMesh names the object of a mesh: of istiods that the Sail operator did not install the ConfigMap of the first.
func aboutMesh(m *mesh.Mesh) Offence {
	if m.Kind != mesh.KindIstiod {
		return Offence{Kind: m.Kind, Name: m.Name}
	}
	namespace, name, _ := strings.Cut(m.Sources[0].Name, "/")
	return Offence{Kind: kindConfigMap, Namespace: namespace, Name: name}
}

// namespaceStates judges the namespaces, each in a world of its own, as a request about it would.
func (p *Policy) namespaceStates(s *stateOf, e Existing) {
	all := sync.OnceValue(func() []mesh.Namespace { return judgedOf(e.Namespaces, e.Exempt) })
	for i := range e.Namespaces {
		ns := p.judged(&e.Namespaces[i], e.Fleet)
		if ns.Deleting || e.Exempt != nil && e.Exempt(ns.Name) {
			continue
		}
		w := World{
			Before: e.Fleet, Fleet: e.Fleet, Now: e.Now, Updating: true, Stored: ns.Labels, all: all,
			DiscoveryLabels: p.settings.DiscoveryLabels, ControlPlane: p.settings.ControlPlane, rules: p.rules, actions: p.settings.Actions,
		}
		taken := p.worlds.take(w)
		add(s, namespaceRules, ns, taken, Offence{Kind: kindNamespace, Name: ns.Name})
		p.worlds.giveBack(taken)
	}
}

// judgedOf are the namespaces without the exempt ones.
func judgedOf(all []mesh.Namespace, exempt func(string) bool) []mesh.Namespace {
	if exempt == nil {
		return all
	}
	var judged []mesh.Namespace
	for _, ns := range all {
		if !exempt(ns.Name) {
			judged = append(judged, ns)
		}
	}
	return judged
}

// stateOf collects what is found.
type stateOf struct {
	actions Actions
	found   []Offence
}

// add runs those rules over an object that judge it as it stands.
func add[T any](s *stateOf, rules []rule[T], object *T, w *World, about Offence) {
	for i := range rules {
		r := &rules[i]
		action := s.actions.Of(r.Rule)
		if r.state == nil || action == Off {
			continue
		}
		for _, f := range r.complete(r.state(object, w), object) {
			f.Action = min(f.Action, action)
			s.found = append(s.found, about.of(f))
		}
	}
}
