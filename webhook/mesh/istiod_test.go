package mesh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// The tests in this file pin what Istio's charts make of values; test/foreign compares the same with the charts themselves.

// reading is what an object's list of selectors comes to, and because of which field.
type reading struct {
	Listing mesh.Listing
	By      string
}

// readings checks specs that all have one selector, for env=dev, unless they say otherwise: %s in a spec stands for it.
func readings(t *testing.T, tests map[string]reading) {
	t.Helper()
	for spec, want := range tests {
		f := fleet(t, istio("mesh-1", fmt.Sprintf(spec, "meshConfig: {discoverySelectors: [{matchLabels: {env: dev}}]}")))
		m := only(t, f)
		if diff := cmp.Diff(want, reading{m.Sources[0].Listing, m.Sources[0].By}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spec, diff)
		}
		if all := discoversAll(f); all != slices.Contains([]mesh.Listing{mesh.Unread, mesh.Invalid, mesh.Unset}, want.Listing) {
			t.Errorf("%s: discovers everything: %v", spec, all)
		}
		if none := discoversNone(f); none != (want.Listing == mesh.Remote) || m.Remote() != none {
			t.Errorf("%s: discovers nothing: %v, remote: %v", spec, none, m.Remote())
		}
	}
}

// The operator's profile sets that of the charts, and what stands in the values replaces it: a profile of the charts that does
// not exist installs nothing new, and may not count as one that runs no istiod.
func TestFactTheProfileRemoteRunsNoIstiodUnlessTheValuesSayAnotherProfile(t *testing.T) {
	readings(t, map[string]reading{
		"{profile: remote, values: {%s}}":                               {mesh.Remote, "spec.profile"},
		"{values: {profile: remote, %s}}":                               {mesh.Remote, "spec.values.profile"},
		"{profile: remote, values: {profile: remote, %s}}":              {mesh.Remote, "spec.values.profile"},
		"{profile: ambient, values: {profile: remote, %s}}":             {mesh.Remote, "spec.values.profile"},
		"{profile: remote, values: {profile: ambient, %s}}":             {mesh.Selective, ""},
		"{profile: remote, values: {profile: '', %s}}":                  {mesh.Selective, ""},
		"{profile: remote, values: {profile: null, %s}}":                {mesh.Remote, "spec.profile"},
		"{profile: Remote, values: {%s}}":                               {mesh.Selective, ""},
		"{profile: remote2, values: {%s}}":                              {mesh.Selective, ""},
		"{profile: remote, values: {%s, global: {trustBundleName: 5}}}": {mesh.Invalid, ""},
	})
}

func TestFactIstiodRemoteSaysWhetherAnIstiodRunsHereAndPilotWins(t *testing.T) {
	readings(t, map[string]reading{
		"{values: {istiodRemote: {enabled: true}, %s}}":                                                                    {mesh.Remote, "spec.values.istiodRemote.enabled"},
		"{values: {pilot: {istiodRemote: {enabled: true}}, %s}}":                                                           {mesh.Remote, "spec.values.pilot.istiodRemote.enabled"},
		"{values: {istiodRemote: {enabled: false}, pilot: {istiodRemote: {enabled: true}}, %s}}":                           {mesh.Remote, "spec.values.pilot.istiodRemote.enabled"},
		"{values: {istiodRemote: {enabled: true}, pilot: {istiodRemote: {enabled: false}}, %s}}":                           {mesh.Selective, ""},
		"{profile: remote, values: {istiodRemote: {enabled: false}, %s}}":                                                  {mesh.Unread, "spec.profile"},
		"{profile: remote, values: {istiodRemote: {enabled: false}, pilot: {configMap: true}, %s}}":                        {mesh.Selective, ""},
		"{values: {istiodRemote: {enabled: null}, %s}}":                                                                    {mesh.Selective, ""},
		"{values: {istiodRemote: {enabled: true, enabledLocalInjectorIstiod: true}, %s}}":                                  {mesh.Selective, ""},
		"{values: {istiodRemote: {enabled: true, enabledLocalInjectorIstiod: false}, %s}}":                                 {mesh.Remote, "spec.values.istiodRemote.enabled"},
		"{values: {istiodRemote: {enabled: true}, pilot: {istiodRemote: {enabledLocalInjectorIstiod: true}}, %s}}":         {mesh.Selective, ""},
		"{values: {istiodRemote: {enabledLocalInjectorIstiod: true}, %s}}":                                                 {mesh.Selective, ""},
		"{profile: remote, values: {istiodRemote: {enabledLocalInjectorIstiod: true}, %s}}":                                {mesh.Unread, "spec.profile"},
		"{values: {profile: remote, istiodRemote: {enabledLocalInjectorIstiod: true}, %s}}":                                {mesh.Unread, "spec.values.profile"},
		"{values: {profile: remote, istiodRemote: {enabledLocalInjectorIstiod: true}, pilot: {configMap: true}, %s}}":      {mesh.Selective, ""},
		"{values: {profile: remote, istiodRemote: {enabledLocalInjectorIstiod: true}, pilot: {configMap: true}, x: [%s]}}": {mesh.Unset, ""},
	})
}

func TestFactAResourceScopeWithoutNamespacedResourcesRunsNoIstiod(t *testing.T) {
	const by = "spec.values.global.resourceScope"
	readings(t, map[string]reading{
		"{values: {global: {resourceScope: all}, %s}}":                                {mesh.Selective, ""},
		"{values: {global: {resourceScope: namespace}, %s}}":                          {mesh.Selective, ""},
		"{values: {global: {resourceScope: ''}, %s}}":                                 {mesh.Selective, ""},
		"{values: {global: {resourceScope: cluster}, %s}}":                            {mesh.Remote, by},
		"{values: {global: {resourceScope: undefined}, %s}}":                          {mesh.Remote, by},
		"{values: {global: {resourceScope: cluster}, pilot: {configMap: false}, %s}}": {mesh.Remote, by},
		"{profile: remote, values: {global: {resourceScope: cluster}, %s}}":           {mesh.Remote, by},
	})
}

// istiod reads the variable with strconv.ParseBool (pkg/env/var.go in istio/istio).
func TestFactAnIstiodOfAnotherClusterDiscoversNothingHere(t *testing.T) {
	const env, value = "spec.values.pilot.env[EXTERNAL_ISTIOD]", "spec.values.global.externalIstiod"
	readings(t, map[string]reading{
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "true"}}, %s}}`:                                                       {mesh.Remote, env},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "T"}}, %s}}`:                                                          {mesh.Remote, env},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "1"}}, %s}}`:                                                          {mesh.Remote, env},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "yes"}}, %s}}`:                                                        {mesh.Selective, ""},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "tRUE"}}, %s}}`:                                                       {mesh.Selective, ""},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "false"}}, %s}}`:                                                      {mesh.Selective, ""},
		`{values: {global: {externalIstiod: true}, %s}}`:                                                                {mesh.Remote, value},
		`{values: {global: {externalIstiod: true}, pilot: {env: {EXTERNAL_ISTIOD: ""}}, %s}}`:                           {mesh.Remote, value},
		`{values: {global: {externalIstiod: true}, pilot: {env: {EXTERNAL_ISTIOD: "false"}}, %s}}`:                      {mesh.Selective, ""},
		`{values: {global: {externalIstiod: false}, pilot: {env: {EXTERNAL_ISTIOD: "true"}}, %s}}`:                      {mesh.Remote, env},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "true"}, configMap: false}, %s}}`:                                     {mesh.Remote, env},
		`{values: {pilot: {env: {EXTERNAL_ISTIOD: "true"}, envVarFrom: [{name: EXTERNAL_ISTIOD, valueFrom: {}}]}, %s}}`: {mesh.Selective, ""},
	})
}

// Observed with a real istiod: it discovers everything, whatever the selectors say.
func TestFactAnIstiodWithoutItsMeshConfigurationDiscoversEverything(t *testing.T) {
	const by, env = "spec.values.pilot.configMap", "spec.values.pilot.env[REVISION]"
	readings(t, map[string]reading{
		"{values: {pilot: {configMap: false}, %s}}":                                                                     {mesh.Unread, by},
		"{values: {pilot: {configMap: true}, %s}}":                                                                      {mesh.Selective, ""},
		"{values: {pilot: {configMap: null}, %s}}":                                                                      {mesh.Selective, ""},
		"{values: {pilot: {configMap: false}, x: [%s]}}":                                                                {mesh.Unread, by},
		"{values: {pilot: {env: {REVISION: mesh-2}}, %s}}":                                                              {mesh.Unread, env},
		"{values: {pilot: {env: {REVISION: default}}, %s}}":                                                             {mesh.Unread, env},
		"{values: {pilot: {env: {REVISION: ''}}, %s}}":                                                                  {mesh.Unread, env},
		"{values: {pilot: {env: {REVISION: mesh-1}}, %s}}":                                                              {mesh.Selective, ""},
		"{values: {pilot: {envVarFrom: [{name: REVISION, valueFrom: {}}]}, %s}}":                                        {mesh.Unread, env},
		"{values: {pilot: {configMap: false}, meshConfig: {discoverySelectors: [{matchLabels: {'a b': c}}]}, x: [%s]}}": {mesh.Unread, by},
	})
	for spec, want := range map[string]mesh.Listing{
		"{values: {pilot: {env: {REVISION: default}}}}": mesh.Unset, "{values: {pilot: {env: {REVISION: ''}}}}": mesh.Unset, "{values: {pilot: {env: {REVISION: x}}}}": mesh.Unread,
	} {
		if got := only(t, fleet(t, istio("default", spec))).Sources[0].Listing; got != want {
			t.Errorf("default with %s: listing %v, want %v", spec, got, want)
		}
	}
	versioned := istio("mesh-1", "{version: v1.30.3, updateStrategy: {type: RevisionBased}, values: {pilot: {env: {REVISION: mesh-1-v1-30-3}}}}")
	if got := only(t, fleet(t, versioned)).Sources[0].Listing; got != mesh.Unset {
		t.Errorf("its own revision: listing %v", got)
	}
}

// SHARED_MESH_CONFIG can bring selectors only to an Istio that has none, and from a ConfigMap that is not read here: that one counts
// as discovering everything all the same.
func TestFactASharedMeshConfigurationTakesNoSelectorsAway(t *testing.T) {
	const shared = "pilot: {env: {SHARED_MESH_CONFIG: other}}"
	readings(t, map[string]reading{
		"{values: {" + shared + ", %s}}":        {mesh.Selective, ""},
		"{values: {" + shared + "}, x: [{%s}]}": {mesh.Unset, ""},
	})
}

func TestFactPodsMountTheBundleOfTheValuesAndNotThatOfIstiodsEnvironment(t *testing.T) {
	type names struct{ Written, Mounted, Revoked string }
	for values, want := range map[string]names{
		"{}":                             {"istio-ca-root-cert", "istio-ca-root-cert", "istio-ca-crl"},
		"{global: {trustBundleName: a}}": {"a", "a", "istio-ca-crl"},
		"{pilot: {env: {PILOT_CA_CERT_CONFIGMAP: a}}}":                               {"a", "istio-ca-root-cert", "istio-ca-crl"},
		"{global: {trustBundleName: b}, pilot: {env: {PILOT_CA_CERT_CONFIGMAP: a}}}": {"b", "b", "istio-ca-crl"},
		"{pilot: {crlConfigMapName: c}}":                                             {"istio-ca-root-cert", "istio-ca-root-cert", "c"},
		"{pilot: {env: {PILOT_CRL_CONFIGMAP: d}}}":                                   {"istio-ca-root-cert", "istio-ca-root-cert", "d"},
		"{pilot: {crlConfigMapName: c, env: {PILOT_CRL_CONFIGMAP: d}}}":              {"istio-ca-root-cert", "istio-ca-root-cert", "c"},
		"{pilot: {envVarFrom: [{name: PILOT_CA_CERT_CONFIGMAP, value: e}]}}":         {"e", "istio-ca-root-cert", "istio-ca-crl"},
	} {
		s := only(t, fleet(t, istio("mesh-1", "{values: "+values+"}"))).Sources[0]
		if diff := cmp.Diff(want, names{s.TrustBundle, s.MountedBundle, s.RevocationList}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", values, diff)
		}
	}
}

func TestFactTheClusterTrustBundleIsSwitchedOnByIstiodsEnvironment(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "1": true, "false": false, "": false, "on": false} {
		spec := fmt.Sprintf("{values: {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: %q}}}}", value)
		if got := only(t, fleet(t, istio("mesh-1", spec))).Sources[0].ClusterTrustBundle; got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestFactTheWebhookForUnlabelledNamespacesIsOneOfTheInjectionWebhooks(t *testing.T) {
	const on = "sidecarInjectorWebhook: {enableNamespacesByDefault: true}"
	for values, want := range map[string]bool{
		"{" + on + "}": true,
		"{" + on + ", global: {resourceScope: all}}":                   true,
		"{" + on + ", global: {resourceScope: cluster}}":               true,
		"{" + on + ", global: {resourceScope: namespace}}":             false,
		"{" + on + ", global: {operatorManageWebhooks: true}}":         false,
		"{sidecarInjectorWebhook: {enableNamespacesByDefault: false}}": false,
	} {
		if got := only(t, fleet(t, istio("mesh-1", "{values: "+values+"}"))).Sources[0].InjectsByDefault; got != want {
			t.Errorf("%s: %v", values, got)
		}
	}
}

func TestFactTheRevisionCalledDefaultMayInjectWhatChoosesNone(t *testing.T) {
	const on, off = "{values: {sidecarInjectorWebhook: {enableNamespacesByDefault: true}}}", "{}"
	versioned := "{version: v1.30.0, updateStrategy: {type: RevisionBased}, values: {sidecarInjectorWebhook: {enableNamespacesByDefault: true}}}"
	for name, test := range map[string]struct {
		objects []string
		want    []string
	}{
		"an Istio of that name":                     {[]string{istio("default", on)}, []string{`Istio "default"`}},
		"an Istio of that name, switched off":       {[]string{istio("default", off)}, nil},
		"an Istio of another name":                  {[]string{istio("mesh-1", on)}, nil},
		"an Istio whose revision has another name":  {[]string{istio("default", versioned)}, nil},
		"an IstioRevision that no Istio owns":       {[]string{revision("default", "", on)}, []string{`IstioRevision "default"`}},
		"a tag of that name":                        {[]string{istio("mesh-1", on), tag("default", "Istio", "mesh-1")}, []string{`Istio "mesh-1"`}},
		"a tag of another name":                     {[]string{istio("mesh-1", on), tag("stable", "Istio", "mesh-1")}, nil},
		"a tag of that name, of another mesh":       {[]string{istio("mesh-1", on), istio("mesh-2", off), tag("default", "Istio", "mesh-2")}, nil},
		"a tag without a target":                    {[]string{istio("mesh-1", on), tag("default", "Istio", "gone")}, nil},
		"a tag of an older revision that has it":    {[]string{istio("mesh-1", off), revision("old", "mesh-1", on), tag("default", "IstioRevision", "old")}, []string{`Istio "mesh-1"`}},
		"a tag of an older revision without it":     {[]string{istio("mesh-1", on), revision("old", "mesh-1", off), tag("default", "IstioRevision", "old")}, nil},
		"a remote Istio":                            {[]string{istio("default", strings.Replace(on, "{values", "{profile: remote, values", 1))}, []string{`Istio "default"`}},
		"a tag of a remote Istio, which is refused": {[]string{istio("mesh-1", strings.Replace(on, "{values", "{profile: remote, values", 1)), tag("default", "Istio", "mesh-1")}, nil},
		// The operator is about to copy the Istio's values.
		"an Istio that has switched it on just now":  {[]string{istio("default", on), revision("default", "default", off)}, []string{`Istio "default"`}},
		"an Istio that has switched it off just now": {[]string{istio("default", off), revision("default", "default", on)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, test.objects...)
			// As the namespaceSelector of the webhook auto.sidecar-injector.istio.io: neither label, and none of four names.
			for labelled, injected := range map[string]bool{
				"": true, "env=dev": true, "istio-discovery=mesh-9": true, "istio.io/dataplane-mode=ambient": true, "kubernetes.io/metadata.name=shop": true,
				"kubernetes.io/metadata.name=kube-system": false, "kubernetes.io/metadata.name=local-path-storage": false,
				"istio-injection=disabled": false, "istio-injection=": false, "istio.io/rev=nobody": false, "istio.io/rev=": false,
			} {
				var want []string
				if injected {
					want = test.want
				}
				l := labels(labelled)
				if diff := cmp.Diff(want, names(f.Injecting(l))); diff != "" {
					t.Errorf("%q: injected by (-want +got):\n%s", labelled, diff)
				}
				if got := f.InjectionOf(l); got.ByDefault() != (len(want) > 0) {
					t.Errorf("%q: by default: %+v", labelled, got)
				}
			}
		})
	}
}

func TestFactARemoteRevisionInjects(t *testing.T) {
	f := fleet(t, istio("mesh-1", "{profile: remote}"))
	if got := f.Injecting(labels("istio.io/rev=mesh-1")); !slices.Equal(got, f.Meshes()) {
		t.Errorf("injected by %v", names(got))
	}
}

// The operator refuses a tag on a revision whose values have the profile remote; those of other istiods elsewhere it installs.
func TestFactATagOfARemoteRevisionInjectsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		objects []string
		want    []string
	}{
		"an Istio of the profile remote":               {[]string{istio("mesh-1", "{profile: remote}"), tag("prod", "Istio", "mesh-1")}, nil},
		"its IstioRevision":                            {[]string{istio("mesh-1", "{profile: remote}"), tag("prod", "IstioRevision", "mesh-1")}, nil},
		"an Istio of the profile remote in its values": {[]string{istio("mesh-1", "{values: {profile: remote}}"), tag("prod", "Istio", "mesh-1")}, nil},
		"an IstioRevision of the profile remote":       {[]string{revision("r", "", "{values: {profile: remote}}"), tag("prod", "IstioRevision", "r")}, nil},
		"an Istio that is remote by another field":     {[]string{istio("mesh-1", "{values: {istiodRemote: {enabled: true}}}"), tag("prod", "Istio", "mesh-1")}, []string{`Istio "mesh-1"`}},
		"an Istio whose values have another profile":   {[]string{istio("mesh-1", "{profile: remote, values: {profile: stable}}"), tag("prod", "Istio", "mesh-1")}, []string{`Istio "mesh-1"`}},
		"an older revision here of an Istio that is now remote": {
			[]string{istio("mesh-1", "{profile: remote}"), revision("old", "mesh-1", "{}"), tag("prod", "IstioRevision", "old")}, []string{`Istio "mesh-1"`},
		},
		"the Istio whose older revision is here": {
			[]string{istio("mesh-1", "{profile: remote}"), revision("old", "mesh-1", "{}"), tag("prod", "Istio", "mesh-1")}, nil,
		},
		"an Istio that is here now, whose IstioRevision the operator has not brought up to date yet": {
			[]string{istio("mesh-1", "{}"), revision("mesh-1", "mesh-1", "{values: {profile: remote}}"), tag("prod", "Istio", "mesh-1")}, []string{`Istio "mesh-1"`},
		},
		"an Istio of the profile remote now, whose IstioRevision is not yet": {
			[]string{istio("mesh-1", "{profile: remote}"), revision("mesh-1", "mesh-1", "{}"), tag("prod", "Istio", "mesh-1")}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, test.objects...)
			if diff := cmp.Diff(test.want, names(f.Injecting(labels("istio.io/rev=prod")))); diff != "" {
				t.Errorf("injected by (-want +got):\n%s", diff)
			}
			if r := f.Revision("prod"); r == nil || !r.Tag || len(r.Meshes) != 1 {
				t.Errorf("the tag belongs to no mesh: %+v", r)
			}
		})
	}
}

func TestFactNamespacesOfTheSystemAreNeverInjected(t *testing.T) {
	f := fleet(t, istio("default", "{}"))
	for namespace, want := range map[string]bool{
		"kube-system": false, "kube-public": false, "kube-node-lease": false, "local-path-storage": false,
		"default": true, "kube-flannel": true, "istio-system": true, "": true,
	} {
		for _, choice := range []string{"istio.io/rev=default", "istio-injection=enabled"} {
			l := labels(choice + ",kubernetes.io/metadata.name=" + namespace)
			if got := len(f.Injecting(l)) > 0; got != want || mesh.InjectionOf(l).By != want {
				t.Errorf("%s with %s: injected: %v", namespace, choice, got)
			}
		}
		if mesh.NeverInjected(namespace) == want {
			t.Errorf("%s: never injected: %v", namespace, !want)
		}
	}
}

// created gives an object its time and uid.
func created(object, at, uid string) string {
	return object + fmt.Sprintf("\nmetadata: {name: prod, creationTimestamp: '2026-08-01T%s:00Z', uid: %s}", at, uid)
}

func TestFactOfATagAndARevisionOfOneNameTheOlderWins(t *testing.T) {
	const rev, prod, other = "kind: IstioRevision\nspec: {}", "kind: Istio\nspec: {}", "kind: IstioRevisionTag\nspec: {targetRef: {kind: Istio, name: mesh-1}}"
	for name, test := range map[string]struct {
		objects []string
		tag     bool
	}{
		"an older revision": {[]string{created(rev, "10:00", "a"), created(other, "11:00", "b")}, false},
		"an older tag":      {[]string{created(rev, "11:00", "a"), created(other, "10:00", "b")}, true},
		"one second, and the revision's uid is first": {[]string{created(rev, "10:00", "a"), created(other, "10:00", "b")}, false},
		"one second, and the tag's uid is first":      {[]string{created(rev, "10:00", "b"), created(other, "10:00", "a")}, true},
		"an older Istio without its revision":         {[]string{created(prod, "10:00", "a"), created(other, "11:00", "b")}, false},
		"a younger Istio without its revision":        {[]string{created(prod, "11:00", "a"), created(other, "10:00", "b")}, true},
		"an Istio of one second":                      {[]string{created(prod, "10:00", "b"), created(other, "10:00", "a")}, false},
		"an older Istio whose revision is younger":    {[]string{created(prod, "09:00", "a"), created(rev, "11:00", "a"), created(other, "10:00", "b")}, true},
		"times that are unknown":                      {[]string{revision("prod", "", "{}"), tag("prod", "Istio", "mesh-1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleet(t, append(test.objects, istio("mesh-1", "{}"))...)
			want := "prod"
			if test.tag {
				want = "mesh-1"
			}
			r, injecting := f.Revision("prod"), f.Injecting(labels("istio.io/rev=prod"))
			if r.Tag != test.tag || len(injecting) == 0 || injecting[0].Name != want || !slices.Equal(r.Meshes, injecting) {
				t.Errorf("tag: %v, injected by %v, want %s", r.Tag, names(injecting), want)
			}
			if !f.HasTag("prod") || len(f.Target(mesh.Tag{}.Target)) > 0 {
				t.Error("the tag is lost, or nothing is a target")
			}
		})
	}
	// What a tag hides can still be pointed at.
	f := fleet(t, created(rev, "11:00", "a"), created(other, "10:00", "b"), tag("second", "IstioRevision", "prod"), istio("mesh-1", "{}"))
	if got := names(f.Injecting(labels("istio.io/rev=second"))); !slices.Equal(got, []string{`IstioRevision "prod"`}) {
		t.Errorf("a tag of the hidden revision: %v", got)
	}
}
