package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf115 = policy.Rule{Code: "MF115", Name: "DeclaredOverlap", Action: policy.Warn}

// declaredOverlap is what is told of an overlap that the Istio by declares for one other mesh; until is "" for no end.
func declaredOverlap(m, other, by, until string) policy.Finding {
	end, gone := "without an end", ""
	if until != "" {
		end, gone = "until "+until, " meshfence.io/allow-overlap-until-"
	}
	return policy.Finding{
		Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
		Detail: fmt.Sprintf(`the selectors of Istio %q and Istio %q overlap, which Istio %q declares (meshfence.io/allow-overlap) %s: both `+
			`istiods write the ConfigMap istio-ca-root-cert to the namespaces that both match, so they must have the same root certificate`,
			m, other, by, end),
		Remedy: fmt.Sprintf(`When one of them is deleted, or their selectors are apart: kubectl annotate istios.sailoperator.io %s `+
			`meshfence.io/allow-overlap-%s`, by, gone),
		Subjects: []string{"declared", fmt.Sprintf(`Istio %q`, other)},
	}
}

// keeping is the finding of a declaration that names other meshes besides.
func keeping(f policy.Finding, by, rest string) policy.Finding {
	f.Remedy = fmt.Sprintf(`When one of them is deleted, or their selectors are apart: kubectl annotate istios.sailoperator.io %s `+
		`meshfence.io/allow-overlap=%s --overwrite`, by, rest)
	return f
}

// endedOverlap is what is told of an overlap with mesh-1 whose declaration has ended.
func endedOverlap(m, ended, remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf115, Action: policy.Warn, Explains: true, Field: `metadata.annotations[meshfence.io/allow-overlap-until]`,
		Detail:   fmt.Sprintf(`the selectors of Istio %q and Istio "mesh-1" overlap, and %s`, m, ended),
		Remedy:   remedy,
		Subjects: []string{"ended", `Istio "mesh-1"`},
	}
}

// harmlessOverlap is what is told of overlaps with Istios that write ConfigMaps of other names.
// What is advised where names of ConfigMaps differ, and where those of the revocation lists do not.
const (
	differentNames  = `Keep the names of their ConfigMaps different (spec.values.global.trustBundleName), or their selectors apart`
	revocationLists = `. If one of them revokes certificates (ca-crl.pem in its Secret cacerts), let their ConfigMaps for that differ too ` +
		`(spec.values.pilot.crlConfigMapName)`
)

func harmlessOverlap(m, bundles string, others ...string) policy.Finding {
	var refs []string
	for _, other := range others {
		refs = append(refs, fmt.Sprintf(`Istio %q`, other))
	}
	return policy.Finding{
		Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
		Detail: fmt.Sprintf(`the selectors of Istio %q overlap with those of %s; that is harmless, because their istiods write ConfigMaps of `+
			`different names (%s)`, m, strings.Join(refs, ", "), bundles),
		Remedy:   differentNames + revocationLists,
		Subjects: refs,
	}
}

const (
	forAWeek     = `To declare it for a week: annotations: {meshfence.io/allow-overlap-until: "2026-08-08T12:00:00Z"}`
	forMesh1Week = `To declare it for another week: kubectl annotate istios.sailoperator.io mesh-1 ` +
		`meshfence.io/allow-overlap-until=2026-08-08T12:00:00Z --overwrite`
	forMesh2Week = `To declare it for another week: kubectl annotate istios.sailoperator.io mesh-2 ` +
		`meshfence.io/allow-overlap-until=2026-08-08T12:00:00Z --overwrite`
)

func TestMF115WhenAMeshIsCreated(t *testing.T) {
	other := []string{mesh1ByDiscovery}
	const overlapping = "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)"
	runMeshCases(t, []meshCase{
		{
			name:   "if it declares the overlap, then that is told",
			others: other, create: overlapping + "; overlaps mesh-1",
			want: warned(policy.Finding{
				Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `the selectors of Istio "mesh-2" and Istio "mesh-1" overlap, which Istio "mesh-2" declares ` +
					`(meshfence.io/allow-overlap) without an end: both istiods write the ConfigMap istio-ca-root-cert to the ` +
					`namespaces that both match, so they must have the same root certificate`,
				Remedy: `When one of them is deleted, or their selectors are apart: kubectl annotate istios.sailoperator.io mesh-2 ` +
					`meshfence.io/allow-overlap-`,
				Subjects: []string{"declared", `Istio "mesh-1"`},
			}),
		},
		{
			name:   "if it declares it until later, then the end is told, and goes with the declaration",
			others: other, create: overlapping + "; overlaps mesh-1; until 2026-08-02T00:00:00Z",
			want: warned(policy.Finding{
				Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `the selectors of Istio "mesh-2" and Istio "mesh-1" overlap, which Istio "mesh-2" declares ` +
					`(meshfence.io/allow-overlap) until 2026-08-02T00:00:00Z: both istiods write the ConfigMap istio-ca-root-cert ` +
					`to the namespaces that both match, so they must have the same root certificate`,
				Remedy: `When one of them is deleted, or their selectors are apart: kubectl annotate istios.sailoperator.io mesh-2 ` +
					`meshfence.io/allow-overlap- meshfence.io/allow-overlap-until-`,
				Subjects: []string{"declared", `Istio "mesh-1"`},
			}),
		},
		{
			name:   "if both declare it, then the declaration that ends last is told",
			others: []string{mesh1ByDiscovery + "; overlaps mesh-2; until 2026-09-01T00:00:00Z"},
			create: overlapping + "; overlaps mesh-1; until 2026-08-02T00:00:00Z",
			want:   warned(declaredOverlap("mesh-2", "mesh-1", "mesh-1", "2026-09-01T00:00:00Z")),
		},
		{
			name:   "if the declaration names others besides, then they stay in it, but what is no name stays out of the command",
			others: other, create: overlapping + "; overlaps mesh-3, mesh-1,$(reboot),mesh-4",
			want: warned(keeping(declaredOverlap("mesh-2", "mesh-1", "mesh-2", ""), "mesh-2", "mesh-3,mesh-4")),
		},
		{
			name:   "if it declares an overlap that is not there, then there is nothing to tell",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; overlaps mesh-1,mesh-9",
			want: allowed(),
		},
		{
			name:   "if the declaration has ended, then it is refused and told, with a later end",
			others: other, create: overlapping + "; overlaps mesh-1; until 2026-08-01T12:00:00Z",
			want: also(denied(policy.Finding{
				Rule: mf103, Action: policy.Deny, Field: `spec.values.meshConfig.discoverySelectors[0]`,
				Detail: `Istio "mesh-2" spec.values.meshConfig.discoverySelectors[0] (istio-discovery in (mesh-1,mesh-2)) and ` +
					`Istio "mesh-1" spec.values.meshConfig.discoverySelectors[0] (istio-discovery=mesh-1) both match a ` +
					`namespace with istio-discovery=mesh-1, and the declaration of it by Istio "mesh-2" has ended ` +
					`(meshfence.io/allow-overlap-until: 2026-08-01T12:00:00Z); their istiods would overwrite each other's ` +
					`ConfigMap istio-ca-root-cert there`,
				Remedy: `To keep them apart, add to the matchExpressions of spec.values.meshConfig.discoverySelectors[0] of Istio ` +
					`"mesh-2": {key: istio-discovery, operator: NotIn, values: [mesh-1]}`,
				Subjects: []string{`Istio "mesh-1"`},
			}), policy.Finding{
				Rule: mf115, Action: policy.Warn, Explains: true, Field: `metadata.annotations[meshfence.io/allow-overlap-until]`,
				Detail: `the selectors of Istio "mesh-2" and Istio "mesh-1" overlap, and the declaration of it by Istio "mesh-2" has ` +
					`ended (meshfence.io/allow-overlap-until: 2026-08-01T12:00:00Z)`,
				Remedy:   `To declare it for a week: annotations: {meshfence.io/allow-overlap-until: "2026-08-08T12:00:00Z"}`,
				Subjects: []string{"ended", `Istio "mesh-1"`},
			}),
		},
		{
			name:   "if its trust bundle has its own name (global.trustBundleName), then that is told once for all meshes",
			others: []string{mesh1ByDiscovery, "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"},
			create: "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
			want: warned(policy.Finding{
				Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `the selectors of Istio "openshift-gateway" overlap with those of Istio "mesh-1", Istio "mesh-3"; that is ` +
					`harmless, because their istiods write ConfigMaps of different names (openshift-gw-ca-root-cert, istio-ca-root-cert)`,
				Remedy:   differentNames + revocationLists,
				Subjects: []string{`Istio "mesh-1"`, `Istio "mesh-3"`},
			}),
		},
		{
			name:   "if the names for their lists of revoked certificates differ as well, then there is nothing to add",
			others: other, create: "Istio openshift-gateway; in openshift-ingress; with {global: {trustBundleName: own}, pilot: {crlConfigMapName: own-crl}}",
			want: warned(policy.Finding{
				Rule: mf115, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `the selectors of Istio "openshift-gateway" overlap with those of Istio "mesh-1"; that is harmless, because their istiods ` +
					`write ConfigMaps of different names (own, istio-ca-root-cert)`,
				Remedy: differentNames, Subjects: []string{`Istio "mesh-1"`},
			}),
		},
		{
			name:    "if its trust bundle has its own name (PILOT_CA_CERT_CONFIGMAP), then that is told as well",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Off}},
			others:  other, create: "Istio openshift-gateway; in openshift-ingress; env-bundle openshift-gw-ca-root-cert",
			want: warned(harmlessOverlap("openshift-gateway", "openshift-gw-ca-root-cert, istio-ca-root-cert", "mesh-1")),
		},
		{
			name:   "if a harmless overlap is declared too, then it is harmless whatever is declared",
			others: other, create: overlapping + "; bundle own; overlaps mesh-1; until 2020-01-01T00:00:00Z",
			want: warned(harmlessOverlap("mesh-2", "own, istio-ca-root-cert", "mesh-1")),
		},
		{
			name:   "if a harmless overlap is declared and that is in force, then it is harmless all the same",
			others: other, create: overlapping + "; bundle own; overlaps mesh-1",
			want: warned(harmlessOverlap("mesh-2", "own, istio-ca-root-cert", "mesh-1")),
		},
		{
			name: "if one overlap is declared and another harmless, then both are told",
			others: []string{
				mesh1ByDiscovery, "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
			},
			create: overlapping + "; overlaps mesh-1",
			want: warned(declaredOverlap("mesh-2", "mesh-1", "mesh-2", ""),
				harmlessOverlap("mesh-2", "istio-ca-root-cert, openshift-gw-ca-root-cert", "openshift-gateway")),
		},
		{
			name:   "if the overlap harms somebody and nobody has declared it, then that is another rule's to tell",
			others: []string{"Istio mesh-1; in istio-system-1"}, create: "Istio mesh-2; in istio-system-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF102": policy.Off, "MF103": policy.Off}},
			want:    allowed(),
		},
		{
			name:   "if the other mesh runs elsewhere, then it overlaps with nothing",
			others: []string{"Istio mesh-1; in istio-system-1; profile remote"}, create: overlapping + "; overlaps mesh-1",
			want: allowed(),
		},
		{
			name:   "if the other is what a deleted Istio left behind, then the declaration for that Istio counts",
			others: []string{"IstioRevision mesh-1-v1-30-3; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1"},
			create: overlapping + "; overlaps mesh-1",
			want: warned(func() policy.Finding {
				f := declaredOverlap("mesh-2", "mesh-1-v1-30-3", "mesh-2", "")
				f.Detail = strings.ReplaceAll(f.Detail, `Istio "mesh-1-v1-30-3"`, `IstioRevision "mesh-1-v1-30-3"`)
				f.Subjects = []string{"declared", `IstioRevision "mesh-1-v1-30-3"`}
				return f
			}()),
		},
		{
			name:   "if the configuration makes it a denial, then no declaration helps",
			others: other, create: overlapping + "; overlaps mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Deny}},
			want: denied(func() policy.Finding {
				f := declaredOverlap("mesh-2", "mesh-1", "mesh-2", "")
				f.Action = policy.Deny
				return f
			}()),
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: overlapping + "; overlaps mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Off}},
			want:    allowed(),
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
			want: allowed(),
		},
		{
			name:   "if the selectors come apart, then there is nothing left to tell",
			others: other, from: overlapping + "; overlaps mesh-1", to: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; overlaps mesh-1",
			want: allowed(),
		},
		{
			name:   "if the declaration had ended, then a later end puts it into force again",
			others: other, from: overlapping + "; overlaps mesh-1; until 2026-08-01T00:00:00Z",
			to:   overlapping + "; overlaps mesh-1; until 2026-08-08T12:00:00Z",
			want: warned(declaredOverlap("mesh-2", "mesh-1", "mesh-2", "2026-08-08T12:00:00Z")),
		},
		{
			name:   "if the configuration makes it a denial, then an overlap that was there before is no reason to refuse",
			others: other, from: overlapping + "; overlaps mesh-1", to: overlapping + "; overlaps mesh-1; version v1.30.3",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF115": policy.Deny}},
			want:    allowed(),
		},
		{
			name:   "if more than ten overlaps are harmless, then ten are named and the others counted",
			others: meshesApart(12), from: "Istio gw; in openshift-ingress; bundle gw", to: "Istio gw; in openshift-ingress; bundle gw; version v1.30.3",
			want: allowed(),
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
