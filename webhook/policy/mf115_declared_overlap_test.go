package policy_test

import (
	"fmt"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF115WhenAMeshIsCreated(t *testing.T) {
	other := []string{mesh1ByDiscovery}
	const overlapping = "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)"
	runMeshCases(t, []meshCase{
		{
			name:   "if it declares the overlap, then that is told",
			others: other, create: overlapping + "; overlaps mesh-1",
			want: "warn MF115",
		},
		{
			name:   "if it declares it until later, then the end is told, and goes with the declaration",
			others: other, create: overlapping + "; overlaps mesh-1; until 2026-08-02T00:00:00Z",
			want: "warn MF115",
		},
		{
			name:   "if both declare it, then the declaration that ends last is told",
			others: []string{mesh1ByDiscovery + "; overlaps mesh-2; until 2026-09-01T00:00:00Z"},
			create: overlapping + "; overlaps mesh-1; until 2026-08-02T00:00:00Z",
			want:   "warn MF115",
		},
		{
			name:   "if the declaration names others besides, then they stay in it, but what is no name stays out of the command",
			others: other, create: overlapping + "; overlaps mesh-3, mesh-1,$(reboot),mesh-4",
			want: "warn MF115",
		},
		{
			name:   "if it declares an overlap that is not there, then there is nothing to tell",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; overlaps mesh-1,mesh-9",
			want: "allow",
		},
		{
			name:   "if the declaration has ended, then it is refused and told, with a later end",
			others: other, create: overlapping + "; overlaps mesh-1; until 2026-08-01T12:00:00Z",
			want: "deny MF103 warn MF115",
		},
		{
			name:   "if its trust bundle has its own name (global.trustBundleName), then that is told once for all meshes",
			others: []string{mesh1ByDiscovery, "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"},
			create: "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
			want:   "warn MF115",
		},
		{
			name:   "if the names for their lists of revoked certificates differ as well, then there is nothing to add",
			others: other, create: "Istio openshift-gateway; in openshift-ingress; with {global: {trustBundleName: own}, pilot: {crlConfigMapName: own-crl}}",
			want: "warn MF115",
		},
		{
			name:    "if its trust bundle has its own name (PILOT_CA_CERT_CONFIGMAP), then that is told as well",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Off}},
			others:  other, create: "Istio openshift-gateway; in openshift-ingress; env-bundle openshift-gw-ca-root-cert",
			want: "warn MF115",
		},
		{
			name:   "if a harmless overlap is declared too, then it is harmless whatever is declared",
			others: other, create: overlapping + "; bundle own; overlaps mesh-1; until 2020-01-01T00:00:00Z",
			want: "warn MF115",
		},
		{
			name:   "if a harmless overlap is declared and that is in force, then it is harmless all the same",
			others: other, create: overlapping + "; bundle own; overlaps mesh-1",
			want: "warn MF115",
		},
		{
			name: "if one overlap is declared and another harmless, then both are told",
			others: []string{
				mesh1ByDiscovery, "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
			},
			create: overlapping + "; overlaps mesh-1",
			want:   "warn MF115 warn MF115",
		},
		{
			name:   "if the overlap harms somebody and nobody has declared it, then that is another rule's to tell",
			others: []string{"Istio mesh-1; in istio-system-1"}, create: "Istio mesh-2; in istio-system-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF102": policy.Off, "MF103": policy.Off}},
			want:    "allow",
		},
		{
			name:   "if the other mesh runs elsewhere, then it overlaps with nothing",
			others: []string{"Istio mesh-1; in istio-system-1; profile remote"}, create: overlapping + "; overlaps mesh-1",
			want: "allow",
		},
		{
			name:   "if the other is what a deleted Istio left behind, then the declaration for that Istio counts",
			others: []string{"IstioRevision mesh-1-v1-30-3; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1"},
			create: overlapping + "; overlaps mesh-1",
			want:   "warn MF115",
		},
		{
			name:   "if the configuration makes it a denial, then no declaration helps",
			others: other, create: overlapping + "; overlaps mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Deny}},
			want:    "deny MF115",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: overlapping + "; overlaps mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF115WhenAMeshIsUpdated(t *testing.T) {
	other := []string{mesh1ByDiscovery}
	const overlapping = "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)"
	runMeshCases(t, []meshCase{
		{
			name:   "if the overlap goes on, then it is not told at each change",
			others: other, from: overlapping + "; overlaps mesh-1", to: overlapping + "; overlaps mesh-1; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if the selectors come apart, then there is nothing left to tell",
			others: other, from: overlapping + "; overlaps mesh-1", to: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; overlaps mesh-1",
			want: "allow",
		},
		{
			name:   "if the declaration had ended, then a later end puts it into force again",
			others: other, from: overlapping + "; overlaps mesh-1; until 2026-08-01T00:00:00Z",
			to:   overlapping + "; overlaps mesh-1; until 2026-08-08T12:00:00Z",
			want: "warn MF115",
		},
		{
			name:   "if the configuration makes it a denial, then an overlap that was there before is no reason to refuse",
			others: other, from: overlapping + "; overlaps mesh-1", to: overlapping + "; overlaps mesh-1; version v1.30.3",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Deny}},
			want:    "allow",
		},
		{
			name:   "if more than ten overlaps are harmless, then ten are named and the others counted",
			others: meshesApart(12), from: "Istio gw; in openshift-ingress; bundle gw", to: "Istio gw; in openshift-ingress; bundle gw; version v1.30.3",
			want: "allow",
		},
	})
}

// meshesApart are n meshes that keep apart from each other.
func meshesApart(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("Istio mesh-%02d; in istio-system-%d; selects istio-discovery=mesh-%02d", i+1, i+1, i+1))
	}
	return lines
}
