package mesh_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// noon is 2026-08-01T12:00:00Z.
var noon = time.Unix(1785585600, 0)

// found is an Overlap without its pointers.
type found struct {
	Source, Path, OtherSource, OtherPath string
	Witness                              map[string]string
	Excuse                               mesh.Excuse
}

// pairsOf are the overlaps of two meshes at noon. If there are none, Overlaps must say so too.
func pairsOf(a, b *mesh.Mesh) []mesh.Overlap {
	comparison := mesh.Compare(a, noon)
	pairs := slices.Collect(comparison.With(b))
	if comparison.Overlaps(b) != (len(pairs) > 0) {
		panic(fmt.Sprintf("%v and %v: Overlaps is %v with %d pairs", a.Ref, b.Ref, comparison.Overlaps(b), len(pairs)))
	}
	return pairs
}

// overlaps lists the overlaps of two meshes at noon.
func overlaps(a, b *mesh.Mesh) []found {
	var all []found
	for _, o := range pairsOf(a, b) {
		all = append(all, found{o.Source.String(), o.Term.Path, o.OtherSource.String(), o.OtherTerm.Path, o.Witness(), o.Excuse})
	}
	return all
}

// pair returns the meshes called mesh-1 and mesh-2 of a fleet.
func pair(t *testing.T, documents ...string) (a, b *mesh.Mesh) {
	t.Helper()
	f := fleet(t, documents...)
	a, b = f.Named("mesh-1"), f.Named("mesh-2")
	if a == nil || b == nil {
		t.Fatalf("meshes: %v", names(f.Meshes()))
	}
	return a, b
}

// declaring is an Istio that discovers everything, with annotations in YAML's one-line form.
func declaring(name, annotations string) string {
	return fmt.Sprintf("kind: Istio\nmetadata: {name: %s, annotations: %s}\nspec: {}", name, annotations)
}

func path(i int) string { return fmt.Sprintf("spec.values.meshConfig.discoverySelectors[%d]", i) }

// nothing is a selector that contradicts itself.
const nothing = "{matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}"

func TestOverlapsAreEveryPairOfSelectorsThatSomeNamespaceCouldMatchInOrder(t *testing.T) {
	a, b := pair(t,
		istio("mesh-1", discovering(label("env", "dev"), label("team", "a"))),
		revision("mesh-1-old", "mesh-1", discovering(label("env", "old"))),
		istio("mesh-2", discovering(label("env", "prod"), "{matchExpressions: [{key: env, operator: NotIn, values: [old]}]}")),
		revision("mesh-2-old", "mesh-2", discovering(nothing, label("env", "old"))))
	const m1, m1old, m2, m2old = `Istio "mesh-1"`, `IstioRevision "mesh-1-old"`, `Istio "mesh-2"`, `IstioRevision "mesh-2-old"`
	want := []found{
		{m1, path(0), m2, path(1), labels("env=dev"), mesh.NoExcuse},
		{m1, path(1), m2, path(0), labels("team=a,env=prod"), mesh.NoExcuse},
		{m1, path(1), m2, path(1), labels("team=a"), mesh.NoExcuse},
		{m1, path(1), m2old, path(1), labels("team=a,env=old"), mesh.NoExcuse},
		{m1old, path(0), m2old, path(1), labels("env=old"), mesh.NoExcuse},
	}
	if diff := cmp.Diff(want, overlaps(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := len(overlaps(b, a)); got != len(want) {
		t.Errorf("the other way round there are %d", got)
	}
	for _, o := range pairsOf(a, b) {
		if !o.Region().Matches(o.Witness()) || o.Region().Matches(labels("unrelated=x")) {
			t.Errorf("the region of %v is %v", o.Witness(), o.Region())
		}
	}
}

func TestOverlapsOfEverything(t *testing.T) {
	const m1, m2 = `Istio "mesh-1"`, `Istio "mesh-2"`
	const list = "spec.values.meshConfig.discoverySelectors"
	for name, test := range map[string]struct {
		one, two string
		want     []found
	}{
		"if neither has selectors, then a namespace without labels shows it": {
			"{}", "{}", []found{{m1, list, m2, list, labels(""), mesh.NoExcuse}},
		},
		"if one has no selectors, then what the other asks for shows it": {
			"{}", discovering(label("env", "dev")), []found{{m1, list, m2, path(0), labels("env=dev"), mesh.NoExcuse}},
		},
		"if one has an invalid selector, then it overlaps with everything": {
			discovering(label("env", "dev"), label("env", "'a b'")), discovering(label("team", "a")),
			[]found{{m1, list, m2, path(0), labels("team=a"), mesh.NoExcuse}},
		},
		"if one contradicts itself, then nothing overlaps":               {discovering(nothing), "{}", nil},
		"if one has a null item, then it overlaps with everything":       {discovering("null"), discovering(label("a", "x")), []found{{m1, path(0), m2, path(0), labels("a=x"), mesh.NoExcuse}}},
		"if one is remote, then nothing overlaps":                        {"{profile: remote}", "{}", nil},
		"if the values of one label differ, then nothing overlaps":       {discovering(label("mesh", "a")), discovering(label("mesh", "b")), nil},
		"if the labels differ, then a namespace could carry both":        {discovering(label("a", "x")), discovering(label("b", "z")), []found{{m1, path(0), m2, path(0), labels("a=x,b=z"), mesh.NoExcuse}}},
		"if they ask for different names, then nothing overlaps":         {discovering(label("kubernetes.io/metadata.name", "a")), discovering(label("kubernetes.io/metadata.name", "b")), nil},
		"if one asks for a name that cannot be, then nothing overlaps":   {discovering(label("kubernetes.io/metadata.name", "A_b")), "{}", nil},
		"if one asks that there is no name label, then nothing overlaps": {discovering("{matchExpressions: [{key: kubernetes.io/metadata.name, operator: DoesNotExist}]}"), "{}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, istio("mesh-1", test.one), istio("mesh-2", test.two))
			if diff := cmp.Diff(test.want, overlaps(a, b)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOverlapIsExcusedIfEitherSideDeclaresItAndTheDeclarationHasNotExpired(t *testing.T) {
	const plain = "{}"
	until := func(moment string) string {
		return "{meshfence.io/allow-overlap: mesh-2, meshfence.io/allow-overlap-until: '" + moment + "'}"
	}
	for name, test := range map[string]struct {
		one, two string
		want     mesh.Excuse
	}{
		"if nobody declares it, then not":                          {plain, plain, mesh.NoExcuse},
		"if the first names the second, then yes":                  {"{meshfence.io/allow-overlap: mesh-2}", plain, mesh.Declared},
		"if the second names the first, then yes":                  {plain, "{meshfence.io/allow-overlap: mesh-1}", mesh.Declared},
		"if it names several, then yes":                            {"{meshfence.io/allow-overlap: 'mesh-3, mesh-2'}", plain, mesh.Declared},
		"if it names a third, then not":                            {"{meshfence.io/allow-overlap: mesh-3}", "{meshfence.io/allow-overlap: mesh-3}", mesh.NoExcuse},
		"if it names only itself, then not":                        {"{meshfence.io/allow-overlap: mesh-1}", plain, mesh.NoExcuse},
		"if it names nobody, then not":                             {"{meshfence.io/allow-overlap: ''}", plain, mesh.NoExcuse},
		"if a star is meant as everybody, then not":                {"{meshfence.io/allow-overlap: '*'}", plain, mesh.NoExcuse},
		"if it ends a second from now, then yes":                   {until("2026-08-01T12:00:01Z"), plain, mesh.Declared},
		"if it ends now, to the second, then not":                  {until("2026-08-01T12:00:00Z"), plain, mesh.NoExcuse},
		"if it ended a second ago, then not":                       {until("2026-08-01T11:59:59Z"), plain, mesh.NoExcuse},
		"if it ends later in this second, then not":                {until("2026-08-01T12:00:00.9Z"), plain, mesh.NoExcuse},
		"if it ends in an hour of another time zone, then yes":     {until("2026-08-01T15:00:00+02:00"), plain, mesh.Declared},
		"if it ended in another time zone, then not":               {until("2026-08-01T13:30:00+02:00"), plain, mesh.NoExcuse},
		"if nobody can read the end, then not":                     {until("tomorrow"), plain, mesh.NoExcuse},
		"if the end is empty, then not":                            {until(""), plain, mesh.NoExcuse},
		"if one has expired and the other has not, then yes":       {until("2026-08-01T11:00:00Z"), "{meshfence.io/allow-overlap: mesh-1}", mesh.Declared},
		"if both have expired, then not":                           {until("2026-08-01T11:00:00Z"), "{meshfence.io/allow-overlap: mesh-1, meshfence.io/allow-overlap-until: '2026-08-01T11:00:00Z'}", mesh.NoExcuse},
		"if only an end stands there and no declaration, then not": {"{meshfence.io/allow-overlap-until: '2999-01-01T00:00:00Z'}", plain, mesh.NoExcuse},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, declaring("mesh-1", test.one), declaring("mesh-2", test.two))
			for _, order := range [][2]*mesh.Mesh{{a, b}, {b, a}} {
				if got := pairsOf(order[0], order[1]); len(got) != 1 || got[0].Excuse != test.want {
					t.Errorf("overlaps: %+v, want the excuse %v", got, test.want)
				}
				if got := mesh.ExcuseFor(order[0], order[1], labels("env=dev"), noon); got != test.want {
					t.Errorf("excuse for a namespace: %v, want %v", got, test.want)
				}
			}
		})
	}
}

func TestMeshesOfDifferentTrustBundlesDoNotFight(t *testing.T) {
	a, b := pair(t, istio("mesh-1", "{}"), istio("mesh-2", "{values: {global: {trustBundleName: gateway-ca}}}"))
	if got := pairsOf(a, b); len(got) != 1 || got[0].Excuse != mesh.OtherTrustBundle {
		t.Errorf("overlaps: %+v", got)
	}
	if got := mesh.ExcuseFor(a, b, nil, noon); got != mesh.OtherTrustBundle {
		t.Errorf("excuse for a namespace: %v", got)
	}
	same, too := pair(t,
		istio("mesh-1", "{values: {pilot: {env: {PILOT_CA_CERT_CONFIGMAP: gateway-ca}}}}"), istio("mesh-2", "{values: {global: {trustBundleName: gateway-ca}}}"))
	if got := mesh.ExcuseFor(same, too, nil, noon); got != mesh.NoExcuse {
		t.Errorf("if both are renamed to one name: %v", got)
	}
}

func TestADeclarationIsToldBeforeADifferenceOfTrustBundles(t *testing.T) {
	a, b := pair(t, declaring("mesh-1", "{meshfence.io/allow-overlap: mesh-2}"), istio("mesh-2", "{values: {global: {trustBundleName: gateway-ca}}}"))
	if got := pairsOf(a, b); len(got) != 1 || got[0].Excuse != mesh.Declared {
		t.Errorf("overlaps: %+v", got)
	}
	if got := mesh.ExcuseFor(a, b, nil, noon); got != mesh.Declared {
		t.Errorf("excuse for a namespace: %v", got)
	}
}

// An older revision keeps the trust bundle name that it had, so the two can fight although the current ones do not.
func TestAnOlderRevisionFightsUnderItsOwnTrustBundleName(t *testing.T) {
	a, b := pair(t,
		istio("mesh-1", "{values: {global: {trustBundleName: gateway-ca}, meshConfig: {discoverySelectors: [{matchLabels: {env: dev}}]}}}"),
		revision("old", "mesh-1", discovering(label("team", "a"))),
		istio("mesh-2", "{}"))
	const list = "spec.values.meshConfig.discoverySelectors"
	want := []found{
		{`Istio "mesh-1"`, path(0), `Istio "mesh-2"`, list, labels("env=dev"), mesh.OtherTrustBundle},
		{`IstioRevision "old"`, path(0), `Istio "mesh-2"`, list, labels("team=a"), mesh.NoExcuse},
	}
	if diff := cmp.Diff(want, overlaps(a, b)); diff != "" {
		t.Errorf("overlaps (-want +got):\n%s", diff)
	}
	for text, want := range map[string]mesh.Excuse{
		"env=dev": mesh.OtherTrustBundle, "team=a": mesh.NoExcuse, "env=dev,team=a": mesh.NoExcuse,
	} {
		for _, order := range [][2]*mesh.Mesh{{a, b}, {b, a}} {
			if got := mesh.ExcuseFor(order[0], order[1], labels(text), noon); got != want {
				t.Errorf("excuse for a namespace with %s: %v, want %v", text, got, want)
			}
		}
	}
}

func TestAnIstioRevisionThatNoIstioOwnsIsDeclaredByItsName(t *testing.T) {
	a, b := pair(t, revision("mesh-1", "", "{}"), declaring("mesh-2", "{meshfence.io/allow-overlap: mesh-1}"))
	if got := mesh.ExcuseFor(a, b, nil, noon); got != mesh.Declared || a.Kind != sail.KindIstioRevision {
		t.Errorf("excuse between %v and %v: %v", a.Ref, b.Ref, got)
	}
}

func TestDeclaration(t *testing.T) {
	const plain = "{}"
	ends := func(other, until string) string {
		return fmt.Sprintf("{%s: %s, %s: %q}", mesh.AllowOverlapAnnotation, other, mesh.AllowOverlapUntilAnnotation, until)
	}
	allows := func(other string) string { return fmt.Sprintf("{%s: %s}", mesh.AllowOverlapAnnotation, other) }
	for name, test := range map[string]struct {
		first, second string
		by            string
		inForce       bool
	}{
		"if nobody declares it, then it is nobody's":               {plain, plain, "", false},
		"if somebody else is declared, then it is nobody's":        {allows("mesh-3"), allows("mesh-2"), "", false},
		"if the first declares it, then it is the first's":         {allows("mesh-2"), plain, "mesh-1", true},
		"if the second declares it, then it is the second's":       {plain, allows("mesh-1"), "mesh-2", true},
		"if it has ended, then it is not in force":                 {ends("mesh-2", "2026-08-01T12:00:00Z"), plain, "mesh-1", false},
		"if it ends in a second, then it is in force":              {plain, ends("mesh-1", "2026-08-01T12:00:01Z"), "mesh-2", true},
		"if nobody can read its end, then it is not in force":      {ends("mesh-2", "tomorrow"), plain, "mesh-1", false},
		"if only the first's has ended, then the second's counts":  {ends("mesh-2", "2020-01-01T00:00:00Z"), allows("mesh-1"), "mesh-2", true},
		"if only the second's has ended, then the first's counts":  {allows("mesh-2"), ends("mesh-1", "2020-01-01T00:00:00Z"), "mesh-1", true},
		"if both have ended, then the one that ended last counts":  {ends("mesh-2", "2020-01-01T00:00:00Z"), ends("mesh-1", "2021-01-01T00:00:00Z"), "mesh-2", false},
		"if both are in force, then the one that ends last counts": {ends("mesh-2", "2999-01-01T00:00:00Z"), allows("mesh-1"), "mesh-2", true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, declaring("mesh-1", test.first), declaring("mesh-2", test.second))
			for _, order := range [][2]*mesh.Mesh{{a, b}, {b, a}} {
				by, inForce := mesh.Declaration(order[0], order[1], noon)
				got := ""
				if by != nil {
					got = by.Name
				}
				if got != test.by || inForce != test.inForce {
					t.Errorf("Declaration(%s, %s) = %q, %v, want %q, %v", order[0].Name, order[1].Name, got, inForce, test.by, test.inForce)
				}
			}
		})
	}
}

// The Sail operator has no finalizer on an Istio, but one on an IstioRevision: a deleted Istio is gone at once, and its
// istiod runs on until the operator has uninstalled it.
func TestADeclarationStandsForTheIstioRevisionThatADeletedIstioLeavesBehind(t *testing.T) {
	kept := declaring("mesh-1", fmt.Sprintf("{%s: mesh-2}", mesh.AllowOverlapAnnotation))
	for name, test := range map[string]struct {
		left string
		want mesh.Excuse
	}{
		"if its owner was that Istio, then it is declared":   {revision("mesh-2-v1-30-3", "mesh-2", "{}"), mesh.Declared},
		"if its owner was another Istio, then it is not":     {revision("mesh-3-v1-30-3", "mesh-3", "{}"), mesh.NoExcuse},
		"if it never had an owner, then it is not":           {revision("mesh-2-v1-30-3", "", "{}"), mesh.NoExcuse},
		"if it never had an owner, then its own name counts": {revision("mesh-2", "", "{}"), mesh.Declared},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, kept, test.left)
			a, b := f.Meshes()[0], f.Meshes()[1]
			if got := mesh.ExcuseFor(a, b, labels("env=dev"), noon); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
	if m := only(t, fleet(t, istio("mesh-1", "{}"), revision("mesh-1", "mesh-1", "{}"))); m.Owner != "" {
		t.Errorf("an Istio that is there has the owner %q", m.Owner)
	}
}
