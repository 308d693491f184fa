package policy

import (
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// World is what an object is judged against.
type World struct {
	// Fleet is the fleet with the change in it.
	Fleet *mesh.Fleet
	// Before is the fleet without the change. In judgements of a namespace or of the mesh map, which do not change who
	// discovers or injects, it is the same as Fleet.
	Before *mesh.Fleet
	// Namespaces are the cluster's namespaces, by name, as far as they are known; only messages and rules about
	// existing namespaces use them. Nil in judgements of a namespace.
	Namespaces []mesh.Namespace
	// Now is the time of the request.
	Now time.Time
	// DiscoveryLabels are the configured keys whose value names a mesh.
	DiscoveryLabels []string
	// ControlPlane reports whether the configuration sets a namespace of that name aside for a control plane.
	ControlPlane func(namespace string) bool
	// Stored are the labels of the stored namespace that is judged, from which remedies start; nil on CREATE.
	Stored map[string]string
	// Updating says that the object exists already, so that a remedy can change it.
	Updating bool
	// User, Rights and Pods are as in NamespaceChange; only in judgements of a namespace.
	User   string
	Rights map[mesh.Ref]Right
	Pods   *mesh.Pods
	// overriding are the user's rights to override rules; only in judgements of what an object accepts.
	overriding map[Code]Right
	// searches bounds what is asked about overlaps that were there before; what was not looked at counts as new. Only a
	// mesh with very many selectors that all change and all overlap gets there.
	searches *selector.Searches
	// effort is what the search for remedies has cost so far, see maxEffort.
	effort int
	// moves is what a change of a mesh does to the existing namespaces; only in judgements of a mesh.
	moves func() movement
	// beside is Fleet without the change; nil if that is Before. The two differ in judgements of a mesh beside changes of other
	// meshes that are in flight.
	beside *mesh.Fleet
	// exempt reports whether a namespace of that name is not judged; nil if none is.
	exempt func(namespace string) bool
	// losing is as in MeshChange.
	losing *Loss
	// installing is as in MeshChange.
	installing *Installing
	// creating says that the request is a CREATE, also if it is of a part of a mesh that there is.
	creating bool

	// all returns the cluster's namespaces; nil if they cannot be had. Only in judgements of a namespace.
	all func() []mesh.Namespace
	// past is what stored returns.
	past *World
	// rules are those by which commands are tried.
	rules *ruleSet
	// actions are those of the configuration.
	actions Actions
	// passes reports whether the request is admitted, so that what it changes is stored when its commands are run; nil in judgements
	// of a namespace or of the mesh map. It judges the request a second time.
	passes func() bool
	// judged is the mesh that is judged; only in judgements of a mesh.
	judged mesh.Ref
	// silent says that findings are only looked for, not told: they need no remedy.
	silent bool
	// trials is how many changes of meshes have been tried, see maxTrials.
	trials int

	// discovered is what discovering remembers.
	discovered [2]discovered
}

// maxSearches is how many searches of the greatest length one judgement may make.
const maxSearches = 64

// stored is the world in which the old object is judged: everything else is as it is stored, whatever may come true at the
// same time as the change.
func (w *World) stored() *World {
	if w.Before == w.Fleet {
		return w
	}
	if w.past == nil {
		past := *w
		past.Fleet, past.discovered = w.Before, [2]discovered{}
		w.past = &past
	}
	return w.past
}
