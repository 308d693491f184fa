package policy_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF102WhenAMeshIsCreated(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	two := slices.Concat(other, []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"})
	runMeshCases(t, []meshCase{
		{
			name:   "if it has no selectors while another mesh exists, then it is refused",
			others: other, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if its list of selectors is empty, then that means every namespace too",
			others: other, create: "Istio all; in istio-system-all; selects ",
			want: "deny MF102",
		},
		{
			name:   "if one of its selectors is {}, then that item is named",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery=all | {}",
			want: "deny MF102",
		},
		{
			name:   "if a selector asks only for the name that every namespace has, then it is as good as {}",
			others: other, create: "Istio all; in istio-system-all; selects kubernetes.io/metadata.name",
			want: "deny MF102",
		},
		{
			name:   "if several other meshes exist, then all are named",
			others: two, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if the other mesh discovers everything as well, then only this rule denies, not the one about overlaps",
			others: []string{"Istio mesh-1; in istio-system-1"}, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if the other mesh has an invalid selector, then that counts as everything, and they fight",
			others: []string{"Istio mesh-1; in istio-system-1; selects raw team in a"}, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if it is alone in the cluster, then it is a warning",
			create: "Istio all; in istio-system-all",
			want:   "warn MF102",
		},
		{
			name:   "if the other mesh's istiod runs elsewhere, then it is still alone",
			others: []string{"Istio mesh-1; in istio-system-1; profile remote"}, create: "Istio all; in istio-system-all",
			want: "warn MF102",
		},
		{
			name:   "if its own istiod runs elsewhere (profile), then it discovers nothing here",
			others: other, create: "Istio all; in istio-system-all; profile remote",
			want: "allow",
		},
		{
			name:   "if its own istiod runs elsewhere (values.profile), then it discovers nothing here",
			others: other, create: "Istio all; in istio-system-all; values-profile remote",
			want: "allow",
		},
		{
			name:   "if its istiod does not read the selectors (pilot.configMap), then it discovers everything, and they are kept",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery=all; with {pilot: {configMap: false}}",
			want: "deny MF102",
		},
		{
			name:   "if the selectors that it does not read would not do, then it gets another one",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery; with {pilot: {configMap: false}}",
			want: "deny MF102",
		},
		{
			name:   "if its selectors may be in a second mesh configuration, which is not read, then that is said",
			others: other, create: "Istio all; in istio-system-all; with {pilot: {env: {SHARED_MESH_CONFIG: other}}}", want: "deny MF102",
		},
		{
			name:   "if a second mesh configuration comes under selectors of its own, then these count",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery=all; with {pilot: {env: {SHARED_MESH_CONFIG: other}}}", want: "allow",
		},
		{
			name:   "if its istiod takes itself for another revision (REVISION), then likewise",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery=all; with {pilot: {env: {REVISION: other}}}",
			want: "deny MF102",
		},
		{
			name:   "if the remote profile runs a local injector, then that has no mesh configuration either",
			others: other,
			create: "Istio all; in istio-system-all; profile remote; selects istio-discovery=all; with {istiodRemote: {enabledLocalInjectorIstiod: true}}",
			want:   "deny MF102",
		},
		{
			name:   "if its istiod serves another cluster (EXTERNAL_ISTIOD), then it discovers nothing here",
			others: other, create: "Istio all; in istio-system-all; with {pilot: {env: {EXTERNAL_ISTIOD: 'true'}}}",
			want: "allow",
		},
		{
			name:   "if no istiod runs here (istiodRemote.enabled), then likewise",
			others: other, create: "Istio all; in istio-system-all; with {istiodRemote: {enabled: true}}",
			want: "allow",
		},
		{
			name:   "if only its cluster-wide resources are installed (resourceScope), then likewise",
			others: other, create: "Istio all; in istio-system-all; with {global: {resourceScope: cluster}}",
			want: "allow",
		},
		{
			name:   "if one of its selectors is null, which Istio reads as {}, then it discovers everything",
			others: other, create: "Istio all; in istio-system-all; selects istio-discovery=all | null",
			want: "deny MF102",
		},
		{
			name:   "if it declares the overlap, then it is admitted",
			others: other, create: "Istio all; in istio-system-all; overlaps mesh-1",
			want: "warn MF115",
		},
		{
			name:   "if the other mesh declares the overlap, then it is admitted",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; overlaps x, all"},
			create: "Istio all; in istio-system-all",
			want:   "warn MF115",
		},
		{
			name:   "if it declares the overlap with one of two meshes, then the other one is named",
			others: two, create: "Istio all; in istio-system-all; overlaps mesh-1",
			want: "deny MF102",
		},
		{
			name:   "if the declaration ends later, then it is admitted",
			others: other, create: "Istio all; in istio-system-all; overlaps mesh-1; until 2026-08-01T12:00:01Z",
			want: "warn MF115",
		},
		{
			name:   "if the declaration ends now, then it is refused",
			others: other, create: "Istio all; in istio-system-all; overlaps mesh-1; until 2026-08-01T12:00:00Z",
			want: "deny MF102 warn MF115",
		},
		{
			name:   "if nobody can read when the declaration ends, then it has ended",
			others: other, create: "Istio all; in istio-system-all; overlaps mesh-1; until tomorrow",
			want: "deny MF102 warn MF115",
		},
		{
			name:   "if its trust bundle has its own name (global.trustBundleName), as OpenShift's gateway-only Istio, then it harms nobody",
			others: two, create: "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
			want: "warn MF115",
		},
		{
			name:    "if its trust bundle has its own name (PILOT_CA_CERT_CONFIGMAP), then the overlap is harmless",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Off}},
			others:  two, create: "Istio openshift-gateway; in openshift-ingress; env-bundle openshift-gw-ca-root-cert",
			want: "warn MF115",
		},
		{
			name:   "if both trust bundles have the same unusual name, then that name is told",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; bundle root"},
			create: "Istio all; in istio-system-all; env-bundle root; bundle root",
			want:   "deny MF102",
		},
		{
			name:   "if the other meshes use another discovery label, then so does the remedy",
			others: []string{"Istio mesh-1; in istio-system-1; selects mesh=mesh-1"}, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if another mesh selects by the usual label whatever its value, then the remedy uses another label, and leaves that one out",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery"}, create: "Istio all; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if its name reads like a number, then the remedy quotes it",
			others: other, create: "Istio 1234; in istio-system-all",
			want: "deny MF102",
		},
		{
			name:   "if all rules only warn, then it is admitted with a warning",
			others: other, create: "Istio all; in istio-system-all", actions: policy.Actions{WarnOnly: true},
			want: "warn MF102",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: "Istio all; in istio-system-all",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF102": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF102WhenAMeshIsUpdated(t *testing.T) {
	other := []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}
	const selective, everything = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-1; in istio-system-1; selects {}"
	runMeshCases(t, []meshCase{
		{
			name:   "if its istiod is to read no selectors any more, then it is refused, and the setting is to be kept",
			others: []string{"Istio other; in istio-system-other; selects istio-discovery=other"},
			from:   "Istio all; in istio-system-all; selects istio-discovery=all", to: "Istio all; in istio-system-all; selects istio-discovery=all; with {pilot: {configMap: false}}",
			want: "deny MF102",
		},
		{
			name:   "if it begins to discover everything, then it is refused, with a command",
			others: other, from: selective, to: everything,
			want: "deny MF102",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then the command names that kind",
			others: other, from: "IstioRevision canary; in istio-system-1; selects team=a", to: "IstioRevision canary; in istio-system-1",
			want: "deny MF102",
		},
		{
			name:   "if it discovered everything before, then an unrelated change is admitted in silence",
			others: other, from: everything, to: everything + "; version v1.30.0",
			want: "allow",
		},
		{
			name:   "if it was invalid before, then {} is refused: a running istiod has kept its old selectors until now",
			others: other, from: "Istio mesh-1; in istio-system-1; selects raw team in a", to: everything,
			want: "deny MF102",
		},
		{
			name:   "if its declaration of the overlap is removed, then it is refused",
			others: other, from: everything + "; overlaps mesh-2", to: everything,
			want: "deny MF102",
		},
		{
			name:   "if its trust bundle gets the usual name, then it is refused",
			others: other, from: everything + "; bundle own", to: everything,
			want: "deny MF102",
		},
		{
			name:   "if it fights with one more mesh, then it is refused",
			others: append(other, "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3; bundle own"),
			from:   everything, to: everything + " | {}; bundle own",
			want: "deny MF102",
		},
		{
			name: "if it is alone in the cluster, then it is a warning",
			from: selective, to: everything,
			want: "warn MF102",
		},
		{
			name:   "if it is repaired, then it is admitted without a word",
			others: other, from: everything, to: selective,
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: other, from: selective, to: everything, deleting: true,
			want: "allow",
		},
	})
}
