package policy

import "github.com/meshfence/meshfence/webhook/mesh"

// Settings are what the configuration says of the rules and of filling in.
type Settings struct {
	Actions Actions
	// DiscoveryLabels are the label keys whose value names a mesh, in order of preference.
	DiscoveryLabels []string
	// FillFrom are the sources of a missing revision, the first that has one wins; none: nothing is ever filled in.
	FillFrom []FillSource
	// ControlPlane says whether a namespace of that name is set aside for a control plane, whatever the fleet knows.
	ControlPlane func(namespace string) bool
}

// Actions is what the configuration says of the rules' actions.
type Actions struct {
	// Rules replaces the default action of single rules.
	Rules map[Code]Action
	// WarnOnly lowers every denial to a warning.
	WarnOnly bool
}

func (a Actions) of(r Rule) Action {
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
}

// New returns a Policy with these settings, which must not be written afterwards.
func New(settings Settings) *Policy { return &Policy{settings: settings} }

// NamespaceChange is a CREATE (Old is nil) or UPDATE of a namespace.
type NamespaceChange struct {
	Old, New *mesh.Namespace
	Fleet    *mesh.Fleet
	// Now is in seconds since 1970.
	Now int64
}

// Namespace judges a change of a namespace. One that is being deleted is never denied: its finalizers must get through.
func (p *Policy) Namespace(c NamespaceChange) Verdict {
	if c.New.Deleting {
		return Verdict{Answer: Allowed}
	}
	w := &World{Fleet: c.Fleet, Now: c.Now, DiscoveryLabels: p.settings.DiscoveryLabels, Updating: c.Old != nil}
	if c.Old != nil {
		w.Stored = c.Old.Labels
	}
	return judge(namespaceRules, c.Old, c.New, w, p.settings.Actions)
}

// MeshChange is a CREATE (Old is nil) or UPDATE of a mesh.
type MeshChange struct {
	Old, New *mesh.Mesh
	// Fleet holds the other meshes; a mesh of the same reference in it is the changed mesh itself.
	Fleet *mesh.Fleet
	// Namespaces are the cluster's, by name.
	Namespaces []mesh.Namespace
	// Now is in seconds since 1970.
	Now int64
	// Deleting says that the new object has a deletion timestamp.
	Deleting bool
}

// Mesh judges a change of a mesh. One that is being deleted is never denied.
func (p *Policy) Mesh(c MeshChange) Verdict {
	if c.Deleting {
		return Verdict{Answer: Allowed}
	}
	return judge(meshRules, c.Old, c.New, &World{
		Fleet: c.Fleet, Namespaces: c.Namespaces, Now: c.Now, DiscoveryLabels: p.settings.DiscoveryLabels, Updating: c.Old != nil,
	}, p.settings.Actions)
}
