package mesh_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// crowd is a fleet with something of everything, also with what should not be: names claimed twice, missing targets,
// owners that are gone, fields that cannot be read.
func crowd() string {
	return strings.Join([]string{
		istio("mesh-1", "{version: v1.30.0, updateStrategy: {type: RevisionBased}, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}"),
		istio("mesh-2", discovering(label("istio-discovery", "mesh-2"), "{matchExpressions: [{key: env, operator: NotIn, values: [dev]}, {key: team, operator: Exists}]}")),
		istio("mesh", discovering(label("mesh", "mesh"))),
		istio("mesh.2", "{namespace: istio-system-2}"),
		declaring("mesh-3", "{meshfence.io/allow-overlap: mesh-1, meshfence.io/allow-overlap-until: '2026-08-01T12:00:00Z'}"),
		istio("remote", "{profile: remote, namespace: istio-system-2}"),
		istio("broken", "{values: 5}"),
		istio("invalid", discovering(label("env", "'a b'"))),
		istio("default", discovering(label("team", "a"))),
		revision("mesh-1-v1-29-0", "mesh-1", discovering(label("env", "dev"))),
		revision("mesh-1-v1-28-0", "mesh-1", discovering(label("env", "test"))),
		revision("mesh-1-v1-30-0", "mesh-1", discovering(label("istio-discovery", "mesh-1"))),
		revision("mesh-2", "mesh-2", discovering(label("istio-discovery", "mesh-2"))),
		revision("mesh-1", "", discovering(label("env", "old"))),
		revision("mesh-3", "", discovering(label("env", "prod"))),
		revision("orphan", "gone", "{values: {global: {trustBundleName: other}}}"),
		revision("default", "", "{}"),
		tag("prod", "Istio", "mesh-1"), tag("stable", "IstioRevision", "mesh-1-v1-29-0"), tag("chained", "IstioRevision", "prod"),
		tag("missing", "Istio", "nobody"), tag("mesh-2", "Istio", "mesh-1"), tag("default", "Istio", "mesh-1"),
	}, "\n---\n")
}

// describe is everything that a fleet answers, as text.
func describe(f *mesh.Fleet) string {
	var text strings.Builder
	say := func(format string, values ...any) { fmt.Fprintf(&text, format+"\n", values...) }
	for _, m := range f.Meshes() {
		say("%v: %+v", m.Ref, *m)
		say("remote: %v, has mesh-1-v1-29-0: %v", m.Remote(), m.Has("mesh-1-v1-29-0"))
		for _, other := range f.Meshes() {
			say("with %v: %v", other.Ref, overlaps(m, other))
		}
	}
	for _, name := range append(f.RevisionNames(), "nobody") {
		if r := f.Revision(name); r != nil {
			say("revision %s: a tag: %v, of %v", r.Name, r.Tag, names(r.Meshes))
		}
	}
	for _, l := range append(anyLabels(), labels("istio-discovery=mesh-2,team=a"), labels("mesh=mesh,env=test")) {
		say("%v: %v", l, names(f.DiscoveredBy(l)))
		for _, m := range f.DiscoveredBy(l) {
			source, term := m.Discovers(l)
			say("through %v %v; against the first: %v", source.Ref, *term, mesh.ExcuseFor(f.Meshes()[0], m, l, noon))
		}
	}
	for _, namespace := range []string{"istio-system", "istio-system-2", "shop"} {
		if m := f.ControlPlaneOf(namespace); m != nil {
			say("%s: %v", namespace, m.Ref)
		}
	}
	mapped, _ := f.Mapped("mesh-1")
	say("keys: %v, mapped: %v %v, named: %v", f.SelectorKeys(), mapped, f.MappedTo("prod"), f.Named("mesh-3").Ref)
	return text.String()
}

func TestMeshesAreInTheOrderOfNamesAndThenKinds(t *testing.T) {
	want := []string{
		`Istio "broken"`, `Istio "default"`, `Istio "invalid"`, `Istio "mesh"`, `Istio "mesh-1"`, `IstioRevision "mesh-1"`, `Istio "mesh-2"`,
		`Istio "mesh-3"`, `Istio "mesh.2"`, `IstioRevision "orphan"`, `Istio "remote"`,
	}
	f := fleet(t, crowd())
	if diff := cmp.Diff(want, names(f.Meshes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := f.Named("mesh-1"); got.Kind != sail.KindIstio {
		t.Errorf("of two meshes of one name, the %s comes first", got.Kind)
	}
	if f.Named("nobody") != nil || f.Mesh(mesh.Ref{Kind: "IstioRevision", Name: "mesh-3"}) != nil || f.Revision("nobody") != nil {
		t.Error("what does not exist is found")
	}
}

func TestARevisionNameThatTwoMeshesClaimBelongsToBoth(t *testing.T) {
	f := fleet(t, istio("a", "{version: v1.30.0, updateStrategy: {type: RevisionBased}}")+"\n---\n"+istio("a-v1-30-0", "{}"))
	if diff := cmp.Diff([]string{`Istio "a"`, `Istio "a-v1-30-0"`}, names(f.Revision("a-v1-30-0").Meshes)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The operator writes an Istio's values into the IstioRevision of its active revision's name, whether it owns it or not.
func TestAnIstioRevisionThatTheOperatorTakesOverIsPartOfTheIstio(t *testing.T) {
	const spec = "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {env: prod}}]}}}"
	const versioned = "{version: v1.30.0, updateStrategy: {type: RevisionBased}}"
	for name, test := range map[string]struct {
		objects []string
		want    map[string]string // the mesh that each object belongs to
	}{
		"of its name":                   {[]string{istio("a", spec), revision("a", "", spec)}, map[string]string{"a": `Istio "a"`}},
		"of its name, elsewhere":        {[]string{istio("a", spec), revision("a", "", "{}")}, map[string]string{"a": `Istio "a"`}},
		"of its version's name":         {[]string{istio("a", versioned), revision("a-v1-30-0", "", spec)}, map[string]string{"a-v1-30-0": `Istio "a"`}},
		"of its name, but of no use":    {[]string{istio("a", versioned), revision("a", "", spec)}, map[string]string{"a": `IstioRevision "a"`}},
		"of another name":               {[]string{istio("a", spec), revision("b", "", spec)}, map[string]string{"b": `IstioRevision "b"`}},
		"of an Istio that is gone":      {[]string{istio("a", spec), revision("a", "gone", spec)}, map[string]string{"a": `IstioRevision "a"`}},
		"its own":                       {[]string{istio("a", spec), revision("a", "a", spec)}, map[string]string{"a": `Istio "a"`}},
		"without an Istio":              {[]string{revision("a", "", spec)}, map[string]string{"a": `IstioRevision "a"`}},
		"of two, of which one takes it": {[]string{istio("a-v1-30-0", spec), istio("a", versioned), revision("a-v1-30-0", "", spec)}, map[string]string{"a-v1-30-0": `Istio "a"`}},
	} {
		f := fleet(t, strings.Join(test.objects, "\n---\n"))
		for object, want := range test.want {
			if m := f.MeshOf(mesh.Ref{Kind: sail.KindIstioRevision, Name: object}); m.String() != want {
				t.Errorf("%s: IstioRevision %q belongs to %s, want %s", name, object, m, want)
			}
		}
	}
	taken := fleet(t, istio("a", spec)+"\n---\n"+revision("a", "", "{namespace: other}")).Named("a").TakenOver
	if want := (mesh.TakenOver{Name: "a", ControlPlane: "other"}); taken != want {
		t.Errorf("%+v, want %+v", taken, want)
	}
	if taken := fleet(t, istio("a", spec)+"\n---\n"+revision("a", "a", spec)).Named("a").TakenOver; taken != (mesh.TakenOver{}) {
		t.Errorf("its own is taken over: %+v", taken)
	}
	if m := fleet(t, istio("a", spec)).MeshOf(mesh.Ref{Kind: sail.KindIstioRevision, Name: "a"}); m != nil {
		t.Errorf("what is not there belongs to %s", m)
	}
}

func TestAFleetOfTheSameObjectsInAnyOrderAnswersTheSame(t *testing.T) {
	all := objects(t, crowd())
	all.Map = map[string]string{"mesh-1": "prod", "mesh-2": "prod"}
	want := describe(mesh.NewFleet(all))
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		mixed := mesh.Objects{
			Istios: slices.Clone(all.Istios), Revisions: slices.Clone(all.Revisions), Tags: slices.Clone(all.Tags), Map: maps.Clone(all.Map),
		}
		r.Shuffle(len(mixed.Istios), func(i, j int) { mixed.Istios[i], mixed.Istios[j] = mixed.Istios[j], mixed.Istios[i] })
		r.Shuffle(len(mixed.Revisions), func(i, j int) { mixed.Revisions[i], mixed.Revisions[j] = mixed.Revisions[j], mixed.Revisions[i] })
		r.Shuffle(len(mixed.Tags), func(i, j int) { mixed.Tags[i], mixed.Tags[j] = mixed.Tags[j], mixed.Tags[i] })
		if diff := cmp.Diff(want, describe(mesh.NewFleet(mixed))); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// Under the race detector this also shows that a fleet may be asked by many at once.
func TestNeitherMakingAFleetNorAskingItWritesAnything(t *testing.T) {
	all, untouched := objects(t, crowd()), objects(t, crowd())
	all.Map, untouched.Map = map[string]string{"mesh-1": "prod"}, map[string]string{"mesh-1": "prod"}
	f := mesh.NewFleet(all)
	first := describe(f)
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			if describe(f) != first {
				t.Error("the answers change")
			}
		})
	}
	asking.Wait()
	sameText := cmp.Transformer("text", func(err error) string { return fmt.Sprint(err) })
	if diff := cmp.Diff(untouched, all, sameText); diff != "" {
		t.Errorf("the objects were written (-before +after):\n%s", diff)
	}
	l := labels("team=a,env=prod")
	f.DiscoveredBy(l)
	mesh.InjectionOf(l)
	if diff := cmp.Diff(labels("team=a,env=prod"), l); diff != "" {
		t.Errorf("the labels were written (-before +after):\n%s", diff)
	}
}

func TestAFleetDoesNotFollowChangesOfTheListsThatItWasMadeOf(t *testing.T) {
	all := objects(t, crowd())
	f := mesh.NewFleet(all)
	first := describe(f)
	for i := range all.Istios {
		all.Istios[i] = &sail.ControlPlane{}
	}
	clear(all.Revisions)
	clear(all.Tags)
	if diff := cmp.Diff(first, describe(f)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestWithPutsAnObjectInThePlaceOfTheOneOfItsKindAndName(t *testing.T) {
	all := objects(t, strings.Join([]string{istio("mesh-1", "{}"), istio("mesh-2", "{}"), revision("mesh-1", "", "{}"), tag("prod", "Istio", "mesh-1")}, "\n---\n"))
	all.Istios, all.Revisions = slices.Grow(all.Istios, 4), slices.Grow(all.Revisions, 4) // room that must not be used
	type list struct{ Istios, Revisions []string }
	listed := func(o mesh.Objects) list {
		var l list
		for _, cp := range o.Istios {
			l.Istios = append(l.Istios, cp.Metadata.Name+" in "+cp.Spec.Namespace)
		}
		for _, cp := range o.Revisions {
			l.Revisions = append(l.Revisions, cp.Metadata.Name+" in "+cp.Spec.Namespace)
		}
		return l
	}
	before := listed(all)
	for name, test := range map[string]struct {
		put  string
		want list
	}{
		"an Istio that is there":         {istio("mesh-1", "{namespace: new}"), list{[]string{"mesh-2 in ", "mesh-1 in new"}, []string{"mesh-1 in "}}},
		"an Istio that is not":           {istio("mesh-3", "{namespace: new}"), list{[]string{"mesh-1 in ", "mesh-2 in ", "mesh-3 in new"}, []string{"mesh-1 in "}}},
		"an IstioRevision that is there": {revision("mesh-1", "", "{namespace: new}"), list{[]string{"mesh-1 in ", "mesh-2 in "}, []string{"mesh-1 in new"}}},
		"an IstioRevision that is not":   {revision("mesh-2", "", "{namespace: new}"), list{[]string{"mesh-1 in ", "mesh-2 in "}, []string{"mesh-1 in ", "mesh-2 in new"}}},
	} {
		t.Run(name, func(t *testing.T) {
			put := objects(t, test.put)
			got := all.With(slices.Concat(put.Istios, put.Revisions)[0])
			if diff := cmp.Diff(test.want, listed(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Tags) != 1 {
				t.Errorf("tags: %d", len(got.Tags))
			}
			if diff := cmp.Diff(before, listed(all)); diff != "" {
				t.Errorf("the receiver was written (-before +after):\n%s", diff)
			}
			for _, spare := range [][]*sail.ControlPlane{all.Istios[len(all.Istios):cap(all.Istios)], all.Revisions[len(all.Revisions):cap(all.Revisions)]} {
				if slices.ContainsFunc(spare, func(cp *sail.ControlPlane) bool { return cp != nil }) {
					t.Error("the receiver's spare room was written")
				}
			}
		})
	}
	if diff := cmp.Diff([]string{"mesh-1 in new"}, listed(mesh.Objects{}.With(objects(t, istio("mesh-1", "{namespace: new}")).Istios[0])).Istios); diff != "" {
		t.Errorf("into nothing (-want +got):\n%s", diff)
	}
}

func TestSelectorKeysAreThoseOfEverySelectorOfEverySourceOnceSorted(t *testing.T) {
	f := fleet(t,
		istio("mesh-1", discovering(label("team", "a"), "{matchLabels: {env: dev}, matchExpressions: [{key: zone, operator: DoesNotExist}]}", "null")),
		revision("old", "mesh-1", discovering(label("legacy", "true-ish"))),
		revision("own", "", discovering(label("team", "b"))),
		istio("remote", "{profile: remote, values: {meshConfig: {discoverySelectors: [{matchLabels: {far: away}}]}}}"),
		istio("invalid", discovering(label("wrong", "'a b'"))),
		istio("all", "{}"))
	if diff := cmp.Diff([]string{"env", "legacy", "team", "zone"}, f.SelectorKeys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := mesh.NewFleet(mesh.Objects{}).SelectorKeys(); len(got) != 0 {
		t.Errorf("no meshes have the keys %v", got)
	}
}

func TestAnEmptyFleetAnswers(t *testing.T) {
	f := mesh.NewFleet(mesh.Objects{})
	if len(f.Meshes()) != 0 || len(f.RevisionNames()) != 0 || len(f.DiscoveredBy(labels("a=b"))) != 0 || f.ControlPlaneOf("istio-system") != nil {
		t.Errorf("%+v", f)
	}
}

func TestHasKnowsAMeshsRevisions(t *testing.T) {
	m := only(t, fleet(t, istio("mesh-1", "{}"), revision("b", "mesh-1", "{}"), revision("a", "mesh-1", "{}"), tag("prod", "Istio", "mesh-1")))
	for name, want := range map[string]bool{"a": true, "b": true, "mesh-1": true, "prod": false, "": false, "c": false} {
		if m.Has(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
