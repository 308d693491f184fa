package policy

import (
	"sync"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// Settings are what the configuration says of the rules and of filling in.
type Settings struct {
	Actions Actions
	// DiscoveryLabels are the label keys whose value names a mesh, in order of preference.
	DiscoveryLabels []string
	// FillFrom are the sources of a missing revision, the first that has one wins; none: nothing is ever filled in.
	FillFrom []FillSource
	// ControlPlane reports whether a namespace of that name is set aside for a control plane, whatever the fleet knows.
	ControlPlane func(namespace string) bool
}

// Actions is what the configuration says of the rules' actions.
type Actions struct {
	// Rules replaces the default action of single rules.
	Rules map[Code]Action
	// WarnOnly lowers every denial to a warning.
	WarnOnly bool
}

// Of returns the action of a rule.
func (a Actions) Of(r Rule) Action {
	action, ok := a.Rules[r.Code]
	if !ok {
		action = r.Action
	}
	if a.WarnOnly {
		return min(action, Warn)
	}
	return action
}

// Policy judges. It is immutable and safe for concurrent use.
type Policy struct {
	settings Settings
	rules    *ruleSet
	worlds   worlds
}

// New returns a Policy with these settings, which must not be written afterwards.
func New(settings Settings) *Policy { return &Policy{settings: settings, rules: allRules()} }

// NamespaceChange is a CREATE (Old is nil) or UPDATE of a namespace.
type NamespaceChange struct {
	Old, New *mesh.Namespace
	Fleet    *mesh.Fleet
	// Now is the time of the request.
	Now time.Time
	// User is who asks.
	User string
	// Rights are the user's to use the meshes of Joins. A mesh that is missing could not be asked about.
	Rights map[mesh.Ref]Right
	// Pods is what was seen of the namespace's pods; nil if there was no look, because of WantsPods.
	Pods *mesh.Pods
	// All returns the cluster's namespaces, by name, without the exempt ones; nil if they cannot be had. It is called only for a remedy
	// that depends on them.
	All func() []mesh.Namespace
}

// Namespace judges a change of a namespace. One that is being deleted is never denied: its finalizers must get through.
func (p *Policy) Namespace(c NamespaceChange) Verdict {
	if c.New.Deleting {
		return Verdict{Answer: Allowed}
	}
	c.Old, c.New = p.judged(c.Old, c.Fleet), p.judged(c.New, c.Fleet)
	w := World{
		Before: c.Fleet, Fleet: c.Fleet, Now: c.Now, Updating: c.Old != nil, User: c.User, Rights: c.Rights, Pods: c.Pods,
		DiscoveryLabels: p.settings.DiscoveryLabels, ControlPlane: p.settings.ControlPlane, rules: p.rules,
		all: c.All,
	}
	if c.Old != nil {
		w.Stored = c.Old.Labels
	}
	taken := p.worlds.take(w)
	defer p.worlds.giveBack(taken)
	return judge(namespaceJudged, c.Old, c.New, taken, p.settings.Actions)
}

// MeshChange is a CREATE (Old is nil), UPDATE or DELETE (New is nil) of a mesh. A DELETE of an IstioRevision that its Istio
// outlives changes that mesh: New is the Istio's mesh without it.
type MeshChange struct {
	Old, New *mesh.Mesh
	// Before and Fleet hold all meshes without and with the change; the changed mesh itself is in them, by its reference.
	Before, Fleet *mesh.Fleet
	// Beside is Fleet without the change: Before, if nil. It has what else Fleet has and Before has not, such as changes of
	// other meshes that are in flight, so that this change does not answer for what they do to namespaces.
	Beside *mesh.Fleet
	// Namespaces are the cluster's, by name.
	Namespaces []mesh.Namespace
	// Exempt reports whether a namespace of that name is never judged; nil if none is.
	Exempt func(namespace string) bool
	// Creating says that the request is a CREATE, also if it is of a part of a mesh that exists, so that there is an Old.
	Creating bool
	// Now is the time of the request.
	Now time.Time
	// Deleting says that the new object has a deletion timestamp.
	Deleting bool
	// Removing says that the request is a DELETE, also if it is of a part of the mesh, so that there is a New.
	Removing bool
	// Losing is the mesh configuration that the change takes from an istiod which runs; nil if it takes none.
	Losing *Loss
	// Installing is the creation of a mesh that the user may not be allowed to; nil if that is no question.
	Installing *Installing
}

// Mesh judges a change of a mesh. One that is being deleted is never denied: its finalizers must get through.
func (p *Policy) Mesh(c MeshChange) Verdict {
	if c.Deleting {
		return Verdict{Answer: Allowed}
	}
	updated := c.New
	if c.Removing {
		updated = nil
	}
	w := p.world(c.Before, c.Fleet, c.Namespaces, c.Now, c.Old != nil)
	w.losing, w.installing = c.Losing, c.Installing
	w.beside, w.exempt, w.creating = c.Beside, c.Exempt, c.Creating || c.Old == nil
	w.searches = &selector.Searches{Left: maxSearches * selector.SearchBudget}
	w.moves = sync.OnceValue(func() movement { return newMovement(c.Old, updated, w) })
	if c.New != nil {
		w.judged = c.New.Ref
	}
	w.passes = passes(meshJudged, c.Old, updated, w, p.settings.Actions)
	return judge(meshJudged, c.Old, updated, w, p.settings.Actions)
}

// TagChange is a CREATE (Old is nil), UPDATE or DELETE (New is nil) of an IstioRevisionTag.
type TagChange struct {
	Old, New *mesh.Tag
	// Before and Fleet are without and with the change.
	Before, Fleet *mesh.Fleet
	// Namespaces are the cluster's, by name.
	Namespaces []mesh.Namespace
	// Now is the time of the request.
	Now time.Time
}

// Tag judges a change of a tag, also while it is being deleted: as long as it is stored, it counts.
func (p *Policy) Tag(c TagChange) Verdict {
	w := p.world(c.Before, c.Fleet, c.Namespaces, c.Now, c.Old != nil)
	w.creating = c.Old == nil
	w.passes = passes(tagJudged, c.Old, c.New, w, p.settings.Actions)
	return judge(tagJudged, c.Old, c.New, w, p.settings.Actions)
}

// MapChange is a CREATE (Old is nil) or UPDATE of the mesh map.
type MapChange struct {
	Old, New *mesh.Map
	// Fleet holds the meshes and tags; its mesh map is not read.
	Fleet *mesh.Fleet
	// Namespaces are the cluster's, by name, without the exempt ones.
	Namespaces []mesh.Namespace
}

// Map judges a change of the mesh map.
func (p *Policy) Map(c MapChange) Verdict {
	w := p.world(c.Fleet, c.Fleet, c.Namespaces, time.Time{}, c.Old != nil)
	w.creating = c.Old == nil
	return judge(mapJudged, c.Old, c.New, w, p.settings.Actions)
}

func (p *Policy) world(before, fleet *mesh.Fleet, namespaces []mesh.Namespace, now time.Time, updating bool) *World {
	return &World{
		Before: before, Fleet: fleet, Namespaces: namespaces, Now: now, Updating: updating,
		DiscoveryLabels: p.settings.DiscoveryLabels, ControlPlane: p.settings.ControlPlane, rules: p.rules,
	}
}
