package policy

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshRules are the rules about an Istio, or an IstioRevision that no Istio owns, in the order of reports.
var meshRules = []rule[mesh.Mesh]{
	{Rule: Rule{"MF101", "InvalidSelector", Deny}, state: invalidSelector},
	{Rule: Rule{"MF102", "DiscoversEverything", Deny}, state: discoversEverything},
	{Rule: Rule{"MF103", "OverlappingSelectors", Deny}, state: overlappingSelectors, held: overlappedBefore},
	{Rule: Rule{"MF105", "SharedControlPlaneNamespace", Deny}, state: sharedControlPlaneNamespace},
}

// namespaceRules are the rules about a Namespace, in the order of reports.
var namespaceRules = []rule[mesh.Namespace]{
	{Rule: Rule{"MF201", "DiscoveredByMany", Deny}, state: discoveredByMany},
	{Rule: Rule{"MF202", "RevisionOfAnotherMesh", Deny}, state: revisionOfAnotherMesh},
	{Rule: Rule{"MF203", "UnknownRevision", Deny}, state: unknownRevision},
	{Rule: Rule{"MF204", "ConflictingInjectionLabels", Deny}, state: conflictingInjectionLabels},
	{Rule: Rule{"MF205", "InjectedNotDiscovered", Deny}, state: injectedNotDiscovered},
	{Rule: Rule{"MF206", "NoDefaultRevision", Warn}, state: noDefaultRevision},
	{Rule: Rule{"MF208", "MaistraMember", Warn}, state: maistraMember},
	{Rule: Rule{"MF209", "ControlPlaneUndiscovered", Deny}, change: controlPlaneUndiscovered},
	{Rule: Rule{"MF211", "AmbientWithRevision", Warn}, state: ambientWithRevision},
	{Rule: Rule{"MF212", "DiscoveryWithoutMesh", Warn}, state: discoveryWithoutMesh},
	{Rule: Rule{"MF213", "RevisionNotInMeshMap", Warn}, state: revisionNotInMeshMap},
}

// tagRules are the rules about an IstioRevisionTag, in the order of reports.
var tagRules = []rule[mesh.Tag]{}

// mapRules are the rules about the mesh map, in the order of reports.
var mapRules = []rule[mesh.Map]{}

// Catalogue returns all rules by code.
func Catalogue() []Rule {
	return slices.Concat(rulesOf(meshRules), rulesOf(namespaceRules), rulesOf(tagRules), rulesOf(mapRules))
}

func rulesOf[T any](rules []rule[T]) []Rule {
	all := make([]Rule, 0, len(rules))
	for _, r := range rules {
		all = append(all, r.Rule)
	}
	return all
}

// Reserved returns the codes of rules that are still to be built. A configuration may name them, so that one that is
// written for the whole catalogue stays valid.
func Reserved() []Code {
	return []Code{
		"MF104", "MF106", "MF107", "MF108", "MF109", "MF110", "MF111", "MF112", "MF113", "MF114", "MF115",
		"MF207", "MF210",
		"MF301", "MF302", "MF303", "MF304", "MF401", "MF402", "MF403",
	}
}
