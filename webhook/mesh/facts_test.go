package mesh_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apilabels "k8s.io/apimachinery/pkg/labels"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// The tests in this file pin what the code believes of Istio and the Sail operator, one fact each. The facts were read
// from their sources (August 2026); those that only a running API server shows are tested with one.

func TestFactSelectorsInTheListAreORedAndRequirementsInsideOneAreANDed(t *testing.T) {
	f := fleet(t, istio("mesh-1", discovering(
		"{matchLabels: {env: dev, team: a}, matchExpressions: [{key: tier, operator: Exists}]}", label("istio-discovery", "mesh-1"))))
	for text, want := range map[string]bool{
		"env=dev,team=a,tier=x":                          true,
		"env=dev,team=a":                                 false,
		"env=dev,tier=x":                                 false,
		"team=a,tier=x":                                  false,
		"env=prod,team=a,tier=x":                         false,
		"istio-discovery=mesh-1":                         true,
		"istio-discovery=mesh-1,env=prod":                true,
		"istio-discovery=mesh-2":                         false,
		"istio-discovery=mesh-2,env=dev,team=a,tier=any": true,
		"": false,
	} {
		if got := len(f.DiscoveredBy(labels(text))) > 0; got != want {
			t.Errorf("labels %q: discovered: %v, want %v", text, got, want)
		}
	}
}

func TestFactAnAbsentOrEmptyListMeansEveryNamespace(t *testing.T) {
	for _, spec := range []string{
		"null", "{}", "{values: null}", "{values: {}}", "{values: {meshConfig: null}}", "{values: {meshConfig: {}}}",
		"{values: {meshConfig: {discoverySelectors: null}}}", "{values: {meshConfig: {discoverySelectors: []}}}",
	} {
		f := fleet(t, istio("mesh-1", spec))
		if listing := only(t, f).Sources[0].Listing; listing != mesh.Unset || !discoversAll(f) {
			t.Errorf("spec %s: listing %v, discovers everything: %v", spec, listing, discoversAll(f))
		}
	}
}

// Istio's parser turns a null item into {}; the operator's CustomResourceDefinition refuses it.
func TestFactAnEmptySelectorAndANullItemSelectEverything(t *testing.T) {
	for _, item := range []string{"{}", "{matchLabels: {}}", "{matchLabels: null, matchExpressions: []}", "null"} {
		f := fleet(t, istio("mesh-1", discovering(label("istio-discovery", "mesh-1"), item)))
		if listing := only(t, f).Sources[0].Listing; listing != mesh.Selective || !discoversAll(f) {
			t.Errorf("item %s: listing %v, discovers everything: %v", item, listing, discoversAll(f))
		}
	}
}

func TestFactNotInAndDoesNotExistMatchANamespaceWithoutTheKeyAndInAndExistsNeedIt(t *testing.T) {
	type answers struct{ Without, Listed, Other, Empty bool }
	for requirement, want := range map[string]answers{
		"{key: env, operator: In, values: [dev]}":    {Listed: true},
		"{key: env, operator: Exists}":               {Listed: true, Other: true, Empty: true},
		"{key: env, operator: NotIn, values: [dev]}": {Without: true, Other: true, Empty: true},
		"{key: env, operator: DoesNotExist}":         {Without: true},
	} {
		f := fleet(t, istio("mesh-1", discovering("{matchExpressions: ["+requirement+"]}")))
		found := func(text string) bool { return len(f.DiscoveredBy(labels(text))) > 0 }
		got := answers{Without: found("team=a"), Listed: found("env=dev"), Other: found("env=prod"), Empty: found("env=")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", requirement, diff)
		}
	}
}

func TestFactMembershipHasTheSemanticsOfLabelSelectorAsSelector(t *testing.T) {
	list := []*metav1.LabelSelector{{}, {MatchLabels: map[string]string{"env": ""}}}
	for _, operator := range []metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist"} {
		r := metav1.LabelSelectorRequirement{Key: "env", Operator: operator}
		if operator == "In" || operator == "NotIn" {
			r.Values = []string{"dev", "prod"}
		}
		list = append(list, &metav1.LabelSelector{
			MatchLabels: map[string]string{"team": "a"}, MatchExpressions: []metav1.LabelSelectorRequirement{r, {Key: "x", Operator: "DoesNotExist"}},
		})
	}
	for i, item := range list {
		oracle, err := metav1.LabelSelectorAsSelector(item)
		if err != nil {
			t.Fatal(err)
		}
		cp := &sail.ControlPlane{Kind: sail.KindIstio, Spec: sail.Spec{Values: sail.Values{MeshConfig: sail.MeshConfig{
			DiscoverySelectors: []*metav1.LabelSelector{item},
		}}}}
		f := mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{cp}})
		for _, env := range []string{"", "env=", "env=dev", "env=prod", "env=test"} {
			for _, team := range []string{"", "team=a", "team=b"} {
				for _, x := range []string{"", "x=y"} {
					l := labels(env + "," + team + "," + x)
					if got := len(f.DiscoveredBy(l)) > 0; got != oracle.Matches(apilabels.Set(l)) {
						t.Errorf("selector %d, labels %v: discovered: %v", i, l, got)
					}
				}
			}
		}
	}
}

// A running istiod would keep its old selectors; at its next start it has none and discovers everything. The
// CustomResourceDefinition accepts all of these.
func TestFactOneInvalidSelectorAnywhereCountsAsDiscoveringEverything(t *testing.T) {
	const list = "spec.values.meshConfig.discoverySelectors"
	for name, test := range map[string]struct{ item, path string }{
		"an unknown operator":              {"{matchExpressions: [{key: env, operator: Gt, values: ['1']}]}", "matchExpressions[0].operator"},
		"a lower-case operator":            {"{matchExpressions: [{key: env, operator: in, values: [dev]}]}", "matchExpressions[0].operator"},
		"no operator":                      {"{matchExpressions: [{key: env, values: [dev]}]}", "matchExpressions[0].operator"},
		"In without values":                {"{matchExpressions: [{key: env, operator: In}]}", "matchExpressions[0].values"},
		"NotIn with an empty list":         {"{matchExpressions: [{key: env, operator: NotIn, values: []}]}", "matchExpressions[0].values"},
		"Exists with values":               {"{matchExpressions: [{key: env, operator: Exists, values: [dev]}]}", "matchExpressions[0].values"},
		"DoesNotExist with values":         {"{matchExpressions: [{key: env, operator: DoesNotExist, values: [dev]}]}", "matchExpressions[0].values"},
		"bad key syntax in an expression":  {"{matchExpressions: [{key: -env, operator: Exists}]}", "matchExpressions[0].key"},
		"an empty key":                     {"{matchExpressions: [{operator: Exists}]}", "matchExpressions[0].key"},
		"a null requirement":               {"{matchExpressions: [null]}", "matchExpressions[0].key"},
		"bad value syntax in an operator":  {"{matchExpressions: [{key: env, operator: In, values: [dev, '-']}]}", "matchExpressions[0].values[1]"},
		"bad key syntax in matchLabels":    {"{matchLabels: {'a b': dev}}", "matchLabels[a b]"},
		"bad value syntax in matchLabels":  {"{matchLabels: {env: 'a b'}}", "matchLabels[env]"},
		"a second requirement that is bad": {"{matchLabels: {env: dev}, matchExpressions: [{key: a, operator: Exists}, {key: b, operator: exists}]}", "matchExpressions[1].operator"},
	} {
		for position := range 3 {
			t.Run(fmt.Sprintf("%s at %d", name, position), func(t *testing.T) {
				items := slices.Insert([]string{label("istio-discovery", "mesh-1"), "null"}, position, test.item)
				f := fleet(t, istio("mesh-1", discovering(items...)))
				source := only(t, f).Sources[0]
				if source.Listing != mesh.Invalid || !discoversAll(f) {
					t.Errorf("listing %v, discovers everything: %v", source.Listing, discoversAll(f))
				}
				if want := fmt.Sprintf("%s[%d].%s", list, position, test.path); len(source.Errors) == 0 || source.Errors[0].Field != want {
					t.Errorf("errors %v, want the first at %s", source.Errors, want)
				}
			})
		}
	}
}

func TestFactAnInvalidSelectorOfAnOlderRevisionCountsAsDiscoveringEverythingToo(t *testing.T) {
	f := fleet(t,
		istio("mesh-1", discovering(label("env", "dev"))),
		revision("old", "mesh-1", discovering("{matchExpressions: [{key: env, operator: in, values: [dev]}]}")))
	if !discoversAll(f) {
		t.Error("the older revision discovers less than everything")
	}
}

// A part of the object that cannot be read may have held the selectors.
func TestAnObjectOfWhichAPartCannotBeReadCountsAsDiscoveringEverything(t *testing.T) {
	for _, spec := range []string{
		"{values: 5}", "{values: {meshConfig: {discoverySelectors: {}}}}", "{profile: [], values: {meshConfig: {discoverySelectors: [{matchLabels: {env: dev}}]}}}",
	} {
		f := fleet(t, istio("mesh-1", spec))
		m := only(t, f)
		if m.Malformed == nil || m.Sources[0].Listing != mesh.Invalid || !discoversAll(f) {
			t.Errorf("spec %s: malformed: %v, listing %v, discovers everything: %v", spec, m.Malformed, m.Sources[0].Listing, discoversAll(f))
		}
	}
}

// The API server prunes the misspelt field; an object that was not pruned is read in the same way.
func TestFactAMisspeltFieldLeavesASelectorThatSelectsEverything(t *testing.T) {
	f := fleet(t, istio("mesh-1", discovering("{matchLabel: {istio-discovery: mesh-1}}")))
	if m := only(t, f); m.Malformed != nil || m.Sources[0].Listing != mesh.Selective || !discoversAll(f) {
		t.Errorf("malformed: %v, listing %v, discovers everything: %v", m.Malformed, m.Sources[0].Listing, discoversAll(f))
	}
}

// Each istiod would overwrite the other's istio-ca-root-cert in it for ever.
func TestFactTwoMeshesThatDiscoverOneNamespaceFightOverIt(t *testing.T) {
	f := fleet(t, istio("mesh-1", discovering(label("a", "1"))), istio("mesh-2", discovering(label("b", "2"))))
	l := labels("a=1,b=2")
	if diff := cmp.Diff([]string{`Istio "mesh-1"`, `Istio "mesh-2"`}, names(f.DiscoveredBy(l))); diff != "" {
		t.Fatalf("discovered by (-want +got):\n%s", diff)
	}
	if got := mesh.ExcuseFor(f.Meshes()[0], f.Meshes()[1], l, time.Time{}); got != mesh.NoExcuse {
		t.Errorf("excuse: %v", got)
	}
}

func TestFactTheRevisionLabelPlaysNoPartInDiscoveryNorDiscoveryInInjection(t *testing.T) {
	f := fleet(t,
		istio("mesh-1", discovering(label("istio-discovery", "mesh-1"))), istio("mesh-2", discovering(label("istio-discovery", "mesh-2"))))
	for _, rev := range []string{"", ",istio.io/rev=mesh-1", ",istio.io/rev=mesh-2", ",istio-injection=enabled", ",istio-injection=disabled"} {
		if diff := cmp.Diff([]string{`Istio "mesh-1"`}, names(f.DiscoveredBy(labels("istio-discovery=mesh-1"+rev)))); diff != "" {
			t.Errorf("with %q, discovered by (-want +got):\n%s", rev, diff)
		}
	}
	want := mesh.Injection{Label: mesh.RevisionLabel, Revision: "mesh-2", By: true}
	for _, discovery := range []string{"", ",istio-discovery=mesh-1", ",istio-discovery=mesh-2", ",mesh=mesh-1"} {
		if diff := cmp.Diff(want, mesh.InjectionOf(labels("istio.io/rev=mesh-2"+discovery))); diff != "" {
			t.Errorf("with %q, injected by (-want +got):\n%s", discovery, diff)
		}
	}
}

// Without a match it gets no root certificate, and mesh-wide configuration in it stops to count.
func TestFactAMeshDoesNotDiscoverItsControlPlaneNamespaceUnlessASelectorMatchesIt(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}"))
	if f.ControlPlaneOf("istio-system-1") != only(t, f) {
		t.Fatal("the control-plane namespace is not known")
	}
	if found := f.DiscoveredBy(labels("kubernetes.io/metadata.name=istio-system-1")); len(found) != 0 {
		t.Errorf("without the label it is discovered by %v", names(found))
	}
	if found := f.DiscoveredBy(labels("kubernetes.io/metadata.name=istio-system-1,istio-discovery=mesh-1")); len(found) != 1 {
		t.Errorf("with the label it is discovered by %v", names(found))
	}
}

func TestAMeshIsRemoteOnlyIfNoneOfItsRevisionsRunsAnIstiodHere(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{profile: remote}"), revision("old", "mesh-1", discovering(label("env", "dev"))))
	if m := only(t, f); m.Remote() || len(f.DiscoveredBy(labels("env=dev"))) != 1 || len(f.DiscoveredBy(labels("env=prod"))) != 0 {
		t.Errorf("remote: %v; the older revision's selectors do not count", m.Remote())
	}
}

func TestFactTheActiveRevisionIsTheNameInPlaceAndNameAndVersionWithDashesRevisionBased(t *testing.T) {
	for spec, want := range map[string]string{
		"{version: v1.30.0}":                                                 "mesh-1",
		"{version: v1.30.0, updateStrategy: null}":                           "mesh-1",
		"{version: v1.30.0, updateStrategy: {}}":                             "mesh-1",
		"{version: v1.30.0, updateStrategy: {type: null}}":                   "mesh-1",
		"{version: v1.30.0, updateStrategy: {type: InPlace}}":                "mesh-1",
		"{version: v1.30.0, updateStrategy: {type: RevisionBased}}":          "mesh-1-v1-30-0",
		"{version: v1.31-alpha.4c7f, updateStrategy: {type: RevisionBased}}": "mesh-1-v1-31-alpha-4c7f",
		"{version: v1.30-latest, updateStrategy: {type: RevisionBased}}":     "mesh-1-v1-30-latest",
		"{version: master, updateStrategy: {type: RevisionBased}}":           "mesh-1-master",
	} {
		m := only(t, fleet(t, istio("mesh-1", spec)))
		if m.ActiveRevision != want || !slices.Equal(m.Revisions, []string{want}) {
			t.Errorf("%s: active %q, all %q, want %q", spec, m.ActiveRevision, m.Revisions, want)
		}
	}
	// Only the version's dots are replaced: an Istio's own name may have some.
	dotted := istio("mesh.one", "{version: v1.30.0, updateStrategy: {type: RevisionBased}}")
	if m := only(t, fleet(t, dotted)); m.ActiveRevision != "mesh.one-v1-30-0" {
		t.Errorf("the dot in the Istio's name: %q", m.ActiveRevision)
	}
	// An IstioRevision's name is the revision's, whatever its spec says.
	alone := revision("own", "", "{version: v1.30.0, updateStrategy: {type: RevisionBased}}")
	if m := only(t, fleet(t, alone)); m.ActiveRevision != "own" || !slices.Equal(m.Revisions, []string{"own"}) {
		t.Errorf("IstioRevision: active %q, all %q", m.ActiveRevision, m.Revisions)
	}
}

func TestFactOlderRevisionsOfAnIstioLiveOnWithTheSelectorsThatTheyHad(t *testing.T) {
	f := fleet(t,
		revision("mesh-1-v1-29-0", "mesh-1", discovering(label("env", "old"))),
		revision("mesh-1-v1-28-0", "mesh-1", discovering(label("env", "oldest"))),
		revision("mesh-1-v1-30-0", "mesh-1", discovering(label("env", "new"))),
		istio("mesh-1", "{version: v1.30.0, updateStrategy: {type: RevisionBased}, values: {meshConfig: {discoverySelectors: [{matchLabels: {env: new}}]}}}"))
	m := only(t, f)
	for _, env := range []string{"new", "old", "oldest"} {
		if len(f.DiscoveredBy(labels("env="+env))) != 1 {
			t.Errorf("env=%s is not discovered", env)
		}
	}
	if len(f.DiscoveredBy(labels("env=other"))) != 0 {
		t.Error("env=other is discovered")
	}
	if diff := cmp.Diff([]string{"mesh-1-v1-28-0", "mesh-1-v1-29-0", "mesh-1-v1-30-0"}, m.Revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	var sources []string
	for _, s := range m.Sources {
		sources = append(sources, s.String())
	}
	want := []string{`Istio "mesh-1"`, `IstioRevision "mesh-1-v1-28-0"`, `IstioRevision "mesh-1-v1-29-0"`, `IstioRevision "mesh-1-v1-30-0"`}
	if diff := cmp.Diff(want, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	source, term := m.Discovers(labels("env=old"))
	if source.Name != "mesh-1-v1-29-0" || term.Selector.String() != "env=old" {
		t.Errorf("env=old is discovered through %v of %v", term, source)
	}
	for _, name := range m.Revisions {
		if r := f.Revision(name); r == nil || r.Tag || !slices.Equal(r.Meshes, []*mesh.Mesh{m}) {
			t.Errorf("revision %s: %+v", name, r)
		}
	}
}

func TestFactOnlyTheControllerOwnerReferenceMakesARevisionAnIstios(t *testing.T) {
	const form = "kind: IstioRevision\nmetadata: {name: old, ownerReferences: [%s]}\nspec: {}"
	for owner, want := range map[string][]string{
		"{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1, controller: true}":         {`Istio "mesh-1"`},
		"{apiVersion: sailoperator.io/v1alpha1, kind: Istio, name: mesh-1, controller: true}":   {`Istio "mesh-1"`},
		"{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1}":                           {`Istio "mesh-1"`, `IstioRevision "old"`},
		"{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1, controller: false}":        {`Istio "mesh-1"`, `IstioRevision "old"`},
		"{apiVersion: sailoperator.io/v1, kind: ZTunnel, name: mesh-1, controller: true}":       {`Istio "mesh-1"`, `IstioRevision "old"`},
		"{apiVersion: install.istio.io/v1alpha1, kind: Istio, name: mesh-1, controller: true}":  {`Istio "mesh-1"`, `IstioRevision "old"`},
		"{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-2, uid: u, controller: true}": {`Istio "mesh-1"`, `IstioRevision "old"`},
	} {
		f := fleet(t, istio("mesh-1", "{}"), fmt.Sprintf(form, owner))
		if diff := cmp.Diff(want, names(f.Meshes())); diff != "" {
			t.Errorf("%s: meshes (-want +got):\n%s", owner, diff)
		}
	}
}

func TestFactARevisionThatNoIstioOwnsIsAMeshOfItsOwn(t *testing.T) {
	f := fleet(t, revision("own", "", "{namespace: istio-system-9, values: {meshConfig: {discoverySelectors: [{matchLabels: {env: dev}}]}}}"))
	m := only(t, f)
	if m.String() != `IstioRevision "own"` || m.ControlPlane != "istio-system-9" || f.Revision("own").Meshes[0] != m {
		t.Errorf("%v in %q", m.Ref, m.ControlPlane)
	}
	if len(f.DiscoveredBy(labels("env=dev"))) != 1 || len(f.DiscoveredBy(labels("env=prod"))) != 0 {
		t.Error("its own selectors do not decide what it discovers")
	}
}

// Until the garbage collector removes it, its istiod runs.
func TestFactARevisionWhoseOwnerIsGoneStillDiscoversAndInjects(t *testing.T) {
	f := fleet(t, istio("mesh-2", discovering(label("env", "prod"))), revision("mesh-1", "mesh-1", discovering(label("env", "dev"))))
	if diff := cmp.Diff([]string{`IstioRevision "mesh-1"`}, names(f.DiscoveredBy(labels("env=dev")))); diff != "" {
		t.Errorf("discovered by (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`IstioRevision "mesh-1"`}, names(f.Revision("mesh-1").Meshes)); diff != "" {
		t.Errorf("injected by (-want +got):\n%s", diff)
	}
}

// They run in one namespace and share the Secret of their authority, as they did when their Istio was there.
func TestFactTheRevisionsThatOneIstioHasLeftBehindAreOneMesh(t *testing.T) {
	const older, newer = "{version: v1.29.6, namespace: istio-system-1}", "{version: v1.30.3, namespace: istio-system-1}"
	for name, test := range map[string]struct {
		objects, want []string
	}{
		"until the garbage collector comes":     {[]string{revision("a", "mesh-1", older), revision("b", "mesh-1", newer)}, []string{`IstioRevision "b"`}},
		"while it removes their owners":         {[]string{revision("mesh-1-v1-29-6", "", older), revision("mesh-1-v1-30-3", "mesh-1", newer)}, []string{`IstioRevision "mesh-1-v1-30-3"`}},
		"for good, by name and version":         {[]string{revision("mesh-1-v1-29-6", "", older), revision("mesh-1-v1-30-3", "", newer)}, []string{`IstioRevision "mesh-1-v1-30-3"`}},
		"for good, by the alias of the version": {[]string{revision("mesh-1-v1-29-latest", "", older), revision("mesh-1-v1-30-3", "", newer)}, []string{`IstioRevision "mesh-1-v1-30-3"`}},
		"until the Istio is made again": {
			[]string{istio("mesh-1", "{version: v1.30.3, namespace: istio-system-1, updateStrategy: {type: RevisionBased}}"), revision("mesh-1-v1-29-6", "", older), revision("mesh-1-v1-30-3", "", newer)},
			[]string{`Istio "mesh-1"`},
		},
		"not those of two Istios": {
			[]string{revision("mesh-1-v1-29-6", "", older), revision("mesh-2-v1-30-3", "", newer)}, []string{`IstioRevision "mesh-1-v1-29-6"`, `IstioRevision "mesh-2-v1-30-3"`},
		},
		"not those of two namespaces": {
			[]string{revision("mesh-1-v1-29-6", "", "{version: v1.29.6, namespace: other}"), revision("mesh-1-v1-30-3", "", newer)},
			[]string{`IstioRevision "mesh-1-v1-29-6"`, `IstioRevision "mesh-1-v1-30-3"`},
		},
		"not an Istio's of another namespace": {
			[]string{istio("mesh-1", "{version: v1.30.3, namespace: other, updateStrategy: {type: RevisionBased}}"), revision("mesh-1-v1-29-6", "", older)},
			[]string{`Istio "mesh-1"`, `IstioRevision "mesh-1-v1-29-6"`},
		},
		"not those whose names are not of a version": {
			[]string{revision("a", "", older), revision("b", "", newer), revision("c", "", "{namespace: istio-system-1}"), revision("d-", "", "{namespace: istio-system-1}")},
			[]string{`IstioRevision "a"`, `IstioRevision "b"`, `IstioRevision "c"`, `IstioRevision "d-"`},
		},
	} {
		if diff := cmp.Diff(test.want, names(fleet(t, test.objects...).Meshes())); diff != "" {
			t.Errorf("%s: meshes (-want +got):\n%s", name, diff)
		}
	}
}

func TestFactATagsNameIsARevisionOfWhatItPointsAt(t *testing.T) {
	meshes := []string{
		istio("mesh-1", "{version: v1.30.0, updateStrategy: {type: RevisionBased}}"),
		revision("mesh-1-v1-29-0", "mesh-1", "{}"), istio("mesh-2", "{}"), revision("own", "", "{}"),
	}
	for name, test := range map[string]struct {
		tag  string
		want []string
	}{
		"an Istio": {tag("prod", "Istio", "mesh-1"), []string{`Istio "mesh-1"`}},
		"an Istio's active revision, not stored yet": {tag("prod", "IstioRevision", "mesh-1-v1-30-0"), []string{`Istio "mesh-1"`}},
		"an Istio's older revision":                  {tag("prod", "IstioRevision", "mesh-1-v1-29-0"), []string{`Istio "mesh-1"`}},
		"an IstioRevision that no Istio owns":        {tag("prod", "IstioRevision", "own"), []string{`IstioRevision "own"`}},
		"an Istio that is missing":                   {tag("prod", "Istio", "mesh-3"), nil},
		"an IstioRevision that is missing":           {tag("prod", "IstioRevision", "mesh-3"), nil},
		"an IstioRevision by the name of an Istio":   {tag("prod", "IstioRevision", "mesh-1"), nil},
		"an Istio by the name of an IstioRevision":   {tag("prod", "Istio", "own"), nil},
		"itself":                                        {tag("prod", "IstioRevision", "prod"), nil},
		"another tag, which is no IstioRevision":        {tag("prod", "IstioRevision", "tag") + "\n---\n" + tag("tag", "Istio", "mesh-2"), nil},
		"another tag, which was read before it":         {tag("tag", "Istio", "mesh-2") + "\n---\n" + tag("prod", "IstioRevision", "tag"), nil},
		"nothing, because its target could not be read": {"kind: IstioRevisionTag\nmetadata: {name: prod}\nspec: {targetRef: mesh-1}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, append(slices.Clone(meshes), test.tag)...)
			r := f.Revision("prod")
			if r == nil || !r.Tag || r.Name != "prod" {
				t.Fatalf("istio.io/rev=prod names %+v", r)
			}
			if diff := cmp.Diff(test.want, names(r.Meshes)); diff != "" {
				t.Errorf("it belongs to (-want +got):\n%s", diff)
			}
			if !slices.Contains(f.RevisionNames(), "prod") {
				t.Errorf("it is not among %v", f.RevisionNames())
			}
		})
	}
}

// The operator refuses to reconcile such a tag.
func TestFactATagWithTheNameOfARevisionChangesNothing(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{}"), istio("mesh-2", "{}"), tag("mesh-1", "Istio", "mesh-2"))
	r := f.Revision("mesh-1")
	if diff := cmp.Diff([]string{`Istio "mesh-1"`}, names(r.Meshes)); diff != "" || r.Tag {
		t.Errorf("a tag: %v, (-want +got):\n%s", r.Tag, diff)
	}
}

func TestFactTheNameDefaultIsWhatInjectionEnabledUses(t *testing.T) {
	for name, test := range map[string]struct {
		objects []string
		want    []string
	}{
		"an Istio, in place": {[]string{istio("default", "{}")}, []string{`Istio "default"`}},
		"an Istio, revision-based, is not called default": {
			[]string{istio("default", "{version: v1.30.0, updateStrategy: {type: RevisionBased}}")}, nil,
		},
		"an IstioRevision": {[]string{revision("default", "", "{}")}, []string{`IstioRevision "default"`}},
		"an Istio's IstioRevision": {
			[]string{istio("mesh-1", "{}"), revision("default", "mesh-1", "{}")}, []string{`Istio "mesh-1"`},
		},
		"a tag of an Istio":         {[]string{istio("mesh-1", "{}"), tag("default", "Istio", "mesh-1")}, []string{`Istio "mesh-1"`}},
		"a tag of an IstioRevision": {[]string{revision("own", "", "{}"), tag("default", "IstioRevision", "own")}, []string{`IstioRevision "own"`}},
		"nothing of that name":      {[]string{istio("mesh-1", "{}")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, test.objects...)
			injection := mesh.InjectionOf(labels("istio-injection=enabled"))
			var got []string
			if r := f.Revision(injection.Revision); injection.By && r != nil {
				got = names(r.Meshes)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("istio-injection=enabled injects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFactWhichRevisionInjects(t *testing.T) {
	const absent = "absent"
	none := mesh.Injection{Label: mesh.InjectionLabel}
	byDefault := mesh.Injection{Label: mesh.InjectionLabel, Revision: "default", By: true}
	byRevision := func(name string) mesh.Injection {
		return mesh.Injection{Label: mesh.RevisionLabel, Revision: name, By: true}
	}
	// Rows are values of istio-injection, columns of istio.io/rev.
	revisions := []string{absent, "", "default", "mesh-1"}
	for injection, row := range map[string][]mesh.Injection{
		absent:     {{}, byRevision(""), byRevision("default"), byRevision("mesh-1")},
		"enabled":  {byDefault, byDefault, byDefault, byDefault},
		"disabled": {none, none, none, none},
		"":         {none, none, none, none},
		"Enabled":  {none, none, none, none},
		"true":     {none, none, none, none},
		"mesh-1":   {none, none, none, none},
	} {
		for column, rev := range revisions {
			l := map[string]string{"env": "dev", "istio.io/dataplane-mode": "ambient"}
			if injection != absent {
				l[mesh.InjectionLabel] = injection
			}
			if rev != absent {
				l[mesh.RevisionLabel] = rev
			}
			if diff := cmp.Diff(row[column], mesh.InjectionOf(l)); diff != "" {
				t.Errorf("istio-injection %q, istio.io/rev %q (-want +got):\n%s", injection, rev, diff)
			}
		}
	}
	if diff := cmp.Diff(mesh.Injection{}, mesh.InjectionOf(nil)); diff != "" {
		t.Errorf("no labels (-want +got):\n%s", diff)
	}
}

func TestFactTheTrustBundleIsIstioCARootCertUnlessOneOfTwoPlacesRenamesIt(t *testing.T) {
	for values, want := range map[string]string{
		"{}": "istio-ca-root-cert",
		"{global: {trustBundleName: ''}, pilot: {env: {PILOT_CA_CERT_CONFIGMAP: ''}}}":               "istio-ca-root-cert",
		"{global: {trustBundleName: null}, pilot: {env: null}}":                                      "istio-ca-root-cert",
		"{global: {trustBundleName: gateway-ca}}":                                                    "gateway-ca",
		"{pilot: {env: {PILOT_CA_CERT_CONFIGMAP: other-ca}}}":                                        "other-ca",
		"{pilot: {env: {OTHER: other-ca, pilot_ca_cert_configmap: x}}}":                              "istio-ca-root-cert",
		"{global: {trustBundleName: gateway-ca}, pilot: {env: {PILOT_CA_CERT_CONFIGMAP: other-ca}}}": "gateway-ca",
	} {
		m := only(t, fleet(t, istio("mesh-1", "{values: "+values+"}")))
		if got := m.Sources[0].TrustBundle; got != want {
			t.Errorf("%s: %q, want %q", values, got, want)
		}
	}
}

func TestFactTheControlPlaneNamespaceIsIstioSystemUnlessTheSpecNamesAnother(t *testing.T) {
	for spec, want := range map[string]string{
		"null": "istio-system", "{}": "istio-system", "{namespace: ''}": "istio-system", "{namespace: null}": "istio-system",
		"{namespace: istio-system-1}": "istio-system-1",
	} {
		for _, object := range []string{istio("mesh-1", spec), revision("mesh-1", "", spec)} {
			f := fleet(t, object)
			if m := only(t, f); m.ControlPlane != want || f.ControlPlaneOf(want) != m {
				t.Errorf("%s: %q, want %q", object, m.ControlPlane, want)
			}
		}
	}
}

// They would share a leader lock, and one of them would stop writing its root certificate.
func TestFactTwoMeshesCanNameOneControlPlaneNamespace(t *testing.T) {
	f := fleet(t, istio("mesh-2", "{}"), istio("mesh-1", "{namespace: istio-system}"), istio("mesh-3", "{namespace: istio-system-3}"))
	if got := f.ControlPlaneOf("istio-system"); got != f.Mesh(mesh.Ref{Kind: "Istio", Name: "mesh-1"}) || got.ControlPlane != f.Named("mesh-2").ControlPlane {
		t.Errorf("istio-system is the control-plane namespace of %v", got)
	}
	if got := f.ControlPlaneOf("shop"); got != nil {
		t.Errorf("shop is the control-plane namespace of %v", got)
	}
}

// The label is on every stored namespace, so a selector may name namespaces by it.
func TestFactASelectorMayNameNamespacesByTheirNameLabel(t *testing.T) {
	if mesh.NameLabel != selector.NameLabel {
		t.Fatalf("%q and %q", mesh.NameLabel, selector.NameLabel)
	}
	f := fleet(t, istio("mesh-1", discovering("{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop, bank]}]}")))
	if len(f.DiscoveredBy(labels("kubernetes.io/metadata.name=shop"))) != 1 || len(f.DiscoveredBy(labels("kubernetes.io/metadata.name=blog"))) != 0 {
		t.Error("the name does not decide")
	}
}
