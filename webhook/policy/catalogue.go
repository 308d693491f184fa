package policy

import (
	"cmp"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshRules are the rules about an Istio, or an IstioRevision that no Istio owns, in the order of reports.
var meshRules = []rule[mesh.Mesh]{
	{Rule: Rule{"MF101", "InvalidSelector", Deny}, state: invalidSelector, unchanged: sameLists},
	{Rule: Rule{"MF102", "DiscoversEverything", Deny}, state: discoversEverything, unchanged: sameOverlap, worse: discoversEverythingAtOnce},
	{Rule: Rule{"MF103", "OverlappingSelectors", Deny}, state: overlappingSelectors, unchanged: sameOverlap, held: overlappedBefore},
	{Rule: Rule{"MF104", "ControlPlaneNotDiscovered", Warn}, state: controlPlaneNotDiscovered, unchanged: sameControlPlaneAndLists},
	{Rule: Rule{"MF105", "SharedControlPlaneNamespace", Deny}, state: sharedControlPlaneNamespace, unchanged: sameControlPlane},
	{Rule: Rule{"MF106", "RevisionNameTaken", Deny}, state: revisionNameTaken, unchanged: sameRevisionsAndOwner},
	{Rule: Rule{"MF107", "DefaultTaken", Deny}, state: defaultTaken, unchanged: sameRevisions},
	{Rule: Rule{"MF108", "InjectsByDefault", Deny}, state: injectsByDefault, unchanged: sameInjectionByDefault, worse: becomesDefault},
	{Rule: Rule{"MF109", "SecondAmbientMesh", Warn}, state: secondAmbientMesh, unchanged: sameAmbientMode},
	{Rule: Rule{"MF110", "VersionSkew", Warn}, state: versionSkew, unchanged: sameVersion, held: skewedBefore},
	{Rule: Rule{"MF111", "StrandsNamespaces", Deny}, change: strandsNamespaces},
	{Rule: Rule{"MF112", "DeletedInUse", Warn}, removal: deletedInUse},
	{Rule: Rule{"MF113", "RevisionRenamed", Warn}, change: revisionRenamed},
	{Rule: Rule{"MF114", "MembershipChanges", Warn}, change: membershipChanges},
	{Rule: Rule{"MF115", "DeclaredOverlap", Warn}, state: declaredOverlap, unchanged: sameOverlap},
	{Rule: Rule{"MF116", "DiscoversEverythingOnceDeleted", Deny}, removal: discoversEverythingOnceDeleted},
	{Rule: Rule{"MF117", "RevisionNotALabel", Warn}, state: revisionNotALabel, unchanged: sameActiveRevision},
	{Rule: Rule{"MF118", "MisplacesNamespaces", Deny}, change: misplacesNamespaces},
	{Rule: Rule{"MF119", "SharedClusterTrustBundle", Deny}, state: sharedClusterTrustBundle, unchanged: sameClusterTrustBundle},
	{Rule: Rule{"MF120", "TrustBundleNotMounted", Deny}, state: trustBundleNotMounted, unchanged: sameMountedBundle},
	{Rule: Rule{"MF121", "NotAllowedToInstall", Deny}, change: notAllowedToInstall},
}

// namespaceRules are the rules about a Namespace, in the order of reports.
var namespaceRules = []rule[mesh.Namespace]{
	{Rule: Rule{"MF201", "DiscoveredByMany", Deny}, state: discoveredByMany, unchanged: sameDiscoveryLabels},
	{Rule: Rule{"MF202", "RevisionOfAnotherMesh", Deny}, state: revisionOfAnotherMesh, unchanged: sameMeshLabels},
	{Rule: Rule{"MF203", "UnknownRevision", Deny}, state: unknownRevision, unchanged: sameMeshLabels},
	{Rule: Rule{"MF204", "ConflictingInjectionLabels", Deny}, state: conflictingInjectionLabels, unchanged: sameInjectionLabels},
	{Rule: Rule{"MF205", "InjectedNotDiscovered", Deny}, state: injectedNotDiscovered, unchanged: sameMeshLabels},
	{Rule: Rule{"MF206", "NoDefaultRevision", Warn}, state: noDefaultRevision, unchanged: sameMeshLabels},
	{Rule: Rule{"MF207", "MovesLiveNamespace", Warn}, change: movesLiveNamespace},
	{Rule: Rule{"MF208", "MaistraMember", Warn}, state: maistraMember, unchanged: sameInjectionLabels},
	{Rule: Rule{"MF209", "ControlPlaneUndiscovered", Deny}, change: controlPlaneUndiscovered},
	{Rule: Rule{"MF210", "NotAllowedToJoin", Off}, change: notAllowedToJoin},
	{Rule: Rule{"MF211", "AmbientWithRevision", Warn}, state: ambientWithRevision, unchanged: sameInjectionLabels},
	{Rule: Rule{"MF212", "DiscoveryWithoutMesh", Warn}, state: discoveryWithoutMesh, unchanged: sameDiscoveryLabels},
	{Rule: Rule{"MF213", "RevisionNotInMeshMap", Warn}, state: revisionNotInMeshMap, unchanged: sameMeshLabels},
	{Rule: Rule{"MF214", "AmbientOutsideMesh", Warn}, state: ambientOutsideMesh, unchanged: sameMeshLabels},
}

// tagRules are the rules about an IstioRevisionTag, in the order of reports.
var tagRules = []rule[mesh.Tag]{
	{Rule: Rule{"MF301", "TagNameTaken", Deny}, state: tagNameTaken},
	{Rule: Rule{"MF302", "TagMovesNamespaces", Deny}, change: tagMovesNamespaces},
	{Rule: Rule{"MF303", "TagDeletedInUse", Warn}, removal: tagDeletedInUse},
	{Rule: Rule{"MF304", "TagTargetMissing", Warn}, state: tagTargetMissing},
}

// mapRules are the rules about the mesh map, in the order of reports.
var mapRules = []rule[mesh.Map]{
	{Rule: Rule{"MF401", "MeshMapInvalid", Deny}, state: meshMapInvalid, unchangedFor: sameEntry},
	{Rule: Rule{"MF402", "MeshMapOtherMesh", Deny}, state: meshMapOtherMesh, unchangedFor: sameEntry},
	{Rule: Rule{"MF403", "MeshMapUnknown", Warn}, state: meshMapUnknown, unchangedFor: sameEntry},
}

// acceptRules are the rules about what an object of any kind accepts, in the order of reports.
var acceptRules = []rule[Acceptance]{
	{Rule: Rule{"MF501", "NotAllowedToAccept", Deny}, change: notAllowedToAccept},
}

// Some rules of meshes can also be broken from the other side: by what becomes of a namespace, a tag or the mesh map, or by a DELETE. They
// are in the catalogue once, with the meshes, and come first in reports, because of their codes.
var (
	meshJudged      = append(slices.Clone(meshRules), rule[mesh.Mesh]{Rule: meshRule("MF118"), removal: deletionMisplacesNamespaces})
	namespaceJudged = append([]rule[mesh.Namespace]{{Rule: meshRule("MF104"), change: controlPlaneComes}}, namespaceRules...)
	tagJudged       = append([]rule[mesh.Tag]{{Rule: meshRule("MF118"), change: tagMisplacesNamespaces, removal: tagDeletionMisplacesNamespaces}}, tagRules...)
	mapJudged       = append([]rule[mesh.Map]{{Rule: meshRule("MF118"), change: mapMisplacesNamespaces}}, mapRules...)
)

// ruleSet are the rules by kind of object. They are handed to judgements, which cannot name them: they look for remedies, and a
// remedy is tried by these rules.
type ruleSet struct {
	meshes     []rule[mesh.Mesh]
	namespaces []rule[mesh.Namespace]
	tags       []rule[mesh.Tag]
}

func allRules() *ruleSet {
	return &ruleSet{meshes: meshRules, namespaces: namespaceJudged, tags: tagJudged}
}

// meshRule is the rule of that code.
func meshRule(code Code) Rule {
	return meshRules[slices.IndexFunc(meshRules, func(r rule[mesh.Mesh]) bool { return r.Code == code })].Rule
}

// Catalogue returns the rules that judge requests, by code. AllRules has the others too.
func Catalogue() []Rule {
	return slices.Concat(rulesOf(meshRules), rulesOf(namespaceRules), rulesOf(tagRules), rulesOf(mapRules), rulesOf(acceptRules))
}

func rulesOf[T any](rules []rule[T]) []Rule {
	all := make([]Rule, 0, len(rules))
	for _, r := range rules {
		all = append(all, r.Rule)
	}
	return all
}

// Judged returns the rules that judge what is not of one user, each with the action that the configuration gives it, by code: with changes all of them, and without
// only those that judge what exists as it stands.
func (p *Policy) Judged(changes bool) []Rule {
	all := slices.Concat(judgedOfRules(meshRules, p, changes), judgedOfRules(namespaceRules, p, changes), judgedOfRules(tagRules, p, changes), judgedOfRules(mapRules, p, changes))
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

func judgedOfRules[T any](rules []rule[T], p *Policy, changes bool) []Rule {
	var all []Rule
	for i := range rules {
		r := rules[i].Rule
		if r.Action = p.settings.Actions.Of(r); r.Action != Off && (changes || rules[i].state != nil) {
			all = append(all, r)
		}
	}
	return all
}
