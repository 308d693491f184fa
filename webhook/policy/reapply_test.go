package policy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// broken is a request that breaks a rule: exactly one of its fields is set.
type broken struct {
	mesh      *meshCase
	namespace *namespaceCase
	tag       *tagCase
	meshMap   *mapCase
}

func (b broken) judge(t *testing.T, actions policy.Actions) policy.Verdict {
	t.Helper()
	switch {
	case b.mesh != nil:
		c := *b.mesh
		c.actions = actions
		return c.judge(t)
	case b.namespace != nil:
		c := *b.namespace
		c.actions = actions
		return c.judge(t)
	case b.tag != nil:
		c := *b.tag
		c.actions = actions
		return c.judge(t)
	default:
		c := *b.meshMap
		c.actions = actions
		return c.judge(t)
	}
}

// again is the request that applies the same object once more.
func (b broken) again() broken {
	switch {
	case b.mesh != nil:
		c := *b.mesh
		text := c.create + c.to
		c.create, c.from, c.to = "", text, text
		return broken{mesh: &c}
	case b.namespace != nil:
		c := *b.namespace
		text := c.create + c.to
		c.create, c.from, c.to = "", text, text
		return broken{namespace: &c}
	case b.tag != nil:
		c := *b.tag
		text := c.create + c.to
		c.create, c.from, c.to = "", text, text
		return broken{tag: &c}
	default:
		c := *b.meshMap
		c.create, c.from, c.to = nil, c.create, c.create
		return broken{meshMap: &c}
	}
}

// byRevision is the same about an IstioRevision that no Istio owns; ok is false for what is no creation of a mesh, or has a version in
// the name of its revision.
func (b broken) byRevision() (own broken, ok bool) {
	if b.mesh == nil || b.mesh.create == "" || strings.Contains(b.mesh.create, "RevisionBased") {
		return broken{}, false
	}
	c := *b.mesh
	c.create = strings.Replace(c.create, "Istio ", "IstioRevision ", 1)
	return broken{mesh: &c}, true
}

// breaking has a request for each rule that is about more than a DELETE. MF104 and MF118 have one for each kind of object that
// they are about.
func breaking(t *testing.T) map[policy.Code][]broken {
	meshes := func(create string, others ...string) broken {
		return broken{mesh: &meshCase{create: create, others: others}}
	}
	changes := func(from, to, namespaces string, others ...string) broken {
		return broken{mesh: &meshCase{from: from, to: to, others: others, namespaces: apps(t, namespaces)}}
	}
	labelled := func(create string, fleet ...string) broken {
		return broken{namespace: &namespaceCase{create: create, fleet: fleet}}
	}
	relabelled := func(from, to string, fleet ...string) broken {
		return broken{namespace: &namespaceCase{from: from, to: to, fleet: fleet}}
	}
	tags := func(create string, others ...string) broken {
		return broken{tag: &tagCase{create: create, others: others}}
	}
	mapped := func(name, revision string) broken { return broken{meshMap: &mapCase{create: entries{name: revision}}} }

	const long = "Istio a-mesh-with-a-name-of-fifty-six-characters-which-is-long; in istio-system-1; RevisionBased; version v1.30.0; selects team=a"
	const bundleAPI = "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}"
	mesh2 := guide()[1]
	lively := relabelled("istio-discovery=mesh-1 istio.io/rev=mesh-1", "istio-discovery=mesh-2 istio.io/rev=mesh-2", guide()...)
	lively.namespace.pods = &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-1": 1}}
	barred := labelled("istio-discovery=mesh-1", guide()...)
	barred.namespace.user, barred.namespace.rights = "jane", map[mesh.Ref]policy.Right{{Kind: "Istio", Name: "mesh-1"}: policy.Refused}
	comes := changes(mesh1ByDiscovery, "", "istio-system-1: env=prod")
	comes.mesh.create, comes.mesh.from = comes.mesh.from, ""
	tagMoves := broken{tag: &tagCase{
		from: "IstioRevisionTag stable; targets Istio mesh-1", to: "IstioRevisionTag stable; targets Istio mesh-2", others: guide(),
		namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=stable"),
	}}
	tagLoses := broken{tag: &tagCase{
		from: "IstioRevisionTag stable; targets Istio mesh-1", to: "IstioRevisionTag stable; targets Istio gone", others: guide(), namespaces: tagMoves.tag.namespaces,
	}}
	mapMoves := broken{meshMap: &mapCase{fleet: []string{"map"}, create: entries{"mesh-2": "mesh-1"}, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")}}

	return map[policy.Code][]broken{
		"MF101": {meshes("Istio mesh-1; in istio-system-1; selects raw team in b")},
		"MF102": {meshes("Istio mesh-1; in istio-system-1", mesh2)},
		"MF103": {meshes("Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-2", mesh2)},
		"MF104": {comes, labelled("env=prod", "Istio mesh-1; in app; selects istio-discovery=mesh-1")},
		"MF105": {meshes("Istio mesh-1; in istio-system-2; selects istio-discovery=mesh-1", mesh2)},
		"MF106": {meshes(mesh1ByDiscovery, mesh2, "IstioRevisionTag mesh-1; targets Istio mesh-2")},
		"MF107": {meshes("Istio default; in istio-system; selects istio-discovery=default", mesh2, "IstioRevisionTag default; targets Istio mesh-2")},
		"MF108": {meshes(unasked), meshes(unasked, mesh2), meshes(mesh2, unasked)},
		"MF109": {meshes(mesh1ByDiscovery+"; ambient", mesh2+"; ambient")},
		"MF110": {meshes(mesh1ByDiscovery+"; version v1.26.0", mesh2+"; version v1.30.0")},
		"MF111": {changes(mesh1ByDiscovery, mesh1ByTeam, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")},
		"MF113": {changes(mesh1ByDiscovery+"; version v1.30.3", mesh1ByDiscovery+newer, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")},
		"MF114": {changes(mesh1ByDiscovery, mesh1ByDiscovery+" | team=a", "app: team=a")},
		"MF115": {meshes(mesh1ByDiscovery+" | istio-discovery=mesh-2; overlaps mesh-2", mesh2)},
		"MF117": {meshes(long)},
		"MF118": {changes(mesh1ByDiscovery, mesh1ByDiscovery+" | team=a", "app: team=a istio.io/rev=far", far), tagLoses, mapMoves},
		"MF119": {meshes(mesh1ByDiscovery+bundleAPI, mesh2+bundleAPI)},
		"MF120": {meshes(mesh1ByDiscovery + "; env-bundle own-root")},
		"MF201": {labelled("istio-discovery=mesh-1 team=a", crossing()...), labelled("istio-discovery=mesh-1", guide()[0], "Istio mesh-2; in istio-system-2")},
		"MF202": {labelled("istio-discovery=mesh-2 istio.io/rev=mesh-1"), labelled("istio-discovery=mesh-2", besideUnasked()...)},
		"MF203": {labelled("istio-discovery=mesh-1 istio.io/rev=mesh-9"), labelled("istio.io/rev=stable", "IstioRevisionTag stable; targets Istio gone")},
		"MF204": {labelled("istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2"), labelled("istio-injection=disabled istio.io/rev=mesh-1")},
		"MF205": {labelled("istio.io/rev=mesh-1"), labelled("team=a", besideUnasked()...)},
		"MF206": {labelled("istio-discovery=mesh-1 istio-injection=enabled", guide()[:2]...)},
		"MF207": {lively},
		"MF208": {labelled("istio-discovery=mesh-1 istio.io/rev=mesh-1 maistra.io/member-of=istio-system")},
		"MF209": {relabelled("istio-discovery=mesh-1", "env=prod", "Istio mesh-1; in app; selects istio-discovery=mesh-1")},
		"MF210": {barred},
		"MF211": {labelled("istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient")},
		"MF212": {labelled("istio-discovery=mesh-9")},
		"MF213": {labelled("istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-30-0", following()...)},
		"MF214": {labelled("istio.io/dataplane-mode=ambient", ambient()...)},
		"MF301": {tags("IstioRevisionTag mesh-1; targets Istio mesh-2", guide()...)},
		"MF302": {tagMoves},
		"MF304": {tags("IstioRevisionTag stable; targets Istio gone", guide()...)},
		"MF401": {mapped("a b", "mesh-1"), mapped("mesh-1", "")},
		"MF402": {mapped("mesh-1", "mesh-2")},
		"MF403": {mapped("mesh-9", "mesh-9")},
	}
}

// A tool that applies an unchanged object every few minutes is told nothing, and nothing is counted, whatever is wrong with the
// object: also where the configuration has every rule refuse.
func TestWhateverIsWrongToApplyTheSameAgainSaysNothing(t *testing.T) {
	all := breaking(t)
	everyRule := policy.Actions{Rules: map[policy.Code]policy.Action{}}
	for _, rule := range policy.Catalogue() {
		everyRule.Rules[rule.Code] = policy.Deny
		if notHere := rule.Code == "MF112" || rule.Code == "MF116" || rule.Code == "MF121" || rule.Code == "MF303" || rule.Code == "MF501"; len(all[rule.Code]) == 0 && !notHere {
			t.Errorf("nothing breaks %s", rule.Code)
		}
	}
	for code, requests := range all {
		for _, request := range requests {
			if own, ok := request.byRevision(); ok {
				all[code] = append(all[code], own)
			}
		}
	}
	asked := policy.Actions{Rules: map[policy.Code]policy.Action{"MF210": policy.Deny}}
	for _, code := range slices.Sorted(maps.Keys(all)) {
		for i, request := range all[code] {
			for name, actions := range map[string]policy.Actions{"as it is by default": asked, "every rule refuses": everyRule, "mode warn": {WarnOnly: true, Rules: asked.Rules}} {
				if got := codesOf(request.judge(t, actions)); !slices.Contains(got, code) {
					t.Errorf("%s, request %d, %s: it breaks %v", code, i, name, got)
				}
				verdict := request.again().judge(t, actions)
				if outcome(verdict) != "allow" || len(verdict.Untold)+len(verdict.Overridden)+len(verdict.Notes) > 0 {
					t.Errorf("%s, request %d, %s: again: %s: %+v", code, i, name, outcome(verdict), verdict)
				}
			}
		}
	}
}
