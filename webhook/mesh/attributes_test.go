package mesh_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Profiles of ambient mode: manifests/helm-profiles/{ambient,openshift-ambient}.yaml in istio/istio. istiod reads the
// variable with strconv.ParseBool, and takes its default, false, for what is no boolean: pkg/env/var.go there.
func TestAMeshIsAmbientByProfileOrByTheEnvironmentOfItsIstiod(t *testing.T) {
	const env = "spec.values.pilot.env[PILOT_ENABLE_AMBIENT]"
	for spec, want := range map[string]string{
		"{}":                           "",
		"{profile: openshift}":         "",
		"{profile: ambient}":           "spec.profile",
		"{profile: openshift-ambient}": "spec.profile",
		"{values: {profile: ambient}}": "spec.values.profile",
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "true"}}}}`:  env,
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "TRUE"}}}}`:  env,
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "1"}}}}`:     env,
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "false"}}}}`: "",
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "yes"}}}}`:   "",
		`{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: ""}}}}`:      "",
		// The profile is only the default of the variable, and that of the values comes before that of the operator.
		`{profile: ambient, values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "false"}}}}`: "",
		`{profile: ambient, values: {pilot: {env: {PILOT_ENABLE_AMBIENT: ""}}}}`:      "",
		`{profile: ambient, values: {pilot: {env: {PILOT_ENABLE_AMBIENT: "true"}}}}`:  env,
		`{profile: ambient, values: {profile: remote}}`:                               "",
		`{profile: remote, values: {profile: ambient}}`:                               "spec.values.profile",
	} {
		if got := only(t, fleet(t, istio("mesh-1", spec))).AmbientBy; got != want {
			t.Errorf("%s: ambient by %q, want %q", spec, got, want)
		}
	}
}

func TestAMeshKeepsItsVersionAndWhichOfItsObjectsInjectByDefault(t *testing.T) {
	const byDefault = "{version: v1.30.3, values: {sidecarInjectorWebhook: {enableNamespacesByDefault: true}}}"
	m := only(t, fleet(t, istio("mesh-1", byDefault)))
	if m.Version != "v1.30.3" || !m.Sources[0].InjectsByDefault {
		t.Errorf("version %q, injects by default %v", m.Version, m.Sources[0].InjectsByDefault)
	}
	if m := only(t, fleet(t, istio("mesh-1", "{}"))); m.Sources[0].InjectsByDefault {
		t.Error("a mesh that does not say so injects by default")
	}
	m = only(t, fleet(t, istio("mesh-1", "{}")+"\n---\n"+revision("mesh-1", "mesh-1", byDefault)))
	if m.Sources[0].InjectsByDefault || !m.Sources[1].InjectsByDefault {
		t.Error("the IstioRevision that injects by default is not told from its Istio")
	}
}

func TestTheMeshThatInjectsIsTheOneOfTheChosenRevisionOrTag(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{}"), istio("mesh-2", "{}"), tag("stable", "Istio", "mesh-2"), tag("lost", "Istio", "gone"))
	for text, want := range map[string][]string{
		"":                        nil,
		"istio.io/rev=mesh-1":     {`Istio "mesh-1"`},
		"istio.io/rev=stable":     {`Istio "mesh-2"`},
		"istio.io/rev=lost":       nil,
		"istio.io/rev=nobody":     nil,
		"istio-injection=enabled": nil, // nothing is called default
		"istio-injection=disabled istio.io/rev=mesh-1": nil,
	} {
		if diff := cmp.Diff(want, names(f.Injecting(labels(text)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestATagIsKnownByItsNameAlsoWhereARevisionHidesIt(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{}"), tag("mesh-1", "Istio", "mesh-1"))
	if f.Revision("mesh-1").Tag || !f.HasTag("mesh-1") || f.HasTag("mesh-2") {
		t.Error("the tag is not told from the revision")
	}
}

func TestObjectsAreReplacedAndTakenAwayInCopies(t *testing.T) {
	all := objects(t, istio("mesh-1", "{}")+"\n---\n"+revision("r", "", "{}")+"\n---\n"+tag("stable", "Istio", "mesh-1"))
	istioRef, revisionRef := mesh.Ref{Kind: sail.KindIstio, Name: "mesh-1"}, mesh.Ref{Kind: sail.KindIstioRevision, Name: "r"}
	if got := all.Without(istioRef); len(got.Istios) != 0 || len(got.Revisions) != 1 {
		t.Errorf("without the Istio there are %d Istios and %d IstioRevisions", len(got.Istios), len(got.Revisions))
	}
	if got := all.Without(revisionRef); len(got.Istios) != 1 || len(got.Revisions) != 0 {
		t.Errorf("without the IstioRevision there are %d Istios and %d IstioRevisions", len(got.Istios), len(got.Revisions))
	}
	other := &sail.Tag{Metadata: sail.Meta{Name: "stable"}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: sail.KindIstio, Name: "mesh-2"}}}
	if got := all.WithTag(other); len(got.Tags) != 1 || got.Tags[0] != other {
		t.Errorf("the tag was not replaced: %v", got.Tags)
	}
	if got := all.WithoutTag("stable"); len(got.Tags) != 0 {
		t.Errorf("the tag is still there: %v", got.Tags)
	}
	if len(all.Istios) != 1 || len(all.Revisions) != 1 || len(all.Tags) != 1 || all.Tags[0] == other {
		t.Error("the receiver was written")
	}
}
