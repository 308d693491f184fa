package audit_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit"
)

func TestAClusterThatIsRightHasNoFindings(t *testing.T) {
	if found := short(checker().State(guide(t)).Findings); len(found) > 0 {
		t.Error(found)
	}
}

func TestAClusterIsJudgedAsItStands(t *testing.T) {
	cluster := guide(t)
	cluster.Put(object(t, istio("mesh-3", "mesh-1")))
	cluster.Put(object(t, namespace("app-2", "istio-discovery: mesh-2, istio.io/rev: mesh-1")))
	cluster.Put(object(t, namespace("kube-system", "istio-discovery: mesh-2, istio.io/rev: mesh-1")))
	want := []string{
		"MF103 Istio mesh-1", "MF103 Istio mesh-3",
		"MF201 Namespace app-1", "MF202 Namespace app-2", "MF201 Namespace istio-system-mesh-1",
	}
	if diff := cmp.Diff(want, short(checker().State(cluster).Findings)); diff != "" {
		t.Error(diff)
	}
}

// What is not among the files is not known: it neither breaks a rule nor keeps one.
func TestFilesAloneAreNotJudgedByWhatIsMissing(t *testing.T) {
	for _, test := range []struct {
		name           string
		files          []string
		findings, gaps []string
	}{
		{
			"a namespace whose mesh is not among them",
			[]string{namespace("app-1", "istio-discovery: mesh-1, istio.io/rev: mesh-1")},
			[]string{},
			[]string{
				`Namespace "app-1" [MF202 MF212] needs the mesh that its discovery label names`,
				`Namespace "app-1" [MF203] needs the mesh, or the tag, whose revision it names`,
			},
		},
		{
			"a mesh without its control-plane namespace",
			[]string{istio("mesh-1", "mesh-1")},
			[]string{},
			[]string{`Istio "mesh-1" [MF104] needs its control-plane namespace "istio-system-mesh-1"`},
		},
		{
			"a namespace that wants injection and no default",
			[]string{istio("mesh-1", "mesh-1"), plane("mesh-1"), namespace("app-1", "istio-discovery: mesh-1, istio-injection: enabled")},
			[]string{},
			[]string{`Namespace "app-1" [MF206] needs the mesh or tag that is called default`},
		},
		{
			"a mesh map with an unknown mesh",
			[]string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: mesh-map}, data: {mesh-1: mesh-1}}"},
			[]string{},
			[]string{`ConfigMap "mesh-map" in namespace "meshfence-system" [MF403] needs the mesh and the revision of its entries`},
		},
		{
			"what is wrong whatever else exists",
			[]string{istio("mesh-1", "x"), istio("mesh-2", "x"), namespace("istio-system-mesh-1", "istio-discovery: x"), namespace("istio-system-mesh-2", "istio-discovery: x")},
			[]string{"MF103 Istio mesh-1", "MF103 Istio mesh-2", "MF201 Namespace istio-system-mesh-1", "MF201 Namespace istio-system-mesh-2"},
			[]string{},
		},
		{
			"an exempt namespace",
			[]string{namespace("kube-system", "istio-discovery: mesh-1, istio.io/rev: mesh-1")},
			[]string{},
			[]string{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := checker().Files(inventory(t, test.files...))
			if diff := cmp.Diff(test.findings, short(result.Findings)); diff != "" {
				t.Errorf("findings: %s", diff)
			}
			if diff := cmp.Diff(test.gaps, gaps(result.NotJudged)); diff != "" {
				t.Errorf("not judged: %s", diff)
			}
		})
	}
}

func TestWhatIsJudged(t *testing.T) {
	for _, test := range []struct {
		apiVersion, kind, namespace, name string
		want                              bool
	}{
		{"sailoperator.io/v1", "Istio", "", "x", true},
		{"sailoperator.io/v1alpha1", "IstioRevision", "", "x", true},
		{"sailoperator.io/v1", "IstioRevisionTag", "", "x", true},
		{"sailoperator.io/v1", "IstioCNI", "", "x", false},
		{"v1", "Namespace", "", "x", true},
		{"v1", "ConfigMap", "meshfence-system", "mesh-map", true},
		{"v1", "ConfigMap", "", "mesh-map", true},
		{"v1", "ConfigMap", "other", "mesh-map", false},
		{"v1", "ConfigMap", "meshfence-system", "other", false},
		{"example.com/v1", "Namespace", "", "x", false},
		{"example.com/v1", "Istio", "", "x", false},
		{"sailoperator.io", "Istio", "", "x", false},
	} {
		if got := scope.Concerns(test.apiVersion, test.kind, test.namespace, test.name); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	for _, test := range []struct{ kind, raw string }{
		{"Istio", `{"spec": {"values": {"meshConfig": {"discoverySelectors": "all"}}}}`},
		{"Istio", `[]`},
		{"IstioRevisionTag", `{"spec": {"targetRef": 7}}`},
		{"Namespace", `{"metadata": {"name": "x", "labels": {"a": 1}}}`},
		{"Namespace", `null`},
		{"ConfigMap", `{"data": []}`},
		{"Pod", `{}`},
	} {
		if _, err := scope.Decode(test.kind, "", "x", []byte(test.raw)); err == nil {
			t.Errorf("%s %s: no error", test.kind, test.raw)
		}
	}
}

func TestAFingerprintIsOfTheObjectAndTheSubjectsAlone(t *testing.T) {
	cluster := inventory(t, istio("mesh-1", "x"), istio("mesh-2", "x"), namespace("istio-system-mesh-1", "istio-discovery: x"), namespace("istio-system-mesh-2", "istio-discovery: x"))
	found := checker().State(cluster).Findings
	a, b := found[0], found[0]
	b.Detail, b.Field = "other words", "elsewhere"
	b.Subjects = append([]string{}, a.Subjects...)
	if audit.Fingerprint(a) != audit.Fingerprint(b) {
		t.Error("another wording is another finding")
	}
	seen := map[string]bool{}
	for _, o := range found {
		seen[audit.Fingerprint(o)] = true
	}
	if len(seen) != len(found) {
		t.Errorf("%d findings have %d fingerprints", len(found), len(seen))
	}
	// Baselines are kept for years: this value may not change.
	if got, want := audit.Fingerprint(a), "5d40c8bfc3f45fc821c09f3ff23de2730f1bdd3f85f1f782b51a24c32108c672"; got != want {
		t.Errorf("fingerprint of %s %s %v: %s, want %s", a.Rule.Code, a.Name, a.Subjects, got, want)
	}
}

// What may not be listed is not known: a rule that misses it is not judged, and the others are.
func TestWhatMayNotBeListedIsNotAbsent(t *testing.T) {
	cluster := inventory(t, namespace("app-1", "istio-discovery: mesh-1, istio.io/rev: mesh-1"))
	cluster.Miss("Istio", "istios.sailoperator.io could not be read")
	result := checker().State(cluster)
	if diff := cmp.Diff([]string{}, short(result.Findings)); diff != "" {
		t.Errorf("findings: %s", diff)
	}
	want := []string{
		`Namespace "app-1" [MF202 MF212] needs the mesh that its discovery label names (istios.sailoperator.io could not be read)`,
		`Namespace "app-1" [MF203] needs the mesh, or the tag, whose revision it names (istios.sailoperator.io could not be read)`,
	}
	if diff := cmp.Diff(want, gaps(result.NotJudged)); diff != "" {
		t.Errorf("not judged: %s", diff)
	}
	if found := short(checker().State(inventory(t, namespace("app-1", "istio-discovery: mesh-1, istio.io/rev: mesh-1"))).Findings); !slices.Contains(found, "MF203 Namespace app-1") {
		t.Errorf("with all meshes known: %v", found)
	}
	other := inventory(t, istio("mesh-1", "mesh-1"), istio("mesh-2", "mesh-1"))
	other.Miss("Namespace", "namespaces could not be read")
	if found := short(checker().State(other).Findings); !slices.Contains(found, "MF103 Istio mesh-1") {
		t.Errorf("without namespaces: %v", found)
	}
}
